"""Too many states for a table, hashed into the rows of a small one (design, section 5.4)."""

import dataclasses
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
from annotated_types import Ge
from flax import struct
from jaxtyping import Array, Bool, Int, UInt32

from rl3_jax.bins import bins_along
from rl3_jax.constraints import Count
from rl3_jax.object_rl.abstraction import Abstraction, unbounded_problems
from rl3_jax.object_rl.base import TableSpec

PROBES = 8
"""Rows that a state may have: the one that its hash names, and those after it."""
PLACE, CHECK = 0x9E3779B9, 0x85EBCA6B
"""Odd constants that tell numbers of a vector apart by their place: one for the row, one for the check."""


@struct.dataclass
class HashMemory:
    """The rows given to the states of one trial.

    Attributes:
      checks: [N] another hash of the state that has a row; 0 for a row that none has.
      collisions: [] entries into a state for which no row was left, so that it shares another's.
    """

    checks: UInt32[Array, " N"]
    collisions: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class Hashed(Abstraction):
    """Each state met gets a row of a table of N, whatever the number of states that there might be.

    A state's numbers are hashed to a row. If another state has that row, the next is tried, up to `PROBES` of
    them; if none is free, both share the first, which is counted.

    Attributes:
      rows: N.
      bins: equal parts into which each coordinate is cut before; 0 takes its number as it is, for
        observations that are discrete, of which each differs from all others.
    """

    abstraction: ClassVar[str] = "hash"

    rows: Count = 512
    bins: Annotated[int, Ge(0), "0 for numbers as they are"] = 0

    def space_problems(self, space: TableSpec) -> list[str]:
        """Return a message if there are no states, or ones to be cut that have no bounds."""
        if not space.bounds and not space.num_states:
            return ["abstraction is hash, but the states have neither numbers nor coordinates"]
        if self.bins and not space.bounds:
            return ["abstraction.bins cuts coordinates, but the states have none; use bins 0"]
        return unbounded_problems(self.abstraction, space) if self.bins else []

    def table(self, space: TableSpec) -> TableSpec:
        """Return the sizes with N states; with bins more may follow one than K, which is counted."""
        return dataclasses.replace(super().table(space), num_states=self.rows)

    def init(self, space: TableSpec) -> HashMemory:
        """Return the memory before any state is met."""
        return HashMemory(jnp.zeros(self.rows, jnp.uint32), jnp.int32(0))

    def enter(self, space: TableSpec, memory: HashMemory, index: Any, coordinates: Any) -> HashMemory:
        """Return the memory after a state is met, which then has a row."""
        row, check, found = self.find(space, memory, index, coordinates)
        collides = ~found
        return HashMemory(
            memory.checks.at[jnp.where(collides, self.rows, row)].set(check, mode="drop"),
            memory.collisions + collides,
        )

    def locate(self, space: TableSpec, memory: HashMemory, index: Any, coordinates: Any) -> Int[Array, ""]:
        """Return the row of a state that has been met."""
        return self.find(space, memory, index, coordinates)[0]

    def find(
        self, space: TableSpec, memory: HashMemory, index: Any, coordinates: Any
    ) -> tuple[Int[Array, ""], UInt32[Array, ""], Bool[Array, ""]]:
        """Return a state's row, its check, and whether the row is its own, or free to be."""
        numbers = self.numbers(space, index, coordinates)
        check = jnp.maximum(digest(numbers, CHECK), 1)
        first = digest(numbers, PLACE) % self.rows
        rows = (first.astype(jnp.int32) + jnp.arange(min(PROBES, self.rows))) % self.rows
        there = memory.checks[rows]
        own = (there == check) | (there == 0)
        return rows[own.argmax()], check, own.any()

    def numbers(self, space: TableSpec, index: Any, coordinates: Any) -> UInt32[Array, " n"]:
        """Return what of a state is hashed: its bins, its index, or the bits of its coordinates."""
        if self.bins:
            bins = (self.bins,) * len(space.bounds)
            return bins_along(coordinates, space.bounds, bins).astype(jnp.uint32)
        if index is not None:
            return jnp.asarray(index).astype(jnp.uint32)[None]
        # −0 has other bits than 0.
        x = jnp.where(coordinates == 0.0, 0.0, coordinates).astype(jnp.float32)
        return jax.lax.bitcast_convert_type(x, jnp.uint32)

    def dropped(self, memory: HashMemory) -> Int[Array, ""]:
        """Return how often a state had no row of its own."""
        return memory.collisions


def digest(numbers: UInt32[Array, " n"], constant: int) -> UInt32[Array, ""]:
    """Return mix(Σ_i mix(x_i + (i + 1) c)) modulo 2³², with an odd constant c."""
    places = jnp.arange(1, len(numbers) + 1, dtype=jnp.uint32) * jnp.uint32(constant)
    return mix(mix(numbers + places).sum(dtype=jnp.uint32))


def mix(x: UInt32[Array, "*shape"]) -> UInt32[Array, "*shape"]:
    """Return x with its bits spread over all others: the last step of MurmurHash3, by Appleby."""
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)
