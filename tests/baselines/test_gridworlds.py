import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.baselines import LearnerAlone, make_baselines
from rl3_jax.baselines.gridworlds import episode_policy, trial_policy
from rl3_jax.object_rl import Clusters, ModelBased, QLearning
from rl3_jax.tasks import Gridworld, make_family
from rl3_jax.tasks.gridworld_map import dynamics
from rl3_jax.training.evaluate import evaluate
from rl3_jax.trial import TrialEnv, method_features, run_trials
from tests.marks import slow
from tests.reference import gridworld as twin

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


def returns(env, behaviour, num_tasks, seed=0):
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
    policy = np.asarray(trial_policy(dynamics(task.tiles, task.p_slip), horizon))
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
    policy = np.asarray(episode_policy(dynamics(task.tiles, task.p_slip)))
    assert_best(grid, p_slip, twin.values(grid, p_slip, 1000)[-1], policy)


def test_the_clairvoyant_gets_what_its_plan_promises():
    env = trial(Gridworld(), horizon=60)
    task, grid = grid_of("11x11", 0)
    promised = twin.values(grid, 0.2, env.horizon, restart=True)[-1, 5, 5]
    tasks = jax.tree.map(lambda x: jnp.broadcast_to(x, (4000, *jnp.shape(x))), task)

    outcome = run_trials(
        env,
        make_baselines(env.family, env.horizon)["clairvoyant"],
        tasks,
        jax.random.split(jax.random.key(1), 4000),
    )
    rewards = outcome[0] if isinstance(outcome, tuple) else outcome
    mean, error = mean_and_error(np.asarray(rewards, np.float64).sum(axis=1))
    assert abs(mean - promised) <= 4.0 * error


@pytest.mark.parametrize(("variation", "name"), slow(KNOWN))
def test_the_mean_return_is_the_known_one(variation, name):
    known, known_error = KNOWN[variation, name]
    env = trial(Gridworld(variation))
    assert env.horizon == {"11x11": 250, "13x13": 350}[variation]
    mean, error = mean_and_error(returns(env, make_baselines(env.family, env.horizon)[name], 2000))
    assert abs(mean - known) <= 3.0 * np.hypot(error, known_error)


@pytest.mark.slow
def test_learners_alone_do_better_than_chance_and_worse_than_the_clairvoyant():
    env = trial(Gridworld())
    baselines = make_baselines(env.family, env.horizon)
    names = ("random", "certainty-equivalence", "r-max", "clairvoyant")
    chance, alone, optimist, best = (returns(env, baselines[name], 300) for name in names)
    for better, worse in ((alone, chance), (optimist, alone), (best, optimist)):
        gain, error = mean_and_error(better - worse)
        assert gain > 3.0 * error


def test_epsilon_one_is_chance():
    env = trial(make_family("bandit"), horizon=50)
    mean, error = mean_and_error(returns(env, LearnerAlone(epsilon=1.0), 4000))
    assert abs(mean - 25.0) <= 4.0 * error


def test_the_learner_alone_acts_greedily_on_its_values_and_breaks_ties_evenly():
    env = trial(make_family("mdp"), horizon=50)
    behaviour = LearnerAlone(epsilon=0.0, learner=ModelBased())
    task = env.family.default_params
    _, state = env.start(jax.random.key(0), task)
    memory = behaviour.init(env, task)
    keys = jax.random.split(jax.random.key(1), 1000)
    act = jax.vmap(lambda memory, key: behaviour.act(env, memory, state, jnp.zeros(0), key)[1], (None, 0))
    counts = np.bincount(act(memory, keys), minlength=5)
    assert (np.abs(counts - 200) < 5 * np.sqrt(1000 * 0.2 * 0.8)).all()
    memory = dataclasses.replace(memory, q=memory.q.at[0].set(jnp.array([0.0, 2.0, 1.0, 2.0, -1.0])))
    assert set(np.asarray(act(memory, keys)).tolist()) == {1, 3}


@pytest.mark.parametrize("method", ["rl2", "rl3"])
def test_the_learner_alone_meets_the_states_of_the_trials_table(method):
    """With object-level RL it learns what that learns, on clusters; without, on the concrete states."""
    family, learner = Gridworld(), QLearning()
    env = TrialEnv(family, 30, method_features(method, family), learner, Clusters())
    plain = TrialEnv(family, 30, method_features("rl3", family), learner)
    behaviour = LearnerAlone(epsilon=0.0, learner=learner)
    task = jax.jit(family.sample_task)(jax.random.key(0))
    expects = env if method == "rl3" else plain

    @jax.jit
    def walk(key):
        def step(carry, key):
            state, twin, memory = carry
            key_act, key_move, key_step = jax.random.split(key, 3)
            _, greedy = behaviour.act(env, memory, state, jnp.zeros(0), key_act)
            q = expects.action_values(twin).q
            move = jax.random.randint(key_move, (), 0, 5)
            _, state, _, _, info = env.step_env(key_step, state, move, env.default_params)
            _, twin, _, _, _ = expects.step_env(key_step, twin, move, expects.default_params)
            memory = behaviour.learn(env, memory, info["transition"])
            return (state, twin, memory), (
                q[greedy] == q.max(),
                memory.q.sum() == twin.object_rl.learner.q.sum(),
            )

        start = (env.start(key, task)[1], expects.start(key, task)[1], behaviour.init(env, task))
        (_, twin, memory), checks = jax.lax.scan(step, start, jax.random.split(key, env.horizon))
        return twin.object_rl.learner, memory, checks

    learned, memory, (is_best, agrees) = walk(jax.random.key(1))
    assert is_best.all()
    assert agrees.all()
    jax.tree.map(np.testing.assert_array_equal, memory, learned)
    assert np.asarray(memory.counts).sum() == env.horizon
