"""Numbers looked up one by one, in batches, and in batches of batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.platforms import look_up

SHAPE, BATCHES = (3, 40, 50), (2, 6)
INDICES = [(jnp.int32, ()), (jnp.int32, (7,)), (jnp.uint8, ()), (jnp.int8, ())]
CASES = [(platform, True, indices) for platform in ("cpu", "gpu") for indices in (True, False)]
CASES += [("cpu", False, True)]


def drawn(*lead, dtype=jnp.int32, index_shape=()):
    """Return arrays and one index for each axis, with `lead` before the shape of each."""
    random = np.random.default_rng(0)
    array = random.normal(size=(*lead, *SHAPE)).astype(np.float32)
    index = [random.integers(0, size, size=(*lead, *index_shape)) for size in SHAPE]
    return jnp.asarray(array), [jnp.asarray(i, dtype) for i in index]


@pytest.mark.parametrize(("dtype", "index_shape"), INDICES)
def test_it_is_indexing(dtype, index_shape):
    array, index = drawn(dtype=dtype, index_shape=index_shape)
    np.testing.assert_array_equal(look_up(array, *index), array[tuple(index)])
    tiles = jnp.arange(5, dtype=jnp.int8)
    assert look_up(tiles, 4) == 4
    assert look_up(tiles, jnp.int32(2)).dtype == jnp.int8


@pytest.mark.usefixtures("each_platform")
@pytest.mark.parametrize(("dtype", "index_shape"), INDICES)
@pytest.mark.parametrize(("each_platform", "arrays", "indices"), CASES, indirect=["each_platform"])
def test_batches_look_up_each_in_its_own(dtype, index_shape, arrays, indices):
    (array, _), (_, index) = (
        drawn(*(BATCHES if batched else ()), dtype=dtype, index_shape=index_shape)
        for batched in (arrays, indices)
    )
    found, axes = look_up, (0 if arrays else None, *(0 if indices else None for _ in SHAPE))
    for _ in BATCHES:
        found = jax.vmap(found, in_axes=axes)
    found = jax.jit(found)(array, *index)
    for at in np.ndindex(BATCHES):
        own = array[at] if arrays else array
        np.testing.assert_array_equal(found[at], own[tuple(i[at] if indices else i for i in index)])


@pytest.mark.usefixtures("as_on_gpu")
def test_on_a_gpu_batches_of_batches_are_one_row():
    array, index = drawn(*BATCHES)
    text = str(jax.make_jaxpr(jax.vmap(jax.vmap(look_up)))(array, *index))
    assert text.count("gather[") == 1
    assert f"f32[{array.size}]" in text


@pytest.mark.usefixtures("as_on_gpu")
@pytest.mark.parametrize(("size", "one_row"), [(2**20 - 1, True), (2**20, False)])
def test_a_row_is_no_longer_than_integers_reach(size, one_row):
    tasks = 2**11
    array = jax.ShapeDtypeStruct((tasks, size), jnp.float32)
    text = str(jax.make_jaxpr(jax.vmap(look_up))(array, jax.ShapeDtypeStruct((tasks,), jnp.int32)))
    assert (f"f32[{tasks * size}]" in text) == one_row
    assert text.count("gather[") == 1
