"""Cutting a Box into equal bins."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Bounds = tuple[tuple[float, float], ...]
"""Least and largest value of each number of a vector."""


def bin_of(x: Float[Array, " n"], bounds: Bounds, bins: tuple[int, ...]) -> Int[Array, ""]:
    """Return the flat index Σ_i ⌊b_i (x_i − low_i)/(high_i − low_i)⌋ Π_{j>i} b_j of the bin of x.

    Each factor ⌊…⌋ is clipped to [0, b_i − 1].

    Args:
      x: the vector.
      bounds: (low_i, high_i) of each dimension.
      bins: b_i bins along each dimension.
    """
    return jnp.ravel_multi_index(tuple(bins_along(x, bounds, bins)), bins, mode="clip")


def bins_along(x: Float[Array, " n"], bounds: Bounds, bins: tuple[int, ...]) -> Int[Array, " n"]:
    """Return the bin of x along each dimension, the factors of `bin_of`."""
    low, high = jnp.array(bounds).T
    number = jnp.array(bins)
    return jnp.clip(jnp.floor(number * (x - low) / (high - low)).astype(jnp.int32), 0, number - 1)


def centre_of(index: Int[Array, ""], bounds: Bounds, bins: tuple[int, ...]) -> Float[Array, " n"]:
    """Return the centre of a bin, given its flat index as `bin_of` has it."""
    low, high = jnp.array(bounds).T
    place = jnp.stack(jnp.unravel_index(index, bins))
    return low + (place + 0.5) * (high - low) / jnp.array(bins)
