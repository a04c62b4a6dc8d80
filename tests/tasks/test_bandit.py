import jax
import jax.numpy as jnp
import numpy as np

from rl3_jax.tasks import Bandit, BanditTask
from tests.statistics import assert_mean

NUM_TASKS = 20_000


def probabilities(variation):
    family = Bandit(variation=variation)
    return jax.vmap(family.sample_task)(jax.random.split(jax.random.key(0), NUM_TASKS)).success_probability


def test_default_probabilities_are_uniform():
    p = probabilities("default")
    assert p.shape == (NUM_TASKS, 5)
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
