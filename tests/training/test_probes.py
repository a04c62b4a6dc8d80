"""Whole training on tasks whose optimum is known."""

import dataclasses

import jax
import numpy as np
import pytest

from rl3_jax import ppo
from rl3_jax.object_rl import ModelBased
from rl3_jax.policies import Gru, Markov, PolicyConfig
from rl3_jax.ppo import PPOConfig
from rl3_jax.ppo.segments import critic_values
from rl3_jax.tasks import Bandit, RandomMdp
from rl3_jax.training import Agent, TrainConfig, evaluate
from rl3_jax.trial import method_features
from tests.marks import slow
from tests.probes import Aim, Chain, FirstArmPays, OneArmPays
from tests.training.setting import run

QUICK = PPOConfig(
    trials=32,
    minibatch_trials=8,
    epochs=4,
    discount=1.0,
    gae_lambda=0.95,
    kl_limit=0.05,
    learning_rate=1e-2,
    learning_rate_final=1e-3,
    entropy_bonus=0.01,
    critic_l2=0.0,
)


def configure(task, horizon, *, method="rl2", core=None, width=16, iterations, **hyper):
    return TrainConfig(
        task=task,
        horizon=horizon,
        features=method_features(method, task),
        learner=ModelBased(tolerance=0.0),
        policy=PolicyConfig(core=core or Markov(), width=width),
        ppo=dataclasses.replace(QUICK, **hyper),
        iterations=iterations,
    )


def train(config, chunk=50):
    chunks = [chunk] * (config.iterations // chunk)
    return run(chunks, config)


def held_out_return(config, state, *, num_tasks=500, greedy=False):
    agent = Agent(state.learnt.params["actor"], config.network, greedy=greedy)
    return evaluate(config.env, agent, num_tasks=num_tasks).sum(axis=1).mean()


def test_actor_finds_the_arm_that_always_pays():
    config = configure(FirstArmPays(num_arms=3), 8, iterations=50)
    state, rows = train(config)
    assert rows[0]["mean_return"] < 4.0
    assert held_out_return(config, state, greedy=True) == 8.0
    assert held_out_return(config, state) > 7.8


@pytest.mark.parametrize(("discount", "scale"), slow([(0.5, "none"), (1.0, "remaining-steps")]))
def test_critic_learns_the_discounted_value(discount, scale):
    """A trial of one episode that pays 1 at its last step: V_t = γ^(H−1−t)."""
    config = configure(
        Chain(steps=4, actions=2, last_pays=True),
        4,
        iterations=100,
        discount=discount,
        critic_scale=scale,
        learning_rate_final=0.0,
    )
    state, _ = train(config)
    keys = jax.random.split(jax.random.key(0), config.ppo.num_minibatches)
    batch, _ = ppo.collect(config.ppo, config.env, config.network, state.learnt.params, keys)
    seen = batch.trajectory.observations
    values = critic_values(config.ppo, config.network, state.learnt.params, seen)[1] * batch.value_scale
    np.testing.assert_allclose(values, np.tile(discount ** np.arange(3.0, -1, -1), (len(keys), 1)), atol=0.05)
    np.testing.assert_allclose(batch.trajectory.rewards.sum(1), 1.0)


@pytest.mark.parametrize(
    "target", [(0.5, 0.1), pytest.param((1.0, 0.2), marks=pytest.mark.slow)], ids=["inside", "at a bound"]
)
def test_actor_finds_the_point_of_a_box(target):
    """Uniform actions get −0.6 a step or less; the optimum is 0."""
    config = configure(Aim(target=target), 8, iterations=50, kl_limit=0.1)
    state, rows = train(config)
    assert rows[0]["mean_return"] < -4.0
    assert held_out_return(config, state) > -0.3
    assert held_out_return(config, state, greedy=True) > -0.1


@pytest.mark.parametrize("exchangeable", [False, True])
@pytest.mark.parametrize(("core", "method"), slow([(Markov(), "rl3"), (Gru(), "rl2")]))
def test_meta_policy_explores_then_exploits(core, method, exchangeable):
    """One of two arms pays. The first pull is a guess and tells all: the optimum is H − 1/2."""
    config = configure(OneArmPays(num_arms=2), 6, method=method, core=core, iterations=100)
    policy = dataclasses.replace(config.policy, exchangeable_actions=exchangeable)
    config = dataclasses.replace(config, policy=policy)
    state, rows = train(config)
    assert rows[0]["mean_return"] < 4.0
    assert held_out_return(config, state) > 5.3


@pytest.mark.slow
def test_rl3_learns_random_mdps():
    """100 iterations, 1.28 million steps; a uniform policy gets 100."""
    config = configure(
        RandomMdp(),
        100,
        method="rl3",
        width=64,
        iterations=100,
        trials=128,
        minibatch_trials=32,
        learning_rate=3e-3,
        learning_rate_final=0.0,
        entropy_bonus=0.02,
        kl_limit=0.03,
        critic_scale="remaining-steps",
    )
    state, rows = train(config)
    assert rows[0]["mean_return"] < 110.0
    assert held_out_return(config, state, num_tasks=1000) >= 140.0
    assert rows[-1]["explained_variance"] > 0.9
    assert max(row["max_abs_log_ratio"] for row in rows) <= 1e-5


@pytest.mark.slow
def test_rl2_with_memory_learns_bandits():
    """Twenty pulls of two arms: chance gets 10, the better arm from the first 13.3."""
    config = configure(
        Bandit(num_arms=2),
        20,
        core=Gru(),
        width=32,
        iterations=150,
        trials=128,
        minibatch_trials=32,
        learning_rate=5e-3,
        learning_rate_final=0.0,
        critic_scale="remaining-steps",
    )
    state, rows = train(config)
    assert abs(rows[0]["mean_return"] - 10.0) < 1.0
    assert held_out_return(config, state, num_tasks=5000) > 11.9
