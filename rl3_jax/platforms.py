"""Operations that a GPU does otherwise than other platforms, so that a program has fewer kernels.

Which is chosen when a program is compiled, by the platform that it is for.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Integer, Shaped

_COMPARED = 16
"""Largest number of entries that a GPU compares one by one; chosen, not measured."""


def by_platform(*operands: Any, gpu: Callable, others: Callable) -> Any:
    """Return what `gpu` makes of the operands on GPUs, and what `others` makes of them elsewhere."""
    return jax.lax.platform_dependent(*operands, default=others, cuda=gpu, rocm=gpu)


def look_up(array: Shaped[Array, "..."], *index: Integer[Array, "..."] | int) -> Shaped[Array, "..."]:
    """Return `array[index]` for one index an axis.

    Indices must lie in [0, size): this is not checked, and negative ones do not count from the end.

    On a GPU batches of tasks are looked up as one row, in an operation that fuses with what needs the
    number. XLA else first writes out pairs of task and index. A CPU takes longer for one row
    (docs/measurements.md).
    """
    place = jnp.int32(0)
    for at, size in zip(index, array.shape, strict=True):
        place = place * size + jnp.asarray(at, jnp.int32)  # narrower integers would overflow
    return _look_up(array.reshape(-1), place)


def _of_row(row: Shaped[Array, " N"], index: Int[Array, "..."]) -> Shaped[Array, "..."]:
    return row.at[index].get(mode="promise_in_bounds", wrap_negative_indices=False)


_look_up = jax.custom_batching.custom_vmap(_of_row)


@_look_up.def_vmap
def _look_up_batch(axis_size, in_batched, rows, index):
    if not in_batched[0]:
        return _look_up(rows, index), True
    if not in_batched[1]:
        index = jnp.broadcast_to(index, (axis_size, *index.shape))

    def as_one_row(rows, index):
        if rows.size > jnp.iinfo(jnp.int32).max:  # places in one row would have no number
            return jax.vmap(_of_row)(rows, index)
        first = rows.shape[1] * jnp.arange(axis_size).reshape(-1, *(1,) * (index.ndim - 1))
        return _look_up(rows.reshape(-1), first + index)  # which a further batch looks up as one row, too

    return by_platform(rows, index, gpu=as_one_row, others=jax.vmap(_of_row)), True


def largest_of(numbers: Float[Array, "*steps N"]) -> Int[Array, "*steps"]:
    """Return the index of the largest of N numbers, none of them NaN; the first of those that are alike.

    A GPU compares a few one after another, which fuses with what needs the index.
    """
    return by_platform(numbers, gpu=_compared, others=partial(jnp.argmax, axis=-1))


def _compared(numbers: Float[Array, "*steps N"]) -> Int[Array, "*steps"]:
    if numbers.shape[-1] > _COMPARED:
        return numbers.argmax(-1)
    largest, index = numbers[..., 0], jnp.zeros(numbers.shape[:-1], jnp.int32)
    for i in range(1, numbers.shape[-1]):
        larger = numbers[..., i] > largest
        largest, index = jnp.where(larger, numbers[..., i], largest), jnp.where(larger, i, index)
    return index
