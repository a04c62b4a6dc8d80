import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rl3_jax.ppo.collection import gae
from tests.reference import outer

VECTORS = hnp.arrays(np.float32, 23, elements=st.floats(-5, 5, width=32, allow_subnormal=False))
UNIT = st.floats(0.0, 1.0, width=32, allow_subnormal=False)


@settings(max_examples=50)
@given(VECTORS, VECTORS, UNIT, UNIT)
def test_equals_its_twin(rewards, values, discount, gae_lambda):
    result = gae(jnp.asarray(rewards), jnp.asarray(values), discount, gae_lambda)
    expected = outer.gae(rewards.astype(float), values.astype(float), discount, gae_lambda)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("discount", [1.0, 0.9])
def test_its_two_ends(discount):
    """λ = 1 is the return less the value, λ = 0 the error of one step."""
    rewards, values = np.random.default_rng(0).normal(size=(2, 9)).astype(np.float32)
    returns = [sum(discount ** (k - t) * rewards[k] for k in range(t, 9)) for t in range(9)]
    np.testing.assert_allclose(
        gae(*map(jnp.asarray, (rewards, values)), discount, 1.0), returns - values, rtol=1e-4, atol=1e-5
    )
    errors = rewards + discount * np.append(values[1:], 0.0) - values
    np.testing.assert_allclose(
        gae(*map(jnp.asarray, (rewards, values)), discount, 0.0), errors, rtol=1e-5, atol=1e-6
    )
