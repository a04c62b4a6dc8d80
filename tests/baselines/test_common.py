import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.baselines import make_baselines
from rl3_jax.baselines.common import LearnerAlone
from rl3_jax.object_rl import Clusters, ModelBased, QLearning
from rl3_jax.tasks import Gridworld, make_family
from rl3_jax.trial import TrialEnv, method_features
from tests.baselines.test_navigation import held_out_returns, mean_and_error, trial


@pytest.mark.slow
def test_learners_alone_do_better_than_chance_and_worse_than_the_clairvoyant():
    env = trial(Gridworld())
    baselines = make_baselines(env.family, env.horizon)
    names = ("random", "certainty-equivalence", "r-max", "clairvoyant")
    chance, alone, optimist, best = (held_out_returns(env, baselines[name], 300) for name in names)
    for better, worse in ((alone, chance), (optimist, alone), (best, optimist)):
        gain, error = mean_and_error(better - worse)
        assert gain > 3.0 * error


def test_epsilon_one_is_chance():
    env = trial(make_family("bandit"), horizon=50)
    mean, error = mean_and_error(held_out_returns(env, LearnerAlone(epsilon=1.0), 4000))
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
    memory = dataclasses.replace(
        memory, values=memory.values.at[0].set(jnp.array([0.0, 2.0, 1.0, 2.0, -1.0]))
    )
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
