"""Means over trials that several devices hold, each its part; `axis` names the devices' axis in a mesh.

Functions of a batch take `axis`, None for a batch that lies on one device. Under `jax.shard_map` each device
then has its own trials, and parameters are the same on all.
"""

from typing import TypeVar

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree, Shaped

Tree = TypeVar("Tree", bound=PyTree)


def num_devices(axis: str | None) -> int:
    """Return how many devices share the batch."""
    return 1 if axis is None else jax.lax.axis_size(axis)


def device_index(axis: str | None) -> Int[Array, ""] | int:
    """Return which of the devices this one is."""
    return 0 if axis is None else jax.lax.axis_index(axis)


def local_part(x: Shaped[Array, "*shape"], axis: str | None) -> Float[Array, ""]:
    """Return this device's part of the mean over all: which `sum_over_devices` adds up to it."""
    return x.mean() / num_devices(axis)


def sum_over_devices(tree: Tree, axis: str | None) -> Tree:
    """Return the sums over all devices, in one all-reduce for all leaves."""
    if axis is None:
        return tree
    numbers, restore = ravel_pytree(tree)
    return restore(jax.lax.psum(numbers, axis))


def mean(x: Shaped[Array, "*shape"], axis: str | None) -> Float[Array, ""]:
    """Return the mean over all devices."""
    return sum_over_devices(local_part(x, axis), axis)


def nanmean(x: Float[Array, "*shape"], axis: str | None) -> Float[Array, ""]:
    """Return the mean over all devices of the numbers that are not NaN; NaN if there are none."""
    known = ~jnp.isnan(x)
    sums, count = sum_over_devices((jnp.sum(x, where=known), known.sum()), axis)
    return sums / count


def variance(x: Float[Array, "*shape"], axis: str | None) -> Float[Array, ""]:
    """Return the variance over all devices."""
    return mean((x - mean(x, axis)) ** 2, axis)


def largest(x: Float[Array, ""], axis: str | None) -> Float[Array, ""]:
    """Return the largest over all devices."""
    return x if axis is None else jax.lax.pmax(x, axis)
