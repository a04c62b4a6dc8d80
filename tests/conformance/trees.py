"""Assertions about pytrees."""

import jax
import jax.numpy as jnp
import numpy as np


def signature(tree):
    """Structure, shapes and dtypes: what must not change for a tree to be the carry of a scan."""
    return jax.tree.structure(tree), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)]


def assert_finite(tree):
    """Every number in the tree is finite."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        assert np.isfinite(np.asarray(leaf)).all(), jax.tree_util.keystr(path)


def assert_close(tree, other, **tolerance):
    """Both trees hold the same numbers."""
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, **tolerance), tree, other)


def assert_near(tree, other, relative=1e-5):
    """Each number differs by no more than a part of its array's largest."""
    assert jax.tree.structure(tree) == jax.tree.structure(other)
    for x, y in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(x, y, rtol=0.0, atol=relative * float(np.abs(y).max()))


def differs(tree, other):
    """Whether any leaf differs."""
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return any(not np.array_equal(x, y) for x, y in pairs)


def at(tree, index):
    """One element of a stacked tree; keys apart, taken by NumPy, as JAX would compile that for each shape."""

    def take(x):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return x[index] if is_key else jnp.asarray(np.asarray(x)[index])

    return jax.tree.map(take, tree)
