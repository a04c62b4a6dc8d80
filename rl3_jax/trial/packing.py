"""Arrays of a step side by side, so that an accelerator stores them in few operations."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int


@struct.dataclass
class Packed:
    """A pytree of arrays: those of float32 lie in one array, integers of 32 bits and truths in another.

    Attributes:
      floats: [*lead, n] numbers; `lead` are the axes added since they were packed.
      integers: [*lead, m] numbers.
      others: the other arrays, such as keys.
      form: the tree, and of each of its arrays shape and type.
    """

    floats: Float[Array, "*lead n"]
    integers: Int[Array, "*lead m"]
    others: tuple[Array, ...]
    form: Any = struct.field(pytree_node=False)


def pack(tree: Any) -> Packed:
    """Return a pytree of arrays or numbers, side by side."""
    leaves, treedef = jax.tree.flatten(tree)
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    floats, integers, others = (
        [leaf for leaf in leaves if _place(leaf.dtype) == place] for place in ("floats", "integers", "others")
    )
    form = treedef, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
    return Packed(_side_by_side(floats, jnp.float32), _side_by_side(integers, jnp.int32), tuple(others), form)


def unpack(packed: Packed) -> Any:
    """Return the pytree that was packed, its arrays with the axes that were added since."""
    treedef, forms = packed.form
    starts, others, leaves = {"floats": 0, "integers": 0}, iter(packed.others), []
    for shape, dtype in forms:
        place = _place(dtype)
        if place == "others":
            leaves.append(next(others))
            continue
        start, size = starts[place], math.prod(shape)
        numbers = getattr(packed, place)[..., start : start + size]
        leaves.append(numbers.reshape(*numbers.shape[:-1], *shape).astype(dtype))
        starts[place] += size
    return jax.tree.unflatten(treedef, leaves)


def _place(dtype: Any) -> str:
    """Return where arrays of a type are kept."""
    if dtype == jnp.float32:
        return "floats"
    return "integers" if dtype in (jnp.dtype("int32"), jnp.dtype("bool")) else "others"


def _side_by_side(leaves: list[Array], dtype: Any) -> Array:
    return jnp.concatenate([leaf.reshape(-1).astype(dtype) for leaf in leaves] or [jnp.zeros(0, dtype)])
