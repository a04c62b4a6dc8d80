"""Features of vectors within [0, 1]^n: the Fourier basis, and counts of visits near a place."""

import itertools
import math
from typing import Annotated

import jax.numpy as jnp
import numpy as np
from annotated_types import Gt, Le
from flax import struct
from jaxtyping import Array, Float, Int

COUPLED = 2
"""Coordinates that a feature depends on at the most: with more, their number explodes with n."""

Width = Annotated[float, Gt(0), Le(10)]
"""A distance between vectors within [0, 1]^n."""
FAR = 1e3
"""Where a place not yet written is said to be: so far from [0, 1]^n that its kernel is 0."""


def frequencies(num_coordinates: int, order: int) -> Float[np.ndarray, "F n"]:
    """Return the vectors c in {0, …, order}^n with at most `COUPLED` entries above 0, that of zeros first."""
    found = np.zeros((num_features(num_coordinates, order), num_coordinates), np.float32)
    chosen = [
        (places, entries)
        for size in range(min(COUPLED, num_coordinates) + 1)
        for places in itertools.combinations(range(num_coordinates), size)
        for entries in itertools.product(range(1, order + 1), repeat=size)
    ]
    for row, (places, entries) in zip(found, chosen, strict=True):
        row[list(places)] = entries
    return found


def num_features(num_coordinates: int, order: int) -> int:
    """Return the number F of features."""
    sizes = range(min(COUPLED, num_coordinates) + 1)
    return sum(math.comb(num_coordinates, size) * order**size for size in sizes)


def fourier(x: Float[Array, " n"], order: int) -> Float[Array, " F"]:
    """Return cos(π c·x) for each vector c of `frequencies` (Konidaris, Osentoski and Thomas 2011)."""
    return jnp.cos(jnp.pi * (jnp.asarray(frequencies(x.shape[0], order)) @ x))


@struct.dataclass
class Visits:
    """Where a trial has been, and what was done there.

    Attributes:
      places: [n, H] the vectors, in order; those not yet written are far from all others.
      actions: [H] taken there.
      number: [] how many.
    """

    places: Float[Array, "n H"]
    actions: Int[Array, " H"]
    number: Int[Array, ""]

    @classmethod
    def none(cls, horizon: int, num_coordinates: int) -> "Visits":
        """Return those of a trial of H steps before its first."""
        return cls(
            places=jnp.full((num_coordinates, horizon), FAR),
            actions=jnp.zeros(horizon, jnp.int32),
            number=jnp.int32(0),
        )

    def after(self, x: Float[Array, " n"], a: Int[Array, ""]) -> "Visits":
        """Return them after one more; the oldest gives way in a trial that is longer than H."""
        at = self.number % len(self.actions)
        return Visits(self.places.at[:, at].set(x), self.actions.at[at].set(a), self.number + 1)

    def counts(self, x: Float[Array, " n"], width: float, num_actions: int) -> Float[Array, " A"]:
        """Return the pseudo-counts n(x,a) = Σ_i k(x, x_i) 1[a_i = a] with the kernel of `nearness`."""
        near = nearness(self.places, x, width)
        return jnp.where(self.actions == jnp.arange(num_actions)[:, None], near, 0.0).sum(-1)


def square_distance(places: Float[Array, "n N"], x: Float[Array, " n"]) -> Float[Array, " N"]:
    """Return |x − z|² of each place z; places are the last axis, so that sums run over contiguous ones."""
    return ((places - x[:, None]) ** 2).sum(0)


def nearness(places: Float[Array, "n N"], x: Float[Array, " n"], width: float) -> Float[Array, " N"]:
    """Return k(x, z) = exp(−|x − z|²/(2 h²)) of each place z, with h the width."""
    return jnp.exp(square_distance(places, x) * (-0.5 / width**2))
