from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl3_jax.errors import ConfigError
from rl3_jax.tasks import UNLIMITED, Gridworld, TabularState, make_family
from rl3_jax.tasks.gridworld_map import (
    LAYOUTS,
    action_values,
    best_value,
    draw_tiles,
    dynamics,
    entry_values,
    path_length,
)
from rl3_jax.trial import METHODS, TrialEnv
from tests.marks import slow
from tests.reference import gridworld as twin
from tests.trial.walk import walk

NUM_CANDIDATES = 2000
# One thousand candidates of a faithful port of the reference: mean and standard error.
KNOWN = {
    "11x11": {
        "acceptance_rate": (0.874, 0.011),
        "optimal_return": (81.0, 0.3),
        "obstacle_density": (0.2016, 0.0007),
        "water_tiles": (9.48, 0.03),
        "path_length": (9.48, 0.07),
    },
    "13x13": {
        "acceptance_rate": (0.964, 0.006),
        "optimal_return": (83.8, 0.2),
        "obstacle_density": (0.1585, 0.0005),
        "water_tiles": (9.66, 0.03),
        "path_length": (10.09, 0.07),
    },
}


@cache
def candidates(variation):
    """Return many candidate grids."""
    sample = jax.jit(jax.vmap(Gridworld(variation).sample_candidate))
    return sample(jax.random.split(jax.random.key(0), NUM_CANDIDATES))


def grids(variation, number):
    """Return the first candidates as [side, side] arrays."""
    side = LAYOUTS[variation].side
    return np.asarray(candidates(variation).tiles[:number]).reshape(number, side, side)


def meanings(layout, draws):
    """Return what the draws of one grid stand for, as the twin takes it."""
    num_runs = layout.obstacle_sets + layout.water_sets
    vertical, first, lower, other = np.asarray(draws[: 4 * num_runs], np.float64).reshape(4, num_runs)
    cell = partial(np.multiply, layout.side)
    runs = zip(vertical < 0.5, cell(first).astype(int), lower < 0.5, cell(other).astype(int), strict=True)
    return list(runs), float(draws[4 * num_runs]), np.asarray(draws[4 * num_runs + 1 :], np.float64)


@pytest.mark.parametrize("variation", LAYOUTS)
def test_a_grid_is_what_its_draws_say(variation):
    layout = LAYOUTS[variation]
    keys = jax.random.split(jax.random.key(1), 150)
    tiles, placed = jax.jit(jax.vmap(partial(draw_tiles, layout)))(keys)
    size = 4 * (layout.obstacle_sets + layout.water_sets) + 1 + layout.dangers
    draws = jax.vmap(lambda key: jax.random.uniform(key, (size,)))(keys)
    for tile, found, draw in zip(*map(np.asarray, (tiles, placed, draws)), strict=True):
        expected = twin.make_grid(layout, *meanings(layout, draw))
        assert found == (expected is not None)
        if found:
            np.testing.assert_array_equal(tile, expected.reshape(-1))


@settings(max_examples=50)
@given(seed=st.integers(0, 2**31 - 1), variation=st.sampled_from(list(LAYOUTS)))
def test_a_grid_keeps_the_rules(seed, variation):
    family, layout = Gridworld(variation), LAYOUTS[variation]
    task = sampler(family)(jax.random.key(seed))
    assert task.accepted
    grid = np.asarray(task.tiles).reshape(layout.side, layout.side)
    count = np.bincount(grid.reshape(-1), minlength=7)
    centre = layout.side // 2
    assert grid[centre, centre] == twin.START
    assert count[twin.START] == count[twin.GOAL] == 1
    assert count[twin.DANGER] == layout.dangers
    assert count[twin.WARNING] == 4 * layout.dangers
    assert 0 < count[twin.WATER] <= layout.water_sets * layout.water_length
    assert 0 < count[twin.OBSTACLE] <= layout.obstacle_sets * layout.obstacle_length
    (goal,) = np.argwhere(grid == twin.GOAL)
    assert abs(goal - centre).sum() >= layout.min_goal_distance
    for row, column in np.argwhere(grid == twin.DANGER):
        assert all(
            grid[row + down, column + right] == twin.WARNING
            for down, right in (twin.N, twin.E, twin.S, twin.W)
        )
    assert np.isfinite(twin.path_length(grid))


@cache
def sampler(family):
    return jax.jit(family.sample_task)


@pytest.mark.parametrize("platform", ["cpu", "gpu"])
@pytest.mark.parametrize("variation", slow(LAYOUTS, keep=2))
def test_the_optimal_return_decides(variation, platform, request):
    family, grid = Gridworld(variation), grids(variation, 6)
    tasks = jax.tree.map(lambda x: x[:6], candidates(variation))  # cached, and so made before the platform is
    if platform == "gpu":
        request.getfixturevalue("as_on_gpu")
    found = jax.vmap(family.optimal_return)(tasks)
    centre = family.layout.side // 2
    expected = [twin.values(cells, family.layout.p_slip, num_steps=100)[-1, centre, centre] for cells in grid]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(tasks.accepted, [50.0 <= best <= 100.0 for best in expected])


