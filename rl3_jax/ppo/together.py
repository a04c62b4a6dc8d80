"""An optimiser that takes arrays of one shape together: fewer and larger products."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import PyTree


def together(transformation: optax.GradientTransformation) -> optax.GradientTransformation:
    """Return a transformation that sees the arrays of each shape as one, along a new first axis."""

    def update(updates: PyTree, state: Any, params: PyTree = None) -> tuple[PyTree, Any]:
        found, state = transformation.update(
            _stack(updates), state, None if params is None else _stack(params)
        )
        return _unstack(found, updates), state

    return optax.GradientTransformation(lambda params: transformation.init(_stack(params)), update)


def _stack(tree: PyTree) -> dict[str, jax.Array]:
    """Return the arrays of each shape, by shape."""
    leaves = jax.tree.leaves(tree)
    return {shape: jnp.stack([leaves[i] for i in places]) for shape, places in _places(leaves).items()}


def _unstack(stacked: Any, like: PyTree) -> PyTree:
    """Return the arrays as they were before `_stack`."""
    leaves, treedef = jax.tree.flatten(like)
    for shape, places in _places(leaves).items():
        for array, place in zip(stacked[shape], places, strict=True):
            leaves[place] = array
    return jax.tree.unflatten(treedef, leaves)


def _places(leaves: list[jax.Array]) -> dict[str, list[int]]:
    """Return where the arrays of each shape are."""
    places: dict[str, list[int]] = {}
    for place, leaf in enumerate(leaves):
        places.setdefault("x".join(map(str, leaf.shape)) or "number", []).append(place)
    return places
