"""Requirements, and what checks ask of pytrees."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rl3_jax.constraints import problems


class ConformanceError(AssertionError):
    """A family, learner or core does not do what is asked of all of them."""


def require(holds: Any, message: str) -> None:
    """Raise a `ConformanceError` with this message unless something holds."""
    if not holds:
        raise ConformanceError(message)


def require_configuration(part: Any) -> None:
    """Require that a part is a valid configuration, which may be an argument of compiled programs."""
    who = type(part).__name__
    params = vars(type(part)).get("__dataclass_params__")
    require(
        params and params.frozen,
        f"{who} must be a dataclass with frozen=True, whose fields are its configuration",
    )
    found = problems(part)
    require(not found, f"{who} is not valid as it is: {'; '.join(found)}")
    again = dataclasses.replace(part)
    require(
        part == again and hash(part) == hash(again),
        f"two equal instances of {who} differ or have different hashes, so that each would compile a program"
        " of its own; let its fields be hashable values",
    )


def signature(tree: Any) -> Any:
    """Return structure, shapes and dtypes: what must not change for a tree to be the carry of a scan."""
    return jax.tree.structure(tree), [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(tree)]


def not_finite(tree: Any) -> str:
    """Return the name of an array in a tree with a number that is not finite, or nothing."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) and not np.isfinite(np.asarray(leaf)).all():
            return jax.tree_util.keystr(path) or "it"
    return ""


def close(tree: Any, other: Any, rtol: float, atol: float) -> bool:
    """Whether two trees of one structure hold the same numbers."""
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return all(np.allclose(x, y, rtol=rtol, atol=atol, equal_nan=True) for x, y in pairs)


def differs(tree: Any, other: Any) -> bool:
    """Whether any leaf differs."""
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True)
    return any(not np.array_equal(x, y) for x, y in pairs)


def at(tree: Any, index: int | tuple[int, ...]) -> Any:
    """Return one element of a stacked tree.

    All but keys are taken by NumPy, as JAX would compile that for each shape.
    """

    def take(x: Any) -> Any:
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return x[index] if is_key else jnp.asarray(np.asarray(x)[index])

    return jax.tree.map(take, tree)