def test_some_candidates_are_not_accepted_for_their_return():
    rejected = ~np.asarray(candidates("11x11").accepted)
    assert 0.09 < rejected.mean() < 0.16
    best = jax.vmap(Gridworld().optimal_return)(candidates("11x11"))[rejected]
    assert (best < 50.0).all()


def test_path_lengths_are_those_of_breadth_first_search():
    grid = grids("11x11", 300)
    found = jax.vmap(lambda tiles: path_length(tiles, 60))(candidates("11x11").tiles[:300])
    expected = np.array([twin.path_length(cells) for cells in grid])
    np.testing.assert_array_equal(found, expected)
    assert np.isinf(expected).any()


@pytest.mark.parametrize("variation", ["11x11", "13x13-deterministic", "13x13-watery"])
def test_steps_follow_the_grid(variation):
    family, num_draws = Gridworld(variation), 1000
    task = sampler(family)(jax.random.key(5))
    side = family.layout.side
    grid = np.asarray(task.tiles).reshape(side, side)
    cells = np.flatnonzero(np.isin(task.tiles, (twin.FREE, twin.START, twin.WATER, twin.WARNING)))
    step = lambda key, s, a: family.step_env(key, TabularState(time=jnp.int32(7), s=s), a, task)  # noqa: E731
    each = jax.vmap(jax.vmap(jax.vmap(step, (0, None, None)), (0, None, 0)), (0, 0, None))
    keys = jax.random.split(jax.random.key(2), len(cells) * 5 * num_draws).reshape(len(cells), 5, num_draws)
    _, states, rewards, terminated, _ = jax.jit(each)(keys, jnp.asarray(cells), jnp.arange(5))
    assert (states.time == 8).all()
    entered = np.asarray(task.tiles)[states.s]
    np.testing.assert_array_equal(rewards, np.vectorize(twin.ENTER.get)(entered))
    np.testing.assert_array_equal(terminated, np.isin(entered, (twin.GOAL, twin.DANGER)))
    for i, s in enumerate(cells):
        for action in range(5):
            next_cells = twin.successors(grid, family.layout.p_slip, divmod(int(s), side), action)
            expected = np.zeros(side**2)
            for (row, column), probability in next_cells.items():
                expected[row * side + column] = probability
            frequency = np.bincount(states.s[i, action], minlength=side**2) / num_draws
            assert (frequency[expected == 0.0] == 0.0).all()
            error = np.sqrt(expected * (1.0 - expected) / num_draws)
            assert (np.abs(frequency - expected) <= 5.0 * error).all()


