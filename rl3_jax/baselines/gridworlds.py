"""Optima of gridworld navigation for those who know the grid."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.baselines.common import Baseline
from rl3_jax.baselines.planning import concrete_index, planned_action
from rl3_jax.tasks import GridworldTask
from rl3_jax.tasks.gridworld_map import (
    Dynamics,
    action_values,
    best_value,
    dynamics,
    entry_values,
    episode_values,
)
from rl3_jax.trial import TrialEnv, TrialState

EPISODE_SWEEPS = 1000
"""Sweeps after which the values of an episode without end count as converged."""


@struct.dataclass
class ClairvoyantEpisode(Baseline):
    """The stationary policy that is optimal for one undiscounted episode; no hyperparameters.

    It acts as if the trial were never over and no other episode followed.
    """

    def init(self, env: TrialEnv, task: GridworldTask) -> Int[Array, " S"]:
        """Return the action in each cell."""
        return episode_policy(dynamics(task.tiles, task.p_slip))

    def act(
        self,
        env: TrialEnv,
        memory: Int[Array, " S"],
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Int[Array, " S"], Int[Array, ""]]:
        """Return the action. The key is not used."""
        return memory, memory[concrete_index(env, state)].astype(jnp.int32)


@struct.dataclass
class ClairvoyantTrial(Baseline):
    """The clairvoyant optimum: dynamic programming over the restarting trial; no hyperparameters."""

    def init(self, env: TrialEnv, task: GridworldTask) -> Int[Array, "H S"]:
        """Return the action in each cell for 1, …, H steps to go."""
        return trial_policy(dynamics(task.tiles, task.p_slip), env.horizon)

    def act(
        self,
        env: TrialEnv,
        memory: Int[Array, "H S"],
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Int[Array, "H S"], Int[Array, ""]]:
        """Return the action. The key is not used."""
        return memory, planned_action(env, memory, state)


def episode_policy(grid: Dynamics) -> Int[Array, " S"]:
    """Return the action in each cell that is optimal for one undiscounted episode without end."""
    value = episode_values(grid, EPISODE_SWEEPS)
    return action_values(grid, entry_values(grid, value)).argmax(axis=0).astype(jnp.int8)


def trial_policy(grid: Dynamics, horizon: int) -> Int[Array, "H S"]:
    """Return the optimal action in each cell for k = 1, …, H steps to go, at index k − 1.

    V_0 = 0, V_k(s) = max_a Σ_s' P(s'|s,a) (r(s') + V_{k−1}(s')), and V_k(s) = V_k(start) where s is
    absorbing: the next episode starts there, in the centre, with the steps that are left.
    """
    start = len(grid.reward) // 2

    def earlier(entry, _):
        policy = action_values(grid, entry).argmax(axis=0).astype(jnp.int8)
        value = best_value(grid, entry)
        return entry_values(grid, jnp.where(grid.absorbing, value[start], value)), policy

    return jax.lax.scan(earlier, entry_values(grid, jnp.zeros_like(grid.reward)), length=horizon)[1]
