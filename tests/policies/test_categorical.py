import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rl3_jax.policies import Categorical
from tests.reference import outer
from tests.statistics import assert_mean

CATEGORICAL = Categorical(4)
LOGITS = hnp.arrays(np.float32, (6, 4), elements=st.floats(-30, 30, width=32, allow_subnormal=False))


@settings(max_examples=50)
@given(LOGITS, LOGITS, hnp.arrays(np.int32, 6, elements=st.integers(0, 3)))
def test_equals_its_twin(logits, other, actions):
    ours, theirs = (CATEGORICAL.parameters(jnp.asarray(x)) for x in (logits, other))
    actions = jnp.asarray(actions)
    expected, others = (outer.log_softmax(x)[range(6), actions] for x in (logits, other))
    tolerance = {"rtol": 1e-4, "atol": 2e-5}
    np.testing.assert_allclose(CATEGORICAL.log_prob(ours, actions), expected, **tolerance)
    np.testing.assert_allclose(CATEGORICAL.log_ratio(ours, theirs, actions), expected - others, **tolerance)
    np.testing.assert_allclose(CATEGORICAL.entropy(ours), outer.entropy(logits), **tolerance)
    np.testing.assert_allclose(CATEGORICAL.kl(ours, theirs), outer.kl(logits, other), **tolerance)


def test_known_values():
    uniform, sure = jnp.log(jnp.full(4, 0.25)), jnp.array([0.0, -100.0, -100.0, -100.0])
    np.testing.assert_allclose(CATEGORICAL.entropy(uniform), np.log(4), rtol=1e-6)
    np.testing.assert_allclose(CATEGORICAL.entropy(sure), 0.0, atol=1e-6)
    np.testing.assert_allclose(CATEGORICAL.kl(sure, uniform), np.log(4), rtol=1e-6)
    np.testing.assert_allclose(CATEGORICAL.kl(uniform, uniform), 0.0, atol=1e-7)
    np.testing.assert_allclose(CATEGORICAL.kl(uniform, sure), 75.0 - np.log(4), rtol=1e-6)


@pytest.mark.usefixtures("each_platform")
@pytest.mark.parametrize("num_actions", [1, 4, 16, 40])
def test_the_likeliest_action_is_the_first_of_those_that_are_alike(num_actions):
    distribution = Categorical(num_actions)
    logits = np.random.default_rng(0).integers(-3, 3, size=(50, num_actions)).astype(np.float32)
    np.testing.assert_array_equal(jax.vmap(distribution.mode)(logits), logits.argmax(-1))
    noise = np.random.default_rng(1).normal(size=logits.shape).astype(np.float32)
    np.testing.assert_array_equal(jax.vmap(distribution.sample)(noise, logits), (logits + noise).argmax(-1))


def test_samples_follow_the_probabilities():
    logits = jnp.log(jnp.array([0.5, 0.3, 0.2, 1e-30]))
    noise = jax.vmap(CATEGORICAL.noise)(jax.random.split(jax.random.key(0), 10_000))
    samples = jax.vmap(CATEGORICAL.sample, (0, None))(noise, logits)
    one_hot = np.eye(4)[samples]
    assert_mean(one_hot, [0.5, 0.3, 0.2, 0.0])
    assert CATEGORICAL.mode(logits) == 0
    np.testing.assert_array_equal(CATEGORICAL.to_env(samples), samples)
