"""Behaviours that know the goal, for families of gymnax environments."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments.misc.frozen_lake import GOAL, HOLE
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax.baselines.common import Baseline
from rl3_jax.baselines.planning import planned_action
from rl3_jax.tasks import FourRoomsTasks, FrozenLakes, GymnaxTask, MetaMazes
from rl3_jax.trial import TrialEnv, TrialState


@struct.dataclass
class Straight(Baseline):
    """The clairvoyant optimum of `point-robot`: each coordinate goes to the goal's as fast as it may.

    No other behaviour is nearer to the goal at any step.
    """

    def init(self, env: TrialEnv, task: Any) -> Float[Array, " 2"]:
        """Return the goal."""
        return task.fields["goal"]

    def act(
        self,
        env: TrialEnv,
        memory: Float[Array, " 2"],
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, " 2"], Float[Array, " 2"]]:
        """Return the step that leads nearest to the goal. The key is not used."""
        inner: Any = state.inner
        space: Any = env.action_space()
        return memory, jnp.clip(memory - inner.wrapped.pos, space.low, space.high)


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


def plan(cells: Cells, num_steps: int) -> Int[Array, "H S"]:
    """Return the best action for k = 1, …, H steps to go, at index k − 1.

    V_k(s) = max_a Σ_m P(m|a) (r(s'_m) + Σ_c L(c|s'_m) W_{k−1}(c)), where s'_m is where move m leads, and
    W(c) is V(c), or V of the start where c ends the episode. The limit on an episode's length is left out.

    Args:
      cells: the task.
      num_steps: H.
    """

    def earlier(value, _):
        after = jnp.where(cells.ends, value[cells.start], value)
        entry = cells.reward + jnp.matmul(cells.landing, after, precision=jax.lax.Precision.HIGHEST)
        q = jnp.matmul(entry[cells.neighbours], cells.chance.T, precision=jax.lax.Precision.HIGHEST)
        return q.max(axis=1), q.argmax(axis=1).astype(jnp.int8)

    _, actions = jax.lax.scan(earlier, jnp.zeros(len(cells.reward)), length=num_steps)
    return actions


@struct.dataclass
class MapReader(Baseline):
    """The clairvoyant optimum of a maze or lake, by dynamic programming over the restarting trial.

    It is the optimum of a trial whose episodes are not truncated: the plan does not look at how long an
    episode has lasted. Where truncation cuts many episodes short, another behaviour may do better.
    """

    def init(self, env: TrialEnv, task: Any) -> Int[Array, "H S"]:
        """Return the best action of each cell for each number of steps to go."""
        return plan(read_cells(env.family, task), env.horizon)

    def act(
        self,
        env: TrialEnv,
        memory: Int[Array, "H S"],
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Int[Array, "H S"], Int[Array, ""]]:
        """Return the best action for the steps that are left. The key is not used."""
        return memory, planned_action(env, memory, state)


def read_cells(family: Any, task: GymnaxTask) -> Cells:
    """Return a task of a maze or lake in the form in which it is planned on."""
    if isinstance(family, FrozenLakes):
        return _lake_cells(family, task)
    if isinstance(family, (FourRoomsTasks, MetaMazes)):
        return _maze_cells(family, task)
    raise TypeError(f"{family.family} has no cells")


def _lake_cells(family: FrozenLakes, task: GymnaxTask) -> Cells:
    """Return the cells of a lake; moves are west, south, east, north."""
    side, tiles = family.side, task.params.desc.ravel()
    row, column = np.divmod(np.arange(side**2), side)
    moves = ((0, -1), (1, 0), (0, 1), (-1, 0))
    neighbours = [
        np.clip(row + down, 0, side - 1) * side + np.clip(column + right, 0, side - 1)
        for down, right in moves
    ]
    lake: Any = family.environment
    ahead = lake.success_rate if lake.is_slippery else 1.0
    aside = np.roll(np.eye(4), 1, axis=1) + np.roll(np.eye(4), -1, axis=1)
    return Cells(
        neighbours=jnp.asarray(np.stack(neighbours, axis=1)),
        chance=jnp.asarray(ahead * np.eye(4) + (1.0 - ahead) / 2 * aside, jnp.float32),
        reward=(tiles == GOAL).astype(jnp.float32),
        landing=jnp.eye(side**2),
        ends=(tiles == GOAL) | (tiles == HOLE),
        start=jnp.int32(0),
    )


def _maze_cells(family: FourRoomsTasks | MetaMazes, task: GymnaxTask) -> Cells:
    """Return the cells of a maze; moves are north, east, south, west."""
    goal = jnp.asarray(family.cell_number)[tuple(task.fields["goal"])]
    number = family.num_states
    is_goal = jnp.arange(number) == goal
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
