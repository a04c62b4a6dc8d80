from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.tasks import Bandit, BanditTask, RandomMdp, TabularState
from tests.statistics import assert_mean

NUM_BANDITS = 20_000
NUM_MDPS = 400
CONCENTRATION = {"default": 1.0, "ood": 0.25}


def probabilities(variation):
    family = Bandit(variation=variation)
    return jax.vmap(family.sample_task)(jax.random.split(jax.random.key(0), NUM_BANDITS)).success_probability


def test_default_probabilities_are_uniform():
    p = probabilities("default")
    assert p.shape == (NUM_BANDITS, 5)
    assert_mean(p, 1 / 2)
    assert_mean(p**2, 1 / 3)
    assert_mean(p < 0.1, 0.1)
    assert_mean(p[:, 0] * p[:, 1], 1 / 4)  # arms are independent


def test_ood_probabilities_are_clipped_normals():
    p = probabilities("ood")
    below = 0.158655  # Φ(−1)
    assert_mean(p == 0.0, below)
    assert_mean(p == 1.0, below)
    assert_mean(p < 0.5, 0.5)
    assert_mean(p < 0.75, 0.691462)  # Φ(0.5)
    assert_mean(p[:, 0] * p[:, 1], 1 / 4)


def test_a_pull_pays_with_the_probability_of_its_arm_and_ends_the_episode():
    family = Bandit(num_arms=3)
    task = BanditTask(success_probability=jnp.array([0.0, 0.3, 1.0]), max_steps_in_episode=1)
    _, state = family.reset_env(jax.random.key(0), task)
    keys = jax.random.split(jax.random.key(1), 4000)
    pull = jax.vmap(jax.vmap(family.step_env, (0, None, None, None)), (None, None, 0, None))
    observations, _, rewards, terminated, _ = pull(keys, state, jnp.arange(3), task)
    assert set(np.unique(rewards)) == {0.0, 1.0}
    assert (rewards[0] == 0.0).all()
    assert_mean(rewards[1], 0.3)
    assert (rewards[2] == 1.0).all()
    assert terminated.all()
    assert (observations == 1).all()


def test_number_of_arms():
    family = Bandit(num_arms=7)
    assert family.sample_task(jax.random.key(0)).success_probability.shape == (7,)
    assert family.num_actions == 7
    assert (family.num_states, family.episode_length) == (2, 1)


@cache
def sample(variation):
    family = RandomMdp(variation=variation)
    return jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), NUM_MDPS))


@pytest.mark.parametrize("variation", RandomMdp.variations)
def test_rows_are_dirichlet(variation):
    transition = np.asarray(sample(variation).transition)
    assert transition.shape == (NUM_MDPS, 10, 5, 10)
    assert (transition >= 0.0).all()
    np.testing.assert_allclose(transition.sum(-1), 1.0, atol=1e-5)
    c, total = CONCENTRATION[variation], 10 * CONCENTRATION[variation]
    rows = transition.reshape(-1, 10)
    assert_mean(rows, 1 / 10)
    assert_mean(rows**2, c * (c + 1) / (total * (total + 1)))
    assert_mean(rows[:, 0] * rows[:, 1], c * c / (total * (total + 1)))
    assert_mean(transition[:, 0, 0, 0] * transition[:, 3, 2, 0], 1 / 100)  # rows are independent


@pytest.mark.parametrize("variation", RandomMdp.variations)
def test_mean_rewards_are_normal(variation):
    reward = np.asarray(sample(variation).mean_reward).reshape(NUM_MDPS, -1)
    assert_mean(reward.reshape(-1), 1.0)
    assert_mean((reward.reshape(-1) - 1.0) ** 2, 1.0)
    assert_mean(reward.reshape(-1) < 0.0, 0.158655)  # Φ(−1)
    assert_mean((reward[:, 0] - 1.0) * (reward[:, 7] - 1.0), 0.0)


@pytest.mark.parametrize("variation", RandomMdp.variations)
def test_steps_follow_the_task(variation):
    family = RandomMdp(variation=variation)
    task = family.sample_task(jax.random.key(3))
    state = TabularState(time=jnp.int32(2), s=jnp.int32(4))
    keys = jax.random.split(jax.random.key(1), 20_000)
    step = jax.jit(jax.vmap(family.step_env, (0, None, None, None)))
    observations, states, rewards, terminated, _ = step(keys, state, jnp.int32(3), task)
    np.testing.assert_array_equal(observations, states.s)
    assert (states.time == 3).all()
    assert not terminated.any()
    expected = np.asarray(task.transition[4, 3], np.float64)
    frequency = np.bincount(observations, minlength=10) / len(keys)
    error = np.sqrt(expected * (1 - expected) / len(keys))
    assert (np.abs(frequency - expected) <= 4 * error).all()
    noise = np.asarray(rewards - task.mean_reward[4, 3])
    assert_mean(noise, 0.0)
    assert_mean(noise**2, 1.0)
    assert_mean(noise**4, 3.0)  # normal
    # The noise tells nothing of the next state.
    likeliest = observations == expected.argmax()
    assert_mean(noise * (likeliest - likeliest.mean()), 0.0)


def test_a_zero_probability_is_never_drawn_and_a_sure_one_always():
    family = RandomMdp(states=4, actions=1)
    task = family.sample_task(jax.random.key(0)).replace(
        transition=jnp.eye(4)[jnp.array([2, 2, 3, 0])][:, None]
    )
    keys = jax.random.split(jax.random.key(1), 1000)
    for s, expected in enumerate([2, 2, 3, 0]):
        state = TabularState(time=jnp.int32(0), s=jnp.int32(s))
        next_s = jax.vmap(family.step_env, (0, None, None, None))(keys, state, jnp.int32(0), task)[0]
        assert (next_s == expected).all()


def test_an_episode_is_truncated_at_its_length():
    family = RandomMdp(states=3, actions=2, steps=4)
    task = family.sample_task(jax.random.key(0))
    _, state = family.reset_env(jax.random.key(0), task)
    for step in range(1, 5):
        _, state, _, terminated, _ = family.step_env(jax.random.key(step), state, jnp.int32(0), task)
        assert not terminated
        assert family.is_truncated(state, task) == (step == 4)
