"""Grids of cells, and what is known of them before a trial begins."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

DISPLACEMENTS = ("stay", "north", "east", "south", "west")
"""The D ways in which a step can lead to another cell, or to none."""
STAY = 0
"""The displacement that leads to none."""
ROWS, COLUMNS = (0, -1, 0, 1, 0), (0, 0, 1, 0, -1)
"""How far each leads."""


@dataclasses.dataclass(frozen=True)
class Grid:
    """What a family knows beforehand of all its tasks, whose states are the cells of a grid.

    Attributes:
      rows: of the grid; state s lies in row s // columns.
      columns: of the grid.
      moves: [A][D] probability of each displacement after each action, where no cell is blocked.
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
    blocked: float
    largest_reward: tuple[float, ...]
    ends: tuple[bool, ...]
    usual_reward: float
    danger: float
    warning: float
    risk: float

    @property
    def num_states(self) -> int:
        """Number of cells S."""
        return self.rows * self.columns

    def beyond(self, x: Float[Array, " S"], edge: Float[Array, " S"] | float) -> Float[Array, "D S"]:
        """Return what stands where each displacement leads from each cell; beyond the walls, `edge` there."""
        x = x.reshape(self.rows, self.columns)
        edge = jnp.broadcast_to(jnp.asarray(edge, x.dtype).reshape(-1), (self.num_states,)).reshape(x.shape)
        found = [
            x,
            jnp.concatenate([edge[:1], x[:-1]], axis=0),
            jnp.concatenate([x[:, 1:], edge[:, -1:]], axis=1),
            jnp.concatenate([x[1:], edge[-1:]], axis=0),
            jnp.concatenate([edge[:, :1], x[:, :-1]], axis=1),
        ]
        return jnp.stack([part.reshape(-1) for part in found])

    def around(self, s: Int[Array, ""]) -> Int[Array, " D"]:
        """Return the cells to which the displacements lead from one; S, which is none, beyond the walls."""
        row, column = s // self.columns, s % self.columns
        rows = row + jnp.array(ROWS)
        columns = column + jnp.array(COLUMNS)
        inside = (rows >= 0) & (rows < self.rows) & (columns >= 0) & (columns < self.columns)
        return jnp.where(inside, rows * self.columns + columns, self.num_states)

    def displacement(self, s: Int[Array, ""], next_s: Int[Array, ""]) -> Int[Array, ""]:
        """Return the displacement that leads from one cell to another."""
        return jnp.argmax(self.around(s) == next_s)
