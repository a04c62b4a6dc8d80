"""How the grids of gridworld navigation are made (design, section 4)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax import picture

FREE, OBSTACLE, WATER, START, GOAL, DANGER, WARNING = range(7)
"""Codes of the tiles."""
TILE_REWARD = (-1.0, 0.0, -2.0, -1.0, 100.0, -100.0, -10.0)
"""Reward for entering a tile, by its code; obstacles cannot be entered."""
TILE_KINDS = (
    picture.FREE,
    picture.WALL,
    picture.TileKind("water", "#7fb2dd", "≈"),
    picture.START,
    picture.GOAL,
    picture.TileKind("danger", "#a8281f", "✕", "white", enters=False),
    picture.TileKind("warning", "#ffd75e", "!"),
)
"""How tiles look, by their code."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The parameters of one variation.

    Attributes:
      side: cells along each side of the grid; odd, so that it has a centre.
      obstacle_sets: number of straight runs of obstacles.
      obstacle_length: cells in each of them.
      water_sets: number of straight runs of water.
      water_length: cells in each of them.
      dangers: number of danger tiles.
      min_goal_distance: Manhattan distance of the goal from the centre, at least.
      p_slip: probability that a move slips, on all tiles but water.
    """

    side: int = 13
    obstacle_sets: int = 11
    obstacle_length: int = 3
    water_sets: int = 5
    water_length: int = 2
    dangers: int = 2
    min_goal_distance: int = 8
    p_slip: float = 0.2

    @property
    def num_cells(self) -> int:
        """Number of cells S; cell s lies in row s // side and column s % side."""
        return self.side**2

    @property
    def centre(self) -> int:
        """The cell in the centre."""
        return self.num_cells // 2


LAYOUTS = {
    "11x11": Layout(side=11),
    "13x13": Layout(),
    "13x13-deterministic": Layout(p_slip=0.0),
    "13x13-dense": Layout(obstacle_length=4),
    "13x13-watery": Layout(water_sets=8),
    "13x13-dangerous": Layout(dangers=4),
    "13x13-corner": Layout(min_goal_distance=12),
}
"""The variations (design, section 4)."""


def draw_tiles(layout: Layout, key: PRNGKeyArray) -> tuple[Int[Array, " S"], Bool[Array, ""]]:
    """Return the tiles of one candidate grid, and whether all its dangers found a place.

    The key is consumed.
    """
    num_runs = layout.obstacle_sets + layout.water_sets
    # One flat draw: XLA compiles random bits of rank 3 far more slowly (docs/measurements.md).
    draws = jax.random.uniform(key, (4 * num_runs + 1 + layout.dangers,))
    runs, goal, dangers = jnp.split(draws, [4 * num_runs, 4 * num_runs + 1])
    runs = runs.reshape(4, num_runs)
    obstacles, water = runs[:, : layout.obstacle_sets], runs[:, layout.obstacle_sets :]
    tiles = jnp.full(layout.num_cells, FREE, jnp.int8)
    tiles = jnp.where(runs_cover(layout, obstacles, layout.obstacle_length), OBSTACLE, tiles)
    tiles = jnp.where(runs_cover(layout, water, layout.water_length), WATER, tiles)
    cells = jnp.arange(layout.num_cells)
    tiles = jnp.where(cells == layout.centre, START, tiles)
    allowed = jnp.asarray(goal_cells(layout))
    tiles = jnp.where(cells == allowed[_below(goal[0], len(allowed))], GOAL, tiles)
    return place_dangers(layout, tiles, dangers)


def runs_cover(layout: Layout, draws: Float[Array, "4 n"], length: int) -> Bool[Array, " S"]:
    """Return which cells n straight runs cover.

    Along its line a run covers `length` cells, from its first cell toward the centre line.

    Args:
      layout: parameters of the variation.
      draws: from U(0, 1), what each run's orientation, first cell along the line, direction if that is on
        the centre line, and other coordinate are made of.
      length: cells in each run.
    """
    middle, cells = layout.side // 2, jnp.arange(layout.side)
    vertical, upward = draws[0, :, None] < 0.5, draws[2, :, None] < 0.5
    first, other = _below(draws[1, :, None], layout.side), _below(draws[3, :, None], layout.side)
    down = (first > middle) | ((first == middle) & upward)
    along = jnp.where(
        down, (cells <= first) & (cells > first - length), (cells >= first) & (cells < first + length)
    )
    across = cells == other
    rows, columns = jnp.where(vertical, along, across), jnp.where(vertical, across, along)
    return (rows[:, :, None] & columns[:, None, :]).any(axis=0).reshape(-1)


def goal_cells(layout: Layout) -> Int[np.ndarray, " n"]:
    """Return the cells that are far enough from the centre for the goal."""
    row, column = np.divmod(np.arange(layout.num_cells), layout.side)
    distance = abs(row - layout.side // 2) + abs(column - layout.side // 2)
    return np.flatnonzero(distance >= layout.min_goal_distance)


def place_dangers(
    layout: Layout, tiles: Int[Array, " S"], draws: Float[Array, " n"]
) -> tuple[Int[Array, " S"], Bool[Array, ""]]:
    """Return the tiles with n dangers and their warnings, and whether each found a place.

    Args:
      layout: parameters of the variation.
      tiles: all other tiles.
      draws: from U(0, 1), what the place of each danger is made of.
    """
    grid = tiles.reshape(layout.side, layout.side)
    placed = jnp.bool_(True)
    for draw in draws:
        plain = jnp.pad((grid == FREE) | (grid == OBSTACLE), 1)  # beyond the walls: not interior
        suits = (grid == FREE) & plain[:-2, 1:-1] & plain[2:, 1:-1] & plain[1:-1, :-2] & plain[1:-1, 2:]
        rank = jnp.cumsum(suits.reshape(-1))
        placed &= rank[-1] > 0
        # The cell at which the rank first passes the drawn one.
        danger = suits & (rank == _below(draw, rank[-1]) + 1).reshape(grid.shape)
        near = jnp.pad(danger, 1)
        warning = near[:-2, 1:-1] | near[2:, 1:-1] | near[1:-1, :-2] | near[1:-1, 2:]
        grid = jnp.where(danger, DANGER, jnp.where(warning, WARNING, grid)).astype(jnp.int8)
    return grid.reshape(-1), placed


def _below(draw: Float[Array, "..."], number: Int[Array, ""] | int) -> Int[Array, "..."]:
    """Return the integer in [0, number) that a draw from U(0, 1) stands for."""
    return jnp.minimum(jnp.int32(draw * number), number - 1)
