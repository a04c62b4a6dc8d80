"""Grids of cells, and what is known of them before a trial begins."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

STAY = 0
"""The first of the D displacements, stay, north, east, south and west: it leads to no other cell."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """What a family knows beforehand of all its tasks, whose states are the cells of a grid.

    Attributes:
      rows, columns: of the grid; state s lies in row s // columns.
      moves: [A][D] probability of each displacement after each action, where no cell is blocked.
      slippery: what entering a cell pays on which actions move otherwise.
      slippery_moves: [A][D] the same there.
      blocked: probability that a cell cannot be entered.
      largest_reward: [S] most that entering a state pays in any task. Each task has one cell that pays the
        largest of these.
      ends: [S] whether the episode ends where entering a state pays that.
      usual_reward: what entering a cell usually pays; believed of all others once that one was entered.
      danger: what entering a danger pays, which ends the episode.
      warning: what entering any cell beside a danger pays.
      risk: probability that a cell is a danger, if it was not entered and stands beside a warning, and
        beside no cell that was entered and is none.
    """

    rows: int
    columns: int
    moves: tuple[tuple[float, ...], ...]
    slippery: float
    slippery_moves: tuple[tuple[float, ...], ...]
    blocked: float
    largest_reward: tuple[float, ...]
    ends: tuple[bool, ...]
    usual_reward: float
    danger: float
    warning: float
    risk: float

    @property
    def num_places(self) -> int:
        """Number of places Z: the cells, and a wall around them."""
        return (self.rows + 2) * (self.columns + 2)

    def place(self, s: Int[Array, ""]) -> Int[Array, ""]:
        """Return the place of a cell."""
        return (s // self.columns + 1) * (self.columns + 2) + s % self.columns + 1

    def places_around(self, place: Int[Array, ""]) -> Int[Array, " D"]:
        """Return the places to which the displacements lead from that of a cell."""
        return place + jnp.array(self._offsets)

    def walled(self, x: Sequence[Any], wall: Any) -> Shaped[Array, " Z"]:
        """Return numbers of the cells as numbers of the places, with one for all of the wall."""
        return jnp.pad(jnp.array(x).reshape(self.rows, self.columns), 1, constant_values=wall).reshape(-1)

    def shifted(self, x: Shaped[Array, " Z"]) -> list[Shaped[Array, " Z"]]:
        """Return, for each displacement, x at the place to which it leads; it means nothing in the wall."""
        width = self.columns + 2
        padded = jnp.pad(x, width)
        return [padded[width + offset :][: self.num_places] for offset in self._offsets]

    @property
    def _offsets(self) -> tuple[int, ...]:
        """How many places each displacement leads on."""
        return (0, -(self.columns + 2), 1, self.columns + 2, -1)


def beside(x: Shaped[Array, "R C"], wall: Any) -> Shaped[Array, "4 R C"]:
    """Return what stands north, east, south and west of each cell; `wall` beyond the edges."""
    padded = jnp.pad(x, 1, constant_values=wall)
    return jnp.stack([padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2]])


def path_lengths(origin: Bool[Array, "R C"], closed: Bool[Array, "R C"]) -> Float[Array, "R C"]:
    """Return the fewest moves from the origin to each cell round closed ones; ∞ where there is no way."""

    def spread(_, moves):
        nearest = beside(moves, jnp.inf).min(axis=0)
        return jnp.where(closed, jnp.inf, jnp.minimum(moves, nearest + 1.0))

    # No shortest path visits a cell twice.
    return jax.lax.fori_loop(0, origin.size, spread, jnp.where(origin, 0.0, jnp.inf))
