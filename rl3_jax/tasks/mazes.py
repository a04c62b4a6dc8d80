"""Mazes: an agent in one of S open cells, and a hidden goal in another."""

import dataclasses
import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments.misc.meta_maze import MetaMaze
from gymnax.environments.misc.rooms import EnvParams, FourRooms
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax.bins import Bounds
from rl3_jax.grid import path_lengths
from rl3_jax.picture import FREE, GOAL, WALL, Tiles
from rl3_jax.tasks.base import ConcreteState
from rl3_jax.tasks.gymnax_tasks import GymnaxState, GymnaxTask, GymnaxTasks

FAIL_PROBABILITY = {"default": 1 / 3, "deterministic": 0.0}
"""`fail_prob` of gymnax's FourRooms: how often a move does not go where it should; 1/3 is Sutton's."""
SIDE, VIEW = 9, 3
"""Cells along the inner maze of gymnax's MetaMaze, and along what the agent sees of it."""


@dataclasses.dataclass(frozen=True)
class Mazes(GymnaxTasks):
    """A gymnax maze, with `env_map` and `coords`, whose tasks are goals. The state is the agent's cell."""

    task_fields: ClassVar[tuple[str, ...]] = ("goal",)
    action_names: ClassVar[tuple[str, ...]] = ("N", "E", "S", "W")
    num_successors: ClassVar[int] = 5  # a cell and its four neighbours
    start: ClassVar[tuple[int, int]]
    """Row and column of the cell in which each episode starts."""

    def picture(self, task: GymnaxTask, states: Any) -> Tiles:
        """Return the maze: open cells, walls, and the goal."""
        codes = self.walls.astype(np.int32)
        codes[tuple(task.fields["goal"])] = 2
        return Tiles(codes, (FREE, WALL, GOAL), self.cells)

    @property
    def goals(self) -> Int[np.ndarray, "n 2"]:
        """Row and column of each cell in which the goal may lie: all but the start."""
        return self.cells[(self.cells != self.start).any(axis=1)]

    @functools.cached_property
    def walls(self) -> Bool[np.ndarray, "rows columns"]:
        """Whether a cell is a wall."""
        return ~np.asarray(self.environment.env_map, bool)  # pyright: ignore[reportAttributeAccessIssue]

    @functools.cached_property
    def cells(self) -> Int[np.ndarray, "S 2"]:
        """Row and column of each open cell."""
        return np.argwhere(~self.walls).astype(np.int32)

    @functools.cached_property
    def cell_number(self) -> Int[np.ndarray, "rows columns"]:
        """Number of each open cell; 0 for walls."""
        counted = np.cumsum(~self.walls, dtype=np.int32).reshape(self.walls.shape)
        return np.where(self.walls, 0, counted - 1)

    @functools.cached_property
    def neighbours(self) -> Int[np.ndarray, "S 4"]:
        """Number of the cell to which each move leads: north, east, south, west; a wall leads nowhere."""
        row, column = (self.cells[:, None] + [(-1, 0), (0, 1), (1, 0), (0, -1)]).transpose(2, 0, 1)
        own = np.arange(len(self.cells))[:, None]
        return np.where(self.walls[row, column], own, self.cell_number[row, column])

    @property
    def integer_states(self) -> bool:
        """Cells have an index, whatever the environment: making one to find out takes time."""
        return True

    @property
    def num_states(self) -> int:
        """Number of open cells."""
        return len(self.cells)

    @property
    def axes(self) -> tuple[int, ...]:
        """Rows and columns."""
        return self.walls.shape

    def cell(self, state: GymnaxState) -> Int[Array, " 2"]:
        """Return the agent's row and column."""
        return state.wrapped.pos

    @property
    def coordinate_bounds(self) -> Bounds:
        """Row and column are shares of the maze."""
        return ((0.0, 1.0), (0.0, 1.0))

    @property
    def neighbour_radius(self) -> float:
        """Between the distance of cells side by side and that of cells across a corner."""
        return 1.2 / (max(self.walls.shape) - 1)

    def sample_fields(self, key: PRNGKeyArray, params: Any) -> dict[str, Array]:
        """Draw the goal. The key is consumed."""
        return {"goal": jax.random.choice(key, jnp.asarray(self.goals))}

    def place(self, position: Int[Array, " 2"]) -> Float[Array, " 2"]:
        """Return row and column as shares of the maze."""
        return position / (jnp.array(self.walls.shape) - 1)

    def shown(self, state: Any, observation: Any) -> Float[Array, "..."]:
        """Return where the agent is."""
        return self.place(state.pos)

    def concrete(self, state: GymnaxState, task: GymnaxTask) -> ConcreteState:
        """Return the cell and where it lies."""
        position = state.wrapped.pos
        index = jnp.asarray(self.cell_number)[position[0], position[1]]
        return ConcreteState(index=index, coordinates=self.place(position))

    def statistics(self, tasks: GymnaxTask) -> dict[str, Float[Array, " N"]]:
        """Return the fewest moves from the start to the goal."""
        origin = jnp.zeros(self.walls.shape, bool).at[self.start].set(True)
        row, column = tasks.fields["goal"].T
        return {"path_length": path_lengths(origin, jnp.asarray(self.walls))[row, column]}


