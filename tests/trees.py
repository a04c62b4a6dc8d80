"""Assertions about pytrees."""

import jax
import numpy as np


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
