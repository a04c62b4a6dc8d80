import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.baselines import Psrl
from rl3_jax.object_rl import Transition
from rl3_jax.tasks import RandomMdp
from rl3_jax.trial import TrialEnv, method_features
from tests.reference import baselines as reference

FAMILY = RandomMdp(states=3, actions=2, steps=5)
ENV = TrialEnv(FAMILY, horizon=23, features=method_features("rl2", FAMILY))
NUM_DRAWS = 20_000


def history(num_steps):
    """Return a list of (s, a, r, s') in which one pair is never tried and one is tried often."""
    generator = np.random.default_rng(0)
    pairs = [(0, 0), (0, 0), (0, 0), (1, 1), (2, 0), (0, 1), (1, 0)]
    return [
        (
            *pairs[generator.integers(len(pairs))],
            np.float32(generator.normal(1.0, 2.0)),
            generator.integers(3),
        )
        for _ in range(num_steps)
    ]


def remember(behaviour, steps):
    """Return the memory after a history."""
    memory = behaviour.init(ENV, FAMILY.default_params)
    for s, a, r, next_s in steps:
        transition = Transition(
            s=jnp.int32(s),
            a=jnp.int32(a),
            r=jnp.float32(r),
            next_s=jnp.int32(next_s),
            terminated=jnp.bool_(False),
            truncated=jnp.bool_(False),
        )
        memory = behaviour.learn(ENV, memory, transition)
    return memory


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
