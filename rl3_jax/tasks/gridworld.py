"""Gridworld navigation (design, section 4; paper, section 6)."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax.bins import Bounds
from rl3_jax.constraints import Count
from rl3_jax.grid import Grid
from rl3_jax.lean_gymnax import spaces
from rl3_jax.picture import Tiles
from rl3_jax.platforms import look_up
from rl3_jax.tasks import gridworld_map as grids
from rl3_jax.tasks.base import UNLIMITED, Action, ConcreteState, Step, TabularFamily, TabularState, Task
from rl3_jax.tasks.gridworld_map import DANGER, FREE, GOAL, LAYOUTS, OBSTACLE, TILE_REWARD, WARNING, WATER

RETURN_STEPS = 100
"""Steps of the optimal return by which grids are accepted."""
LEAST_RETURN, LARGEST_RETURN = 50.0, 100.0
"""Bounds on that return."""
OBSTACLE_SHARE = 0.2
"""Share of the cells that are obstacles, about."""
DANGER_RISK = 0.2
"""Probability that a cell is the danger of which one beside it warns, as far as one can see."""


def moves_of(p_slip: float) -> tuple[tuple[float, ...], ...]:
    """Return P(displacement | action) of stay, N, E, S and W where no cell is blocked."""
    north = (1.0 - p_slip, 0.5 * p_slip, 0.0, 0.5 * p_slip)
    turned = (np.roll(north, action).tolist() for action in range(4))
    return ((1.0, 0.0, 0.0, 0.0, 0.0), *((0.0, *move) for move in turned))


@struct.dataclass
class GridworldTask(Task):
    """One grid: each cell's tile, and the probability that a move slips, on all tiles but water.

    If the grid is not accepted as one of the distribution, every reward is NaN.
    """

    tiles: Int[Array, " S"] = struct.field(default=None)  # gymnax's field has a default
    p_slip: Float[Array, ""] = struct.field(default=None)
    accepted: Bool[Array, ""] = struct.field(default=None)


@dataclasses.dataclass(frozen=True)
class Gridworld(TabularFamily[GridworldTask]):
    """Gridworld navigation: from the centre to the goal, round obstacles, water and dangers.

    Five actions: stay, N, E, S, W. Cell s lies in row s // side and column s % side. The policy sees the
    row and the column, from one, as fractions of the side. Goal and dangers end an episode, which may else
    last the whole trial.

    Attributes:
      attempts: candidate grids that are drawn before sampling fails.
    """

    family: ClassVar[str] = "gridworld"
    variations: ClassVar[tuple[str, ...]] = tuple(LAYOUTS)
    discovered: ClassVar[bool] = True
    smoothing: ClassVar[float] = 0.01
    tolerance: ClassVar[float] = 0.1
    summary_names: ClassVar[tuple[str, ...]] = ("found", "goals", "dangers", "first_goal_step", "still")
    progress_names: ClassVar[tuple[str, ...]] = ("found", "goals")
    action_names: ClassVar[tuple[str, ...]] = ("stay", "N", "E", "S", "W")
    num_successors: ClassVar[int] = 5  # a cell and its four neighbours

    variation: str = "11x11"
    attempts: Count = 100

    @property
    def layout(self) -> grids.Layout:
        """Parameters of the variation."""
        return LAYOUTS[self.variation]

    def picture(self, task: GridworldTask, states: TabularState) -> Tiles:
        """Return the grid."""
        side = self.layout.side
        return Tiles(np.asarray(task.tiles).reshape(side, side), grids.TILE_KINDS)

    @property
    def num_states(self) -> int:
        """Number of cells S."""
        return self.layout.num_cells

    @property
    def num_actions(self) -> int:
        """Five."""
        return len(self.action_names)

    @property
    def trial_length(self) -> int:
        """The paper's (design, section 7)."""
        return {11: 250, 13: 350}[self.layout.side]

    @property
    def start_state(self) -> int:
        """The cell in the centre."""
        return self.layout.centre

    @property
    def coordinate_bounds(self) -> Bounds:
        """Least and largest row/side and column/side, half a cell beyond the outermost centres."""
        half = 0.5 / self.layout.side
        return ((half, 1.0 + half),) * 2

    @property
    def axes(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.layout.side, self.layout.side

    @property
    def grid(self) -> Grid:
        """What is known of all tasks of the base variation of this size, whatever the variation."""
        side = self.layout.side
        layout = LAYOUTS[f"{side}x{side}"]
        ends = np.isin(np.arange(layout.num_cells), grids.goal_cells(layout))
        return Grid(
            rows=side,
            columns=side,
            moves=moves_of(layout.p_slip),
            slippery=TILE_REWARD[WATER],
            slippery_moves=moves_of(1.0),
            blocked=OBSTACLE_SHARE,
            largest_reward=tuple(np.where(ends, TILE_REWARD[GOAL], TILE_REWARD[FREE]).tolist()),
            ends=tuple(ends.tolist()),
            usual_reward=TILE_REWARD[FREE],
            danger=TILE_REWARD[DANGER],
            warning=TILE_REWARD[WARNING],
            risk=DANGER_RISK,
        )

    def cell(self, state: TabularState) -> Int[Array, "2"]:
        """Return row and column, from 0."""
        return jnp.stack([state.s // self.layout.side, state.s % self.layout.side])

    @property
    def neighbour_radius(self) -> float:
        """Just above the distance 1/side of two cells that share an edge (design, section 5.4)."""
        return {11: 0.1, 13: 0.08}[self.layout.side]

    def sample_task(self, key: PRNGKeyArray) -> GridworldTask:
        """Draw the first candidate grid that is accepted, of at most `attempts`.

        If none is, the task says so: `accepted` is False and every reward NaN. The key is consumed.
        """

        def try_again(carry: tuple[GridworldTask, Array]) -> Array:
            task, tried = carry
            return ~task.accepted & (tried < self.attempts)

        def candidate(carry: tuple[GridworldTask, Array]) -> tuple[GridworldTask, Array]:
            _, tried = carry
            return self.sample_candidate(jax.random.fold_in(key, tried)), tried + 1

        none = self._task(jnp.zeros(self.num_states, jnp.int8), jnp.bool_(False))
        return jax.lax.while_loop(try_again, candidate, (none, jnp.int32(0)))[0]

    def sample_candidate(self, key: PRNGKeyArray) -> GridworldTask:
        """Draw one grid, accepted or not. The key is consumed.

        A grid is accepted if the optimal undiscounted 100-step return lies within [50, 100]; and if there
        was a place for each danger, which the reference would look for without end.
        """
        tiles, placed = grids.draw_tiles(self.layout, key)
        best = self.optimal_return(self._task(tiles, placed))
        return self._task(tiles, placed & (best >= LEAST_RETURN) & (best <= LARGEST_RETURN))

    def _task(self, tiles: Int[Array, " S"], accepted: Bool[Array, ""]) -> GridworldTask:
        """Return the task of a grid of tiles."""
        p_slip = jnp.float32(self.layout.p_slip)
        return GridworldTask(tiles=tiles, p_slip=p_slip, accepted=accepted, max_steps_in_episode=UNLIMITED)

    def optimal_return(self, task: GridworldTask) -> Float[Array, ""]:
        """Return the optimal undiscounted 100-step return of one episode."""
        grid = grids.dynamics(task.tiles, task.p_slip)
        return grids.episode_values(grid, RETURN_STEPS)[self.start_state]

    def statistics(self, tasks: GridworldTask) -> dict[str, Float[Array, " N"]]:
        """Return numbers of each of N grids; NaN for those that are not accepted."""
        count = {kind: (tasks.tiles == kind).sum(axis=1) for kind in (OBSTACLE, WATER, DANGER, WARNING)}
        numbers = {
            "optimal_return": jax.vmap(self.optimal_return)(tasks),
            "obstacle_density": count[OBSTACLE] / self.num_states,
            "water_tiles": count[WATER],
            "danger_tiles": count[DANGER],
            "warning_tiles": count[WARNING],
            "path_length": jax.vmap(lambda tiles: grids.path_length(tiles, self.start_state))(tasks.tiles),
        }
        of_accepted = {name: jnp.where(tasks.accepted, x, jnp.nan) for name, x in numbers.items()}
        return {"acceptance_rate": tasks.accepted.astype(jnp.float32)} | of_accepted

    def summarise_trial(self, task: GridworldTask, steps: Step) -> dict[str, Float[Array, ""]]:
        """Return how often the goal and dangers were reached, and how much the agent moved."""
        cell, next_cell = steps.state.index, steps.next_state.index
        at_goal, in_danger = task.tiles[next_cell] == GOAL, task.tiles[next_cell] == DANGER
        goes_on = ~(steps.terminated | steps.truncated)
        return {
            "found": at_goal.any().astype(jnp.float32),
            "goals": at_goal.sum().astype(jnp.float32),
            "dangers": in_danger.sum().astype(jnp.float32),
            "first_goal_step": jnp.where(at_goal.any(), at_goal.argmax() + 1.0, jnp.nan),
            "still": ((next_cell == cell) & goes_on).sum() / goes_on.sum(),  # 0 / 0 is NaN: no step went on
        }

    def get_obs(
        self, state: TabularState, params: GridworldTask | None = None, key: PRNGKeyArray | None = None
    ) -> Float[Array, "2"]:
        """Return (row/side, column/side), from one."""
        return (self.cell(state) + 1) / self.layout.side

    def observation_space(self, params: GridworldTask | None = None) -> spaces.Box:
        """Two numbers above 0 and up to 1."""
        return spaces.Box(0.0, 1.0, (2,))

    def concrete(self, state: TabularState, task: GridworldTask) -> ConcreteState:
        """Return the cell and its coordinates."""
        return ConcreteState(index=state.s, coordinates=self.get_obs(state, task))

    def is_terminated(self, state: TabularState, params: GridworldTask) -> Bool[Array, ""]:
        """Whether the goal or a danger was entered; `step_env` finds out by the tile that it knows."""
        return grids.is_absorbing(params.tiles[state.s])

    def step_env(self, key: PRNGKeyArray, state: TabularState, action: Action, params: GridworldTask):
        """Move, or slip to the left or the right of the move. The key is consumed."""
        side, tile = self.layout.side, look_up(params.tiles, state.s)
        draw = jax.random.uniform(key)
        p_slip = jnp.where(tile == WATER, 1.0, params.p_slip)
        # Of the draws that slip, the lower half turns left: 90° are one action on, N E S W N.
        turn = jnp.where(draw < p_slip, jnp.where(draw < 0.5 * p_slip, -1, 1), 0)
        move = jnp.where(action == 0, 0, (action - 1 + turn) % 4 + 1)
        north, east, south, west = (jnp.int32(move == index) for index in range(1, 5))
        row, column = state.s // side + south - north, state.s % side + east - west
        inside = (row >= 0) & (row < side) & (column >= 0) & (column < side)
        ahead = jnp.where(inside, row * side + column, state.s)
        tile_ahead = look_up(params.tiles, ahead)
        # One tile more is looked up, not two: what is entered is that ahead, or the one left.
        blocked = tile_ahead == OBSTACLE
        next_s, entered = jnp.where(blocked, state.s, ahead), jnp.where(blocked, tile, tile_ahead)
        reward = jnp.where(params.accepted, grids.tile_reward(entered), jnp.nan)
        return self.arrive(state, next_s, reward, params, grids.is_absorbing(entered))
