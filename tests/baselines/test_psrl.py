import jax
import numpy as np
import pytest

from rl3_jax.baselines import Opsrl, Psrl
from tests.mdp_history import ENV, FAMILY, history, remember
from tests.reference import baselines as reference

NUM_DRAWS = 20_000


def assert_same_mean(draws, expected, variance):
    """Check a mean over the first axis against the exact one, by the exact standard error.

    Four standard errors, since each call compares up to 18 numbers at once.
    """
    standard_error = np.sqrt(variance / len(draws))
    assert (np.abs(draws.mean(axis=0) - expected) < 4.0 * standard_error).all()


@pytest.mark.parametrize("num_steps", [0, 9, 23], ids="{} steps".format)
@pytest.mark.parametrize("prior_reward", [0.0, 1.0])
def test_psrl_draws_tasks_with_the_moments_of_the_posterior(num_steps, prior_reward):
    behaviour, steps = Psrl(prior_reward), history(num_steps)
    memory = remember(behaviour, steps)
    keys = jax.random.split(jax.random.key(num_steps), NUM_DRAWS)
    transition, reward = jax.vmap(behaviour.sample_task, in_axes=(None, 0))(memory, keys)
    transition, reward = np.asarray(transition, float), np.asarray(reward, float)

    concentration, mean, variance = reference.mdp_posterior(steps, 3, 2, prior_reward)
    total = concentration.sum(-1, keepdims=True)
    share = concentration / total
    share_variance = share * (1.0 - share) / (total + 1.0)
    np.testing.assert_allclose(transition.sum(-1), 1.0, rtol=1e-5)
    assert_same_mean(transition, share, share_variance)
    assert_same_mean(reward, mean, variance)
    # A squared deviation of a Normal has variance 2σ⁴. Those of a Dirichlet have no such short form, so
    # the second moments there are held to the exact variance by the sample's own standard error.
    assert_same_mean((reward - mean) ** 2, variance, 2.0 * variance**2)
    squares = (transition - share) ** 2
    assert_same_mean(squares, share_variance, squares.var(axis=0))


def test_psrl_plans_on_its_draw_and_acts_on_the_plan():
    behaviour, key = Psrl(), jax.random.key(3)
    observation, state = ENV.start(jax.random.key(0), FAMILY.default_params)
    before = remember(behaviour, history(9))
    memory = behaviour.begin_episode(ENV, before, state, key)
    draw = [np.asarray(x, float) for x in behaviour.sample_task(before, key)]
    expected = reference.backward_induction(*draw, FAMILY.episode_length)
    np.testing.assert_allclose(memory.values, expected, rtol=1e-5)
    for steps_taken in range(FAMILY.episode_length):
        memory, action = behaviour.act(ENV, memory, state, observation, jax.random.key(0))
        assert action == expected[FAMILY.episode_length - steps_taken - 1, state.inner.s].argmax()
        observation, state, *_ = ENV.step_env(jax.random.key(1), state, action, ENV.default_params)


def test_psrl_draws_afresh_at_each_episode():
    behaviour = Psrl()
    _, state = ENV.start(jax.random.key(0), FAMILY.default_params)
    memory = behaviour.init(ENV, FAMILY.default_params)
    plans = [behaviour.begin_episode(ENV, memory, state, jax.random.key(seed)).values for seed in (0, 1)]
    assert not np.allclose(*plans)


@pytest.mark.parametrize("num_samples", [1, 4])
def test_opsrl_takes_the_largest_of_its_samples_values(num_samples):
    behaviour, key = Opsrl(0.5, num_samples), jax.random.key(3)
    memory = remember(behaviour, history(9))
    values = np.asarray(behaviour.plan(ENV, memory, key))
    plans = []
    for sample in jax.random.split(key, num_samples):
        draw = [np.asarray(x, float) for x in Psrl(0.5).sample_task(memory, sample)]
        plans.append(reference.backward_induction(*draw, FAMILY.episode_length))
    np.testing.assert_allclose(values, np.max(plans, axis=0), rtol=1e-5)
    for plan in plans:
        assert (values >= plan - 1e-4).all()


def test_opsrl_of_one_sample_is_psrl():
    key = jax.random.key(4)
    memory = remember(Psrl(), history(9))
    (sample,) = jax.random.split(key, 1)
    one, psrl = Opsrl(num_samples=1).plan(ENV, memory, key), Psrl().plan(ENV, memory, sample)
    np.testing.assert_allclose(one, psrl, rtol=1e-5, atol=1e-6)
