"""Arrays of a step side by side, bit for bit."""

import jax
import jax.numpy as jnp
import numpy as np

from rl3_jax.trial.packing import pack, unpack

TREE = {
    "float": jnp.array([1.5, -0.0, jnp.nan, jnp.inf, 1e-42], jnp.float32),
    "integer": jnp.array([[1, -1], [2**31 - 1, -(2**31)]], jnp.int32),
    "truth": (jnp.array([True, False]), None),
    "word": jnp.uint32(2**32 - 1),
    "empty": jnp.zeros((0, 3)),
    "key": jax.random.split(jax.random.key(0)),
    "narrow": jnp.array([3, -4], jnp.int8),
}


def same(found, expected):
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if jnp.issubdtype(expected.dtype, jax.dtypes.prng_key):
        found, expected = (jax.random.key_data(x) for x in (found, expected))
    assert np.asarray(found).tobytes() == np.asarray(expected).tobytes()


def test_what_is_packed_comes_back():
    jax.tree.map(same, unpack(pack(TREE)), TREE)
    assert unpack(pack({"nothing": None})) == {"nothing": None}


def test_numbers_of_32_bits_lie_side_by_side():
    packed = pack(TREE)
    assert packed.floats.shape == (5,)
    assert packed.integers.shape == (4 + 2,)
    assert [other.shape for other in packed.others] == [(2,), (2,), ()]


def test_axes_that_were_added_lead():
    """Those of a scan over steps, of a batch of trials."""
    batch = jnp.arange(6.0).reshape(2, 3)

    def step(carry, x):
        return carry, jax.vmap(lambda y: pack({"x": y, "truth": y > 2.0, "few": jnp.stack([y, -y])}))(x)

    kept = unpack(jax.jit(lambda x: jax.lax.scan(step, 0, x)[1])(batch))
    np.testing.assert_array_equal(kept["x"], batch)
    np.testing.assert_array_equal(kept["truth"], batch > 2.0)
    np.testing.assert_array_equal(kept["few"], np.stack([batch, -batch], -1))
