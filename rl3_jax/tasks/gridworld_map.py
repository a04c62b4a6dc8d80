"""The maps of gridworld navigation: how they are drawn (design, section 4), and exact planning on them."""

import dataclasses
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax import picture
from rl3_jax.grid import beside, path_lengths
from rl3_jax.platforms import by_platform

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
Moves = tuple[Array, Array, Array, Array]
"""One array [S] for each move: N, E, S, W."""
Padded = Float[Array, " padded"]
"""A number for each cell, with a row of zeros before the first row and after the last."""


@dataclasses.dataclass(frozen=True)
class Layout:
    """The parameters of one variation (design, section 4).

    The side is odd, so that the grid has a centre. Obstacles and water come in sets, straight runs of so many
    cells. The distance of the goal from the centre is Manhattan's. `p_slip` holds on all tiles but water.
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
    """Return the tiles of one candidate grid, and whether all its dangers fit. The key is consumed."""
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
    """Return which cells n straight runs cover, each from its first cell toward the centre line.

    Draws from U(0, 1) stand for each run's orientation, first cell along the line, direction if that is on
    the centre line, and other coordinate.
    """
    middle, cells = layout.side // 2, jnp.arange(layout.side)
    vertical, upward = draws[0, :, None] < 0.5, draws[2, :, None] < 0.5
    first, other = _below(draws[1, :, None], layout.side), _below(draws[3, :, None], layout.side)
    down = (first > middle) | ((first == middle) & upward)
    passed = jnp.where(down, first - cells, cells - first)
    along, across = (passed >= 0) & (passed < length), cells == other
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
    """Return the tiles with n dangers and their warnings, and whether all fit; draws are from U(0, 1)."""
    grid = tiles.reshape(layout.side, layout.side)
    placed = jnp.bool_(True)
    for draw in draws:
        plain = (grid == FREE) | (grid == OBSTACLE)
        suits = (grid == FREE) & beside(plain, False).all(axis=0)
        rank = jnp.cumsum(suits.reshape(-1))
        placed &= rank[-1] > 0
        # The cell at which the rank first passes the drawn one.
        danger = suits & (rank == _below(draw, rank[-1]) + 1).reshape(grid.shape)
        warning = beside(danger, False).any(axis=0)
        grid = jnp.where(danger, DANGER, jnp.where(warning, WARNING, grid)).astype(jnp.int8)
    return grid.reshape(-1), placed


def _below(draw: Float[Array, "..."], number: Int[Array, ""] | int) -> Int[Array, "..."]:
    """Return the integer in [0, number) that a draw from U(0, 1) stands for."""
    return jnp.minimum(jnp.int32(draw * number), number - 1)


@struct.dataclass
class Dynamics:
    """What a grid does, in the form in which planning needs it.

    Of each cell: whether a wall or an obstacle is in the way of each move, the reward for entering it, the
    probability that a move from it slips, and whether it ends the episode.
    """

    blocked: Moves
    reward: Float[Array, " S"]
    p_slip: Float[Array, " S"]
    absorbing: Bool[Array, " S"]


def dynamics(tiles: Int[Array, " S"], p_slip: Float[Array, ""]) -> Dynamics:
    """Return what a grid of tiles does."""
    side = math.isqrt(len(tiles))
    north, east, south, west = beside((tiles == OBSTACLE).reshape(side, side), True).reshape(4, -1)
    return Dynamics(
        blocked=(north, east, south, west),
        reward=tile_reward(tiles),
        p_slip=jnp.where(tiles == WATER, 1.0, p_slip),
        absorbing=is_absorbing(tiles),
    )


def tile_reward(tile: Int[Array, "..."]) -> Float[Array, "..."]:
    """Return the reward for entering a tile."""
    reward = jnp.float32(0.0)
    for kind, paid in enumerate(TILE_REWARD):  # choices, which a GPU fuses with what computes the tile
        reward = jnp.where(tile == kind, paid, reward)
    return reward


def is_absorbing(tile: Int[Array, "..."]) -> Bool[Array, "..."]:
    """Return whether a tile ends the episode."""
    return (tile == GOAL) | (tile == DANGER)


def entry_values(grid: Dynamics, value: Float[Array, " S"]) -> Padded:
    """Return r + V(s') of entering each cell s', padded.

    Loops should carry this rather than V: on a CPU slices of what lies in memory are faster
    (docs/measurements.md).
    """
    return jnp.pad(grid.reward + value, math.isqrt(len(value)))


def action_values(grid: Dynamics, entry: Padded) -> Float[Array, "5 S"]:
    """Return Q of each action: stay, N, E, S, W.

    A move goes where it should with probability 1 − p, and to either side of that with p/2 each.
    """
    stay, (north, east, south, west) = _outcomes(grid, entry)
    sure, half = 1.0 - grid.p_slip, 0.5 * grid.p_slip
    sideways = half * (east + west), half * (north + south)
    moves = zip((north, east, south, west), sideways * 2, strict=True)
    return jnp.stack([stay, *(sure * ahead + aside for ahead, aside in moves)])


def best_value(grid: Dynamics, entry: Padded) -> Float[Array, " S"]:
    """Return max_a Q(s,a): the largest of `action_values`, without writing all of them down."""
    stay, (north, east, south, west) = _outcomes(grid, entry)
    sure, half = 1.0 - grid.p_slip, 0.5 * grid.p_slip
    vertical = sure * jnp.maximum(north, south) + half * (east + west)
    horizontal = sure * jnp.maximum(east, west) + half * (north + south)
    return jnp.maximum(stay, jnp.maximum(vertical, horizontal))


def episode_values(grid: Dynamics, num_steps: int) -> Float[Array, " S"]:
    """Return V of the best `num_steps` undiscounted steps within one episode; 0 in absorbing cells."""

    def steps(unroll: int, grid: Dynamics) -> Padded:
        def earlier(_, entry):
            return entry_values(grid, jnp.where(grid.absorbing, 0.0, best_value(grid, entry)))

        first = entry_values(grid, jnp.zeros_like(grid.reward))
        return jax.lax.fori_loop(0, num_steps, earlier, first, unroll=unroll)

    # Written out, steps fuse: a GPU has fewer kernels, but a CPU computes each several times.
    entry = by_platform(grid, gpu=partial(steps, 10), others=partial(steps, 1))
    side = math.isqrt(len(grid.reward))
    return entry[side:-side] - grid.reward


def path_length(tiles: Int[Array, " S"], start: int) -> Float[Array, ""]:
    """Return the fewest moves from a cell to the goal that enter no danger; ∞ if there is no way."""
    closed = (tiles == OBSTACLE) | (tiles == DANGER)
    side = math.isqrt(len(tiles))
    goal, closed = (tiles == GOAL).reshape(side, side), closed.reshape(side, side)
    return path_lengths(goal, closed).reshape(-1)[start]


def _outcomes(grid: Dynamics, entry: Padded) -> tuple[Float[Array, " S"], Moves]:
    """Return what it is worth to stay, and to go each way without slipping."""
    size, side = len(grid.reward), math.isqrt(len(grid.reward))
    stay = entry[side:-side]
    # Where each move leads from the first cell; from a cell at a wall it is blocked.
    starts = (0, side + 1, 2 * side, side - 1)
    north, east, south, west = (
        jnp.where(blocked, stay, entry[start : start + size])
        for blocked, start in zip(grid.blocked, starts, strict=True)
    )
    return stay, (north, east, south, west)
