"""Behaviours that know the goal, for gridworlds and for families of gymnax environments."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments.misc.frozen_lake import GOAL, HOLE
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax.baselines.common import Baseline
from rl3_jax.tasks import Action, FourRoomsTasks, FrozenLakes, GridworldTask, GymnaxTask, MetaMazes
from rl3_jax.tasks import gridworld_map as grids
from rl3_jax.trial import TrialEnv, TrialState

EPISODE_SWEEPS = 1000
"""Sweeps after which the values of an episode without end count as converged."""


@struct.dataclass
class TrialPlanner(Baseline):
    """A clairvoyant that plans the whole trial beforehand.

    `init`, which each overrides, returns [H, S] the best action in each state for k = 1, …, H steps to go, at
    index k − 1.
    """

    def action(self, env: TrialEnv, memory: Array, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return the best action for the steps that are left. The key is not used."""
        index = env.family.concrete(state.inner, state.task).index
        assert index is not None, "states must be integers"
        return memory[env.horizon - 1 - state.time, index].astype(jnp.int32)


@struct.dataclass
class ClairvoyantEpisode(TrialPlanner):
    """The stationary policy that is optimal for one undiscounted episode without end."""

    def init(self, env: TrialEnv, task: GridworldTask) -> Int[Array, "H S"]:
        """Return the best action in each cell, the same for each number of steps to go."""
        grid = grids.dynamics(task.tiles, task.p_slip)
        entry = grids.entry_values(grid, grids.episode_values(grid, EPISODE_SWEEPS))
        policy = grids.action_values(grid, entry).argmax(axis=0).astype(jnp.int8)
        return jnp.broadcast_to(policy, (env.horizon, *policy.shape))


@struct.dataclass
class ClairvoyantTrial(TrialPlanner):
    """The clairvoyant optimum of a gridworld: dynamic programming over the restarting trial.

    V_0 = 0, V_k(s) = max_a Σ_s' P(s'|s,a) (r(s') + V_{k−1}(s')), and V_k(s) = V_k(start) where s is
    absorbing: the next episode starts there, in the centre, with the steps that are left.
    """

    def init(self, env: TrialEnv, task: GridworldTask) -> Int[Array, "H S"]:
        """Return the best action in each cell for each number of steps to go."""
        grid = grids.dynamics(task.tiles, task.p_slip)
        start, nothing_left = len(grid.reward) // 2, jnp.zeros_like(grid.reward)

        def earlier(entry, _):
            policy = grids.action_values(grid, entry).argmax(axis=0).astype(jnp.int8)
            value = grids.best_value(grid, entry)
            return grids.entry_values(grid, jnp.where(grid.absorbing, value[start], value)), policy

        return jax.lax.scan(earlier, grids.entry_values(grid, nothing_left), length=env.horizon)[1]


@struct.dataclass
class Straight(Baseline):
    """The clairvoyant optimum of `point-robot`: each coordinate goes to the goal's as fast as it may."""

    def init(self, env: TrialEnv, task: Any) -> Float[Array, " 2"]:
        """Return the goal."""
        return task.fields["goal"]

    def action(self, env: TrialEnv, memory: Array, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return the step that leads nearest to the goal. The key is not used."""
        inner: Any = state.inner
        space: Any = env.action_space()
        return jnp.clip(memory - inner.wrapped.pos, space.low, space.high)


@struct.dataclass
class Cells:
    """A task with four moves between S cells, whose episodes start in one cell.

    Attributes:
      neighbours: [S, 4] to which cell each move leads.
      chance: [4, 4] probability that an action (row) ends in each move.
      reward: [S] reward for reaching a cell.
      landing: [S, S] probability of each cell in which one that reaches a cell is put.
      ends: [S] whether being put into a cell ends the episode.
      start: [] cell in which episodes start.
    """

    neighbours: Int[Array, "S 4"]
    chance: Float[Array, "4 4"]
    reward: Float[Array, " S"]
    landing: Float[Array, "S S"]
    ends: Bool[Array, " S"]
    start: Int[Array, ""]


@struct.dataclass
class MapReader(TrialPlanner):
    """The clairvoyant optimum of a maze or lake, by dynamic programming over the restarting trial.

    V_k(s) = max_a Σ_m P(m|a) (r(s'_m) + Σ_c L(c|s'_m) W_{k−1}(c)), where s'_m is where move m leads, L the
    landing, and W(c) is V(c), or V of the start where c ends the episode.

    It is the optimum of a trial whose episodes are not truncated: where many are, another behaviour may do
    better.
    """

    def init(self, env: TrialEnv, task: Any) -> Int[Array, "H S"]:
        """Return the best action in each cell for each number of steps to go."""
        cells = read_cells(env.family, task)

        def earlier(value, _):
            after = jnp.where(cells.ends, value[cells.start], value)
            entry = cells.reward + jnp.matmul(cells.landing, after, precision=jax.lax.Precision.HIGHEST)
            q = jnp.matmul(entry[cells.neighbours], cells.chance.T, precision=jax.lax.Precision.HIGHEST)
            return q.max(axis=1), q.argmax(axis=1).astype(jnp.int8)

        return jax.lax.scan(earlier, jnp.zeros(len(cells.reward)), length=env.horizon)[1]


def read_cells(family: Any, task: GymnaxTask) -> Cells:
    """Return a task of a maze or lake in the form in which it is planned on."""
    return _lake_cells(family, task) if isinstance(family, FrozenLakes) else _maze_cells(family, task)


def _lake_cells(family: FrozenLakes, task: GymnaxTask) -> Cells:
    """Return the cells of a lake; moves are west, south, east, north."""
    side, tiles = family.side, task.params.desc.ravel()
    cells = np.stack(np.divmod(np.arange(side**2), side), axis=1)
    moves = np.array([(0, -1), (1, 0), (0, 1), (-1, 0)])
    neighbours = np.clip(cells[:, None] + moves, 0, side - 1) @ (side, 1)
    lake: Any = family.environment
    ahead = lake.success_rate if lake.is_slippery else 1.0
    aside = np.roll(np.eye(4), 1, axis=1) + np.roll(np.eye(4), -1, axis=1)
    return Cells(
        neighbours=jnp.asarray(neighbours),
        chance=jnp.asarray(ahead * np.eye(4) + (1.0 - ahead) / 2 * aside, jnp.float32),
        reward=(tiles == GOAL).astype(jnp.float32),
        landing=jnp.eye(side**2),
        ends=(tiles == GOAL) | (tiles == HOLE),
        start=jnp.int32(0),
    )


def _maze_cells(family: FourRoomsTasks | MetaMazes, task: GymnaxTask) -> Cells:
    """Return the cells of a maze; moves are north, east, south, west."""
    number = family.num_states
    is_goal = jnp.arange(number) == jnp.asarray(family.cell_number)[tuple(task.fields["goal"])]
    teleports = isinstance(family, MetaMazes)
    fail = jnp.float32(0.0) if teleports else task.params.fail_prob
    return Cells(
        neighbours=jnp.asarray(family.neighbours),
        chance=(1.0 - fail) * jnp.eye(4) + fail / 3 * (1.0 - jnp.eye(4)),
        reward=is_goal * (task.params.reward if teleports else jnp.float32(1.0)),
        landing=jnp.where(is_goal[:, None] & teleports, 1.0 / number, jnp.eye(number)),
        ends=is_goal,
        start=jnp.int32(family.cell_number[tuple(family.start)]),
    )
