from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments.misc import frozen_lake
from gymnax.environments.misc.frozen_lake import FROZEN, GOAL, HOLE, START

from rl3_jax.constraints import problems
from rl3_jax.tasks import FrozenLakes
from rl3_jax.tasks.frozen_lake import HOLE_PROBABILITY, path_length
from tests.marks import slow
from tests.reference.navigation import shortest_path
from tests.statistics import assert_mean

CODES = {START: "S", FROZEN: "F", HOLE: "H", GOAL: "G"}
CASES = [("default", 4), ("more-holes", 8), ("fewer-holes", 8)]


@cache
def maps(variation, side, number=1000):
    """Return maps as drawn at random, and those of tasks."""
    family = FrozenLakes(variation=variation, side=side)
    keys = jax.random.split(jax.random.key(0), number)
    tasks = jax.jit(jax.vmap(family.sample_task))(keys)
    return np.asarray(jax.jit(jax.vmap(family.sample_map))(keys)), np.asarray(tasks.params.desc)


def slow_path_length(desc):
    side = len(desc)
    return shortest_path(np.asarray(desc) != HOLE, (0, 0), (side - 1, side - 1))


@pytest.mark.parametrize(("variation", "side"), slow(CASES))
def test_maps_are_gymnasiums(variation, side):
    """Holes of the right number where nothing is rejected, a way in each task, and one start and goal."""
    drawn, desc = maps(variation, side)
    inner = drawn.reshape(len(drawn), -1)[:, 1:-1]
    assert_mean((inner == HOLE).ravel(), HOLE_PROBABILITY[variation])
    assert np.isin(inner, (HOLE, FROZEN)).all()
    assert (desc[:, 0, 0] == START).all()
    assert (desc[:, -1, -1] == GOAL).all()
    assert all(np.isfinite(slow_path_length(lake)) for lake in desc[:200])
    solvable = [lake for lake in drawn if np.isfinite(slow_path_length(lake))]
    # Each task is a solvable map: as many holes as those have.
    holes, expected = ((np.asarray(lakes) == HOLE).sum((1, 2)) for lakes in (desc, solvable))
    error = np.hypot(holes.std() / np.sqrt(len(holes)), expected.std() / np.sqrt(len(expected)))
    assert abs(holes.mean() - expected.mean()) < 4 * error
    # The bound on the number of tries is next to never met.
    assert (1.0 - len(solvable) / len(drawn)) ** 100 < 1e-6


def test_path_length_equals_its_twin():
    drawn, _ = maps("more-holes", 8)
    fast = jax.jit(jax.vmap(path_length))(drawn[:200])
    slow = [slow_path_length(desc) for desc in drawn[:200]]
    assert 0 < np.isfinite(slow).sum() < 200
    np.testing.assert_array_equal(fast, slow)


def test_a_lake_that_is_never_solved_is_opened(monkeypatch):
    monkeypatch.setitem(HOLE_PROBABILITY, "default", 1.0)
    family = FrozenLakes(side=5)
    desc = family.sample_task(jax.random.key(0)).params.desc
    assert path_length(desc) == 8
    assert (desc == HOLE).sum() == 16


@pytest.mark.parametrize("slippery", [True, False])
def test_steps_are_gymnaxs_on_the_same_map(slippery):
    family = FrozenLakes(slippery=slippery)
    task = family.sample_task(jax.random.key(3))
    desc = ["".join(CODES[int(tile)] for tile in row) for row in task.params.desc]
    env = frozen_lake.FrozenLake(desc=desc, is_slippery=slippery)
    params = env.default_params
    step, own_step, ended = (jax.jit(f) for f in (family.step_env, env.step_env, family.is_terminated))
    start, own_start = family.reset_env(key := jax.random.key(0), task)[1], env.reset_env(key, params)[1]
    state, old = start, own_start
    ends = []
    for seed in range(60):
        key = jax.random.key(seed)
        action = jax.random.randint(key, (), 0, 4)
        observation, state, reward, terminated, info = step(key, state, action, task)
        expected, old, paid, over, _ = own_step(key, old, action, params)
        assert (int(observation), float(reward), bool(terminated)) == (int(expected), float(paid), bool(over))
        assert ended(state, task) == over
        assert info["discount"] == 1.0 - over
        if over:
            ends.append(reward)
            state, old = start, own_start
    assert ends
    assert family.episode_length == params.max_steps_in_episode


def test_statistics_count_holes_and_moves():
    family = FrozenLakes()
    tasks = jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), 5))
    numbers = family.statistics(tasks)
    np.testing.assert_array_equal(numbers["holes"], [(desc == HOLE).sum() for desc in tasks.params.desc])
    np.testing.assert_array_equal(numbers["path_length"], [slow_path_length(x) for x in tasks.params.desc])
    np.testing.assert_array_equal(numbers["acceptance_rate"], 1.0)


def test_statistics_of_candidates_count_the_rejected_and_describe_the_others():
    family = FrozenLakes(variation="more-holes", side=8)
    candidates = jax.jit(jax.vmap(family.sample_candidate))(jax.random.split(jax.random.key(0), 100))
    numbers = family.statistics(candidates)
    lengths = np.array([slow_path_length(desc) for desc in candidates.params.desc])
    solved = np.isfinite(lengths)
    assert 0 < solved.sum() < 100
    np.testing.assert_array_equal(numbers["acceptance_rate"], solved)
    np.testing.assert_array_equal(numbers["path_length"], np.where(solved, lengths, np.nan))
    np.testing.assert_array_equal(np.isfinite(numbers["holes"]), solved)


def test_a_lake_too_small_is_a_problem():
    (problem,) = problems(FrozenLakes(side=1))
    assert "side is 1" in problem
    assert FrozenLakes(side=8).num_states == 64
    assert FrozenLakes(side=8).episode_length == 200
    assert jnp.isfinite(path_length(FrozenLakes(side=2).sample_task(jax.random.key(0)).params.desc))
