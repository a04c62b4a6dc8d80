"""What mazes have in common: an agent in one of S open cells, and a hidden goal in another."""

import dataclasses
import functools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.bins import Bounds
from rl3_jax.picture import FREE, GOAL, WALL, Tiles
from rl3_jax.tasks.base import ConcreteState
from rl3_jax.tasks.gymnax_tasks import GymnaxState, GymnaxTask, GymnaxTasks


@dataclasses.dataclass(frozen=True)
class Mazes(GymnaxTasks):
    """A gymnax maze, with `env_map` and `coords`, whose tasks are goals. The state is the agent's cell."""

    task_fields: ClassVar[tuple[str, ...]] = ("goal",)
    action_names: ClassVar[tuple[str, ...]] = ("N", "E", "S", "W")

    def picture(self, task: GymnaxTask, states: Any) -> Tiles:
        """Return the maze: open cells, walls, and the goal."""
        codes = np.ones(self.cell_number.shape, np.int32)
        codes[tuple(self.cells.T)] = 0
        codes[tuple(task.fields["goal"])] = 2
        return Tiles(codes, (FREE, WALL, GOAL), self.cells)

    @property
    def start(self) -> Int[np.ndarray, " 2"]:
        """Row and column of the cell in which each episode starts."""
        raise NotImplementedError

    @property
    def goals(self) -> Int[np.ndarray, "n 2"]:
        """Row and column of each cell in which the goal may lie: all but the start."""
        return self.cells[(self.cells != self.start).any(axis=1)]

    @functools.cached_property
    def cells(self) -> Int[np.ndarray, "S 2"]:
        """Row and column of each open cell."""
        return np.asarray(self.environment.coords)  # pyright: ignore[reportAttributeAccessIssue]

    @functools.cached_property
    def cell_number(self) -> Int[np.ndarray, "rows columns"]:
        """Number of each open cell; 0 for walls."""
        number = np.zeros(self.cells.max(axis=0) + 2, np.int32)
        number[tuple(self.cells.T)] = np.arange(len(self.cells))
        return number

    @functools.cached_property
    def neighbours(self) -> Int[np.ndarray, "S 4"]:
        """Number of the cell to which each move leads: north, east, south, west; a wall leads nowhere."""
        steps = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])
        there = self.cells[:, None] + steps
        found = self.cell_number[there[..., 0], there[..., 1]]
        is_open = (self.cells[found] == there).all(axis=-1)
        return np.where(is_open, found, np.arange(len(self.cells))[:, None])

    @property
    def integer_states(self) -> bool:
        """Cells have an index, whatever the environment: making one to find out takes time."""
        return True

    @property
    def num_states(self) -> int:
        """Number of open cells."""
        return len(self.cells)

    @property
    def num_successors(self) -> int:
        """A cell and its four neighbours."""
        return 5

    @property
    def coordinate_bounds(self) -> Bounds:
        """Row and column are shares of the maze."""
        return ((0.0, 1.0), (0.0, 1.0))

    @property
    def neighbour_radius(self) -> float:
        """Between the distance of cells side by side and that of cells across a corner."""
        return 1.2 / (max(self.cell_number.shape) - 1)

    def sample_fields(self, key: PRNGKeyArray, params: Any) -> dict[str, Array]:
        """Draw the goal. The key is consumed."""
        goals = jnp.asarray(self.goals)
        return {"goal": goals[jax.random.randint(key, (), 0, len(goals))]}

    def place(self, position: Int[Array, " 2"]) -> Float[Array, " 2"]:
        """Return row and column as shares of the maze."""
        return position / (jnp.array(self.cell_number.shape) - 1)

    def shown(self, state: Any, observation: Any) -> Float[Array, " 2"]:
        """Return row and column as shares of the maze."""
        return self.place(state.pos)

    def concrete(self, state: GymnaxState, task: GymnaxTask) -> ConcreteState:
        """Return the cell and where it lies."""
        position = state.wrapped.pos
        index = jnp.asarray(self.cell_number)[position[0], position[1]]
        return ConcreteState(index=index, coordinates=self.place(position))

    def statistics(self, tasks: GymnaxTask) -> dict[str, Float[Array, " N"]]:
        """Return the fewest moves from the start to the goal."""
        goal = tasks.fields["goal"]
        return {"path_length": jnp.asarray(self._distances)[goal[:, 0], goal[:, 1]]}

    @functools.cached_property
    def _distances(self) -> Float[np.ndarray, "rows columns"]:
        """Fewest moves from the start to each cell."""
        distance = np.full(len(self.cells), np.inf, np.float32)
        distance[self.cell_number[tuple(self.start)]] = 0.0
        for _ in self.cells:
            distance = np.minimum(distance, distance[self.neighbours].min(axis=1) + 1.0)
        return distance[self.cell_number]
