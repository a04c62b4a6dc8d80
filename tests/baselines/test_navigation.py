import jax
import numpy as np
import pytest

from rl3_jax.baselines import MapReader, Straight
from rl3_jax.baselines.navigation import read_cells
from rl3_jax.tasks import FourRoomsTasks, FrozenLakes, MetaMazes, PointRobots
from rl3_jax.trial import METHODS, TrialEnv, run_trials
from tests.reference.navigation import trial_values

TASKS, TRIALS = 4, 500
FAMILIES = [
    FrozenLakes(),
    FrozenLakes(side=3, slippery=False),
    FourRoomsTasks(),
    FourRoomsTasks(variation="deterministic"),
    MetaMazes(),
]


def returns(env, behaviour, tasks, key):
    keys = jax.random.split(key, len(jax.tree.leaves(tasks)[0]))
    run = jax.jit(lambda tasks, keys: run_trials(env, behaviour, tasks, keys)[0].sum(axis=1))
    return np.asarray(run(tasks, keys))


def draw(family, number):
    return jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), number))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f"{f.name}-{getattr(f, 'side', '')}")
def test_the_clairvoyant_gets_the_best_expected_return(family):
    """What a slow planner expects of each task is what trials in the environment pay on average."""
    env = TrialEnv(family, horizon=40, features=METHODS["rl2"])
    tasks = draw(family, TASKS)
    repeated = jax.tree.map(lambda x: x.repeat(TRIALS, axis=0), tasks)
    paid = returns(env, MapReader(), repeated, jax.random.key(1)).reshape(TASKS, TRIALS)
    for i in range(TASKS):
        cells = read_cells(family, jax.tree.map(lambda x, i=i: x[i], tasks))
        numbers = jax.tree.map(lambda x: np.asarray(x).astype(float), cells)
        expected = trial_values(
            cells.neighbours.tolist(),
            numbers.chance,
            numbers.reward,
            numbers.landing,
            numbers.ends,
            int(cells.start),
            env.horizon,
        )[int(cells.start)]
        error = paid[i].std(ddof=1) / np.sqrt(TRIALS)
        assert abs(paid[i].mean() - expected) < 4 * error + 1e-4
        assert expected > 0.0


def test_straight_to_the_goal_is_what_the_distances_say():
    env = TrialEnv(PointRobots(), horizon=30, features=METHODS["rl2"])
    tasks = draw(env.family, 20)
    paid = returns(env, Straight(), tasks, jax.random.key(1))
    for goal, total in zip(np.asarray(tasks.fields["goal"], float), paid, strict=True):
        left = [np.maximum(np.abs(goal) - 0.1 * step, 0.0) for step in [*range(25), *range(5)]]
        assert total == pytest.approx(-sum(np.linalg.norm(x) for x in left), abs=1e-4)


def test_no_small_change_of_direction_does_better():
    """In the sparse task too, where the goal is a disc."""

    class Turned(Straight):
        def act(self, env, memory, state, observation, key):
            memory, action = super().act(env, memory, state, observation, key)
            return memory, action * jax.random.uniform(key, (2,), minval=0.5)

    env = TrialEnv(PointRobots(dense=False), horizon=50, features=METHODS["rl2"])
    tasks = draw(env.family, 50)
    best, other = (returns(env, kind(), tasks, jax.random.key(1)) for kind in (Straight, Turned))
    assert (best >= other).all()
    assert (best > other).any()