@dataclasses.dataclass(frozen=True)
class FourRoomsTasks(Mazes):
    """gymnax's FourRooms (Sutton, Precup and Singh 1999), whose goal is any of the 103 cells but the start.

    Four actions: north, east, south, west. A move fails with probability 1/3, and then goes one of the other
    three ways; none does in the variation `deterministic`. The goal pays 1 and ends the episode. The policy
    sees row and column, not the goal, which gymnax's observation has.
    """

    family: ClassVar[str] = "four-rooms"
    variations: ClassVar[tuple[str, ...]] = tuple(FAIL_PROBABILITY)
    value_scale: ClassVar[float] = 1.0
    start: ClassVar[tuple[int, int]] = (4, 1)  # gymnax's fixed start, in the upper left room

    def make_environment(self) -> FourRooms:
        """Return gymnax's environment."""
        return FourRooms(pos_fixed=list(self.start))

    def sample_params(self, key: PRNGKeyArray) -> EnvParams:
        """Return the same params for each task. The key is not used."""
        return EnvParams(fail_prob=FAIL_PROBABILITY[self.variation])


@dataclasses.dataclass(frozen=True)
class MetaMazes(Mazes):
    """gymnax's MetaMaze (Miconi et al. 2019): corridors, in which the goal pays 10 and sends the agent away.

    Four actions: north, east, south, west. Reaching the goal puts the agent into a random cell; should that
    be the goal, the episode ends. The policy sees which of the nine cells about it are walls, and its row
    and column. gymnax's observation also has time, last action and last reward, which a trial shows anyway.
    Variations:

    - `default`: the goal lies anywhere but in the centre, the start;
    - `rim`: it lies in the outermost corridor.
    """

    family: ClassVar[str] = "meta-maze"
    variations: ClassVar[tuple[str, ...]] = ("default", "rim")
    num_successors: ClassVar[int] = 0  # any cell may follow one beside the goal
    start: ClassVar[tuple[int, int]] = ((SIDE + 1) // 2, (SIDE + 1) // 2)

    @property
    def goals(self) -> Int[np.ndarray, "n 2"]:
        """Row and column of each cell in which the goal may lie."""
        goals = super().goals
        outermost = np.abs(goals - self.start).max(axis=1) == SIDE // 2
        return goals[outermost] if self.variation == "rim" else goals

    def make_environment(self) -> MetaMaze:
        """Return gymnax's environment."""
        return MetaMaze(maze_size=SIDE, rf_size=VIEW)

    def shown(self, state: Any, observation: Float[Array, " D"]) -> Float[Array, " 11"]:
        """Return the walls about the agent, and where it is."""
        return jnp.concatenate([observation[: VIEW**2], self.place(state.pos)])
