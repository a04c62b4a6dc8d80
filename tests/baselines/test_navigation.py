import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.baselines import make_baselines
from rl3_jax.baselines.navigation import ClairvoyantEpisode, ClairvoyantTrial, MapReader, Straight, read_cells
from rl3_jax.tasks import FourRoomsTasks, FrozenLakes, Gridworld, MetaMazes, PointRobots
from rl3_jax.testing.trees import at
from rl3_jax.training.evaluation import evaluate
from rl3_jax.trial import METHODS, TrialEnv, method_features, run_trials
from tests.marks import slow
from tests.reference import gridworld as twin
from tests.reference.navigation import trial_values

TASKS, TRIALS = 4, 500
FAMILIES = [
    FrozenLakes(),
    MetaMazes(),
    FrozenLakes(side=3, slippery=False),
    FourRoomsTasks(),
    FourRoomsTasks(variation="deterministic"),
]


def returns(env, behaviour, tasks, key):
    keys = jax.random.split(key, len(jax.tree.leaves(tasks)[0]))
    run = jax.jit(lambda tasks, keys: run_trials(env, behaviour, tasks, keys)[0].sum(axis=1))
    return np.asarray(run(tasks, keys))


def draw(family, number):
    return jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), number))


@pytest.mark.parametrize("family", slow(FAMILIES, keep=2), ids=lambda f: f"{f.name}-{getattr(f, 'side', '')}")
def test_the_clairvoyant_gets_the_best_expected_return(family):
    """What a slow planner expects of each task is what trials in the environment pay on average."""
    env = TrialEnv(family, horizon=40, features=METHODS["rl2"])
    tasks = draw(family, TASKS)
    repeated = jax.tree.map(lambda x: x.repeat(TRIALS, axis=0), tasks)
    paid = returns(env, MapReader(), repeated, jax.random.key(1)).reshape(TASKS, TRIALS)
    for i in range(TASKS):
        cells = read_cells(family, at(tasks, i))
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


# What a faithful port of the reference gives: mean return of a trial and its standard error.
KNOWN = {
    ("11x11", "random"): (-576.0, 7.0),
    ("11x11", "clairvoyant-episode"): (1396.0, 15.0),
    ("11x11", "clairvoyant"): (1436.0, 14.0),
    ("13x13", "random"): (-631.0, 6.0),
    ("13x13", "clairvoyant-episode"): (2032.0, 19.0),
    ("13x13", "clairvoyant"): (2078.0, 18.0),
}


def trial(family, horizon=None):
    return TrialEnv(family, horizon=horizon or family.trial_length, features=method_features("rl2", family))


def held_out_returns(env, behaviour, num_tasks, seed=0):
    """Return the return of one trial on each held-out task."""
    return evaluate(env, behaviour, num_tasks=num_tasks, seed=seed).sum(axis=1, dtype=np.float64)


def mean_and_error(values):
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


def grid_of(variation, seed):
    """Return a grid as a task and as a [side, side] array."""
    family = Gridworld(variation)
    task = jax.jit(family.sample_task)(jax.random.key(seed))
    return task, np.asarray(task.tiles).reshape(family.layout.side, -1)


def worth(grid, p_slip, later, cell, action):
    """Return E[r + V(s')] of an action."""
    outcomes = twin.successors(grid, p_slip, cell, action).items()
    return sum(probability * (twin.ENTER[grid[there]] + later[there]) for there, probability in outcomes)


def assert_best(grid, p_slip, later, policy):
    """The policy's action is the best one, or as good, in every cell in which one acts."""
    side = len(grid)
    for cell in zip(
        *np.nonzero(np.isin(grid, (twin.FREE, twin.START, twin.WATER, twin.WARNING))), strict=True
    ):
        values = [worth(grid, p_slip, later, cell, action) for action in range(5)]
        assert values[policy[cell[0] * side + cell[1]]] >= max(values) - 1e-3


@pytest.mark.parametrize(("variation", "seed"), [("11x11", 0), ("11x11", 1), ("13x13-deterministic", 2)])
def test_the_trial_policy_is_optimal_with_any_number_of_steps_to_go(variation, seed):
    task, grid = grid_of(variation, seed)
    horizon, side, p_slip = 60, len(grid), float(task.p_slip)
    policy = np.asarray(ClairvoyantTrial().init(trial(Gridworld(variation), horizon), task))
    values = twin.values(grid, p_slip, horizon, restart=True)
    assert policy.shape == (horizon, side**2)
    for steps in (1, 2, 3, 10, 30, 59, 60):
        later = values[steps - 1].copy()
        later[(grid == twin.GOAL) | (grid == twin.DANGER)] = later[side // 2, side // 2]
        assert_best(grid, p_slip, later, policy[steps - 1])


@pytest.mark.parametrize(("variation", "seed"), [("11x11", 0), ("13x13-deterministic", 2)])
def test_the_episode_policy_is_optimal_for_an_episode_without_end(variation, seed):
    task, grid = grid_of(variation, seed)
    p_slip = float(task.p_slip)
    later = twin.values(grid, p_slip, 1000)[-1]
    for policy in np.asarray(ClairvoyantEpisode().init(trial(Gridworld(variation), 2), task)):
        assert_best(grid, p_slip, later, policy)


def test_the_clairvoyant_gets_what_its_plan_promises():
    env = trial(Gridworld(), horizon=60)
    task, grid = grid_of("11x11", 0)
    promised = twin.values(grid, 0.2, env.horizon, restart=True)[-1, 5, 5]
    tasks = jax.tree.map(lambda x: jnp.broadcast_to(x, (4000, *jnp.shape(x))), task)
    behaviour = make_baselines(env.family, env.horizon)["clairvoyant"]
    mean, error = mean_and_error(returns(env, behaviour, tasks, jax.random.key(1)).astype(np.float64))
    assert abs(mean - promised) <= 4.0 * error


@pytest.mark.parametrize(("variation", "name"), slow(KNOWN))
def test_the_mean_return_is_the_known_one(variation, name):
    known, known_error = KNOWN[variation, name]
    env = trial(Gridworld(variation))
    assert env.horizon == {"11x11": 250, "13x13": 350}[variation]
    mean, error = mean_and_error(held_out_returns(env, make_baselines(env.family, env.horizon)[name], 2000))
    assert abs(mean - known) <= 3.0 * np.hypot(error, known_error)