def test_action_values_follow_the_grid():
    task = jax.tree.map(lambda x: x[3], candidates("11x11"))
    grid = grids("11x11", 4)[3]
    value = jax.random.normal(jax.random.key(0), (121,))
    known = dynamics(task.tiles, task.p_slip)
    entry = entry_values(known, value)
    q = np.asarray(action_values(known, entry))
    value = np.asarray(value, np.float64)
    for s in np.flatnonzero(grid.reshape(-1) != twin.OBSTACLE):
        for action in range(5):
            expected = sum(
                probability * (twin.ENTER[grid[cell]] + value[cell[0] * 11 + cell[1]])
                for cell, probability in twin.successors(grid, 0.2, divmod(int(s), 11), action).items()
            )
            np.testing.assert_allclose(q[action, s], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(best_value(known, entry), q.max(axis=0), rtol=1e-6)


def test_the_policy_sees_row_and_column_from_one():
    family = Gridworld()
    observation, state = family.reset_env(jax.random.key(0), family.default_params)
    assert state.s == 60
    np.testing.assert_allclose(observation, [6 / 11, 6 / 11])
    for s, seen in ((0, [1 / 11, 1 / 11]), (10, [1 / 11, 1.0]), (13, [2 / 11, 3 / 11]), (120, [1.0, 1.0])):
        at = TabularState(time=jnp.int32(0), s=jnp.int32(s))
        np.testing.assert_allclose(family.get_obs(at), seen, rtol=1e-6)
        concrete = family.concrete(at, family.default_params)
        assert concrete.index == s
        np.testing.assert_allclose(concrete.coordinates, seen, rtol=1e-6)


@pytest.mark.parametrize("variation", ["11x11", "13x13"])
def test_neighbours_are_within_the_radius_and_others_not(variation):
    family = Gridworld(variation)
    cells = TabularState(time=jnp.zeros(family.num_states, int), s=jnp.arange(family.num_states))
    seen = np.asarray(jax.vmap(family.get_obs)(cells))
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
    row, column = np.divmod(np.arange(family.num_states), family.layout.side)
    manhattan = abs(row[:, None] - row) + abs(column[:, None] - column)
    np.testing.assert_array_equal(distance < family.neighbour_radius, manhattan <= 1)


def test_an_episode_may_last_the_whole_trial():
    family = Gridworld()
    task = family.default_params
    assert family.episode_length is None
    assert task.max_steps_in_episode == UNLIMITED
    state = TabularState(time=jnp.int32(100_000), s=jnp.int32(family.start_state))
    assert not family.is_truncated(state, task)


@pytest.mark.parametrize("variation", slow(KNOWN))
def test_the_grids_are_those_of_the_reference(variation):
    statistics = jax.jit(Gridworld(variation).statistics)(candidates(variation))
    statistics = {name: np.asarray(numbers, np.float64) for name, numbers in statistics.items()}
    for name, (known, known_error) in KNOWN[variation].items():
        numbers = statistics[name][~np.isnan(statistics[name])]
        error = np.hypot(known_error, numbers.std(ddof=1) / np.sqrt(len(numbers)))
        assert abs(numbers.mean() - known) <= 3.0 * error, (name, numbers.mean(), known, error)
    accepted = statistics["acceptance_rate"] == 1.0
    assert (statistics["danger_tiles"][accepted] == 2).all()
    assert (statistics["warning_tiles"][accepted] == 8).all()
    for name in statistics:
        if name != "acceptance_rate":
            np.testing.assert_array_equal(np.isnan(statistics[name]), ~accepted)


def test_a_sampler_that_fails_says_so():
    keys = jax.random.split(jax.random.key(0), 300)
    one_try, many = (
        jax.jit(jax.vmap(Gridworld(attempts=attempts).sample_task))(keys) for attempts in (1, 100)
    )
    assert many.accepted.all()
    assert 0.8 < one_try.accepted.mean() < 0.95
    # Where the first candidate is accepted, more attempts change nothing.
    np.testing.assert_array_equal(one_try.tiles[one_try.accepted], many.tiles[np.asarray(one_try.accepted)])
    family = Gridworld()
    _, state = family.reset_env(keys[0], family.default_params)
    rewards = jax.vmap(family.step_env, (0, None, None, 0))(keys, state, 0, one_try)[2]
    np.testing.assert_array_equal(np.isnan(rewards), ~one_try.accepted)


def test_mistakes_are_named():
    with pytest.raises(ConfigError, match="attempts is 0"):
        make_family("gridworld", attempts=0)
    with pytest.raises(ConfigError, match="'12x12'"):
        make_family("gridworld", variation="12x12")


FAMILY = Gridworld()
NUM_TRIALS = 60


@cache
def trials():
    """Return the tasks and the steps of random trials."""
    env = TrialEnv(FAMILY, horizon=150, features=METHODS["rl2"])
    keys = jax.random.split(jax.random.key(0), NUM_TRIALS)
    _, first, recorded = jax.vmap(lambda key: walk(env, key))(keys)
    return jax.tree.map(np.asarray, (first.task, recorded[-1]["step"]))


def assert_equals_twin(tasks, steps):
    """Check each number of each trial; returns them."""
    found = jax.tree.map(np.asarray, jax.vmap(FAMILY.summarise_trial)(tasks, steps))
    ended = steps.terminated | steps.truncated
    for trial in range(NUM_TRIALS):
        columns = (steps.state.index[trial], steps.next_state.index[trial], ended[trial])
        expected = twin.summary(tasks.tiles[trial], list(zip(*columns, strict=True)))
        assert list(expected) == list(FAMILY.summary_names)
        for name, number in expected.items():
            np.testing.assert_allclose(found[name][trial], number, rtol=1e-6, err_msg=name)
    return found


def test_the_summary_of_random_trials_is_its_twins():
    found = assert_equals_twin(*trials())
    # All cases are among them.
    assert {0.0, 1.0} == set(found["found"])
    assert found["dangers"].max() >= 2.0
    assert np.nanmax(found["first_goal_step"]) > np.nanmin(found["first_goal_step"])
    np.testing.assert_array_equal(np.isnan(found["first_goal_step"]), found["found"] == 0.0)


def test_steps_that_end_an_episode_are_not_still():
    tasks, steps = trials()
    cut = np.random.default_rng(0).random(steps.terminated.shape) < 0.5
    without = assert_equals_twin(tasks, steps)["still"]
    assert (assert_equals_twin(tasks, steps.replace(truncated=cut))["still"] != without).any()
    all_end = assert_equals_twin(tasks, steps.replace(truncated=np.ones_like(cut)))
    assert np.isnan(all_end["still"]).all()
