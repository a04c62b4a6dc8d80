"""Exact planning on a grid, by shifts of it instead of a table of transitions."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from rl3_jax.tasks.gridworld_layout import DANGER, GOAL, OBSTACLE, TILE_REWARD, WATER

Moves = tuple[Array, Array, Array, Array]
"""One array [S] for each move: N, E, S, W."""
Padded = Float[Array, " padded"]
"""A number for each cell, with a row of zeros before the first row and after the last."""


@struct.dataclass
class Dynamics:
    """What a grid does, in the form in which planning needs it.

    Attributes:
      blocked: [S] for each move, whether a wall or an obstacle is in its way.
      reward: [S] reward for entering a cell.
      p_slip: [S] probability that a move from a cell slips.
      absorbing: [S] whether a cell ends the episode.
    """

    blocked: Moves
    reward: Float[Array, " S"]
    p_slip: Float[Array, " S"]
    absorbing: Bool[Array, " S"]


def dynamics(tiles: Int[Array, " S"], p_slip: Float[Array, ""]) -> Dynamics:
    """Return what a grid of tiles does."""
    side = math.isqrt(len(tiles))
    row, column = np.divmod(np.arange(side**2), side)
    walls = (row == 0, column == side - 1, row == side - 1, column == 0)
    obstacles = neighbours(jnp.pad(tiles == OBSTACLE, side))
    return Dynamics(
        blocked=tuple(wall | obstacle for wall, obstacle in zip(walls, obstacles, strict=True)),
        reward=tile_reward(tiles),
        p_slip=jnp.where(tiles == WATER, 1.0, p_slip),
        absorbing=is_absorbing(tiles),
    )


def tile_reward(tile: Int[Array, "..."]) -> Float[Array, "..."]:
    """Return the reward for entering a tile."""
    return jnp.array(TILE_REWARD)[tile]


def is_absorbing(tile: Int[Array, "..."]) -> Bool[Array, "..."]:
    """Return whether a tile ends the episode."""
    return (tile == GOAL) | (tile == DANGER)


def neighbours(padded: Array) -> Moves:
    """Return what stands N, E, S and W of each cell; beyond a wall that means nothing.

    Args:
      padded: [S + 2 side] a number for each cell, with a row more at both ends.
    """
    side = _side_of_padded(len(padded))
    size = side**2
    north, east, south, west = (padded[start : start + size] for start in (0, side + 1, 2 * side, side - 1))
    return north, east, south, west


def entry_values(grid: Dynamics, value: Float[Array, " S"]) -> Padded:
    """Return r + V(s') of entering each cell s', padded.

    Loops should carry this rather than V: on a CPU slices of what lies in memory are faster
    (docs/measurements.md).
    """
    return jnp.pad(grid.reward + value, math.isqrt(len(value)))


def action_values(grid: Dynamics, entry: Padded) -> Float[Array, "5 S"]:
    """Return Q of each action: stay, N, E, S, W.

    A move goes where it should with probability 1 − p, and to either side of that with p/2 each.

    Args:
      grid: the grid.
      entry: what `entry_values` returns.
    """
    stay, (north, east, south, west) = _outcomes(grid, entry)
    sure, half = 1.0 - grid.p_slip, 0.5 * grid.p_slip
    aside = half * (east + west), half * (north + south)
    moves = zip((north, east, south, west), aside * 2, strict=True)
    return jnp.stack([stay, *(sure * ahead + beside for ahead, beside in moves)])


def best_value(grid: Dynamics, entry: Padded) -> Float[Array, " S"]:
    """Return max_a Q(s,a): the largest of `action_values`, without writing all of them down."""
    stay, (north, east, south, west) = _outcomes(grid, entry)
    sure, half = 1.0 - grid.p_slip, 0.5 * grid.p_slip
    vertical = sure * jnp.maximum(north, south) + half * (east + west)
    horizontal = sure * jnp.maximum(east, west) + half * (north + south)
    return jnp.maximum(stay, jnp.maximum(vertical, horizontal))


def episode_values(grid: Dynamics, num_steps: int) -> Float[Array, " S"]:
    """Return V of the best `num_steps` undiscounted steps within one episode; 0 in absorbing cells."""

    def earlier(_, entry):
        return entry_values(grid, jnp.where(grid.absorbing, 0.0, best_value(grid, entry)))

    entry = jax.lax.fori_loop(0, num_steps, earlier, entry_values(grid, jnp.zeros_like(grid.reward)))
    side = math.isqrt(len(grid.reward))
    return entry[side:-side] - grid.reward


def path_length(tiles: Int[Array, " S"], start: int) -> Float[Array, ""]:
    """Return the fewest moves from a cell to the goal that enter no danger; ∞ if there is no way."""
    grid, side = dynamics(tiles, jnp.float32(0.0)), math.isqrt(len(tiles))
    closed = (tiles == OBSTACLE) | (tiles == DANGER)

    def spread(_, padded):
        beside = zip(grid.blocked, neighbours(padded), strict=True)
        nearest = jnp.stack([jnp.where(blocked, jnp.inf, there) for blocked, there in beside]).min(axis=0)
        return jnp.pad(jnp.where(closed, jnp.inf, jnp.minimum(padded[side:-side], nearest + 1.0)), side)

    distance = jnp.pad(jnp.where(tiles == GOAL, 0.0, jnp.inf), side)
    # No shortest path visits a cell twice.
    return jax.lax.fori_loop(0, len(tiles), spread, distance)[side + start]


def _outcomes(grid: Dynamics, entry: Padded) -> tuple[Float[Array, " S"], Moves]:
    """Return what it is worth to stay, and to go each way without slipping."""
    side = math.isqrt(len(grid.reward))
    stay = entry[side:-side]
    there = zip(grid.blocked, neighbours(entry), strict=True)
    north, east, south, west = (jnp.where(blocked, stay, beside) for blocked, beside in there)
    return stay, (north, east, south, west)


def _side_of_padded(size: int) -> int:
    """Return n with n² + 2n = size."""
    return math.isqrt(size + 1) - 1
