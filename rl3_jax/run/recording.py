"""One trial of an agent, step by step, as arrays of the host."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree, Shaped

from rl3_jax.object_rl import ActionValues, Tiling
from rl3_jax.policies import Policy
from rl3_jax.ppo import policy_acting
from rl3_jax.tasks import ConcreteState, Task
from rl3_jax.training import Agent, Purpose, held_out_tasks, stream, task_keys
from rl3_jax.trial import Moment, TrialEnv, TrialState, rollout, trial_keys

LARGEST_TABLE = 2000
"""States of which all values are kept, at each step."""


@dataclasses.dataclass(frozen=True)
class Recording:
    """The state before each of H steps, the action taken, and its outcome.

    Attributes:
      inner: [H] the task's own state.
      index: [H] its integer, or None where states are vectors.
      observation: [H] or [H, n] what the policy saw of the task's state.
      parameters: [H, P] of the distribution of the action.
      action: [H] or [H, n] the action taken.
      reward: [H] its reward.
      ended: [H] whether the episode ended with this step.
      table: [H, S, A] values of object-level RL in each integer state, NaN where it has none, or in each
        tile of vectors; None without object-level RL, and if S is above `LARGEST_TABLE`.
      visits: [H, S, A] how often each action had been taken there, or None likewise.
      q: [H, A] values of the current state, or None without object-level RL.
      counts: [H, A] how often each action had been taken in it, or None likewise.
    """

    inner: PyTree
    index: Int[np.ndarray, " H"] | None
    observation: Shaped[np.ndarray, "H ..."]
    parameters: Float[np.ndarray, "H P"]
    action: Shaped[np.ndarray, "H ..."]
    reward: Float[np.ndarray, " H"]
    ended: Bool[np.ndarray, " H"]
    table: Float[np.ndarray, "H S A"] | None
    visits: Float[np.ndarray, "H S A"] | None
    q: Float[np.ndarray, "H A"] | None
    counts: Float[np.ndarray, "H A"] | None


def record(env: TrialEnv, agent: Agent, seed: int) -> tuple[Task, Recording]:
    """Return the first held-out task of a set, and the trial on it that evaluation runs.

    Args:
      env: the trial.
      agent: who acts.
      seed: names the set of tasks, as in `evaluate`.
    """
    task, rows = _record(env, agent.policy, agent.greedy, agent.params, seed)
    return jax.tree.map(np.asarray, task), Recording(**jax.tree.map(np.asarray, rows))


@partial(jax.jit, static_argnames=("env", "policy", "greedy"))
def _record(
    env: TrialEnv, policy: Policy, greedy: bool, params: PyTree, seed: Int[Array, ""]
) -> tuple[Task, dict[str, Any]]:
    """Return the task and the fields of `Recording`."""
    tasks = held_out_tasks(env, seed, 0, 1)
    keys = task_keys(stream(jax.random.key(seed), Purpose.EVALUATION_TRIAL), 0, 1)
    task = jax.tree.map(lambda x: x[0], tasks)

    def keep(now: Moment) -> dict[str, Any]:
        state = now.state
        known = env.action_values(state) if env.features.uses_object_rl else None
        table = _table(env, state)
        return {
            "inner": state.inner,
            "index": now.step.state.index,
            "observation": env.family.get_obs(state.inner, task),
            "parameters": policy.distribution.parameters(now.chosen[1]),
            "action": now.action,
            "reward": now.reward,
            "ended": now.transition.terminated | now.transition.truncated,
            "table": None if table is None else table.q,
            "visits": None if table is None else table.counts,
            "q": None if known is None else known.q,
            "counts": None if known is None else known.counts,
        }

    acting = policy_acting(policy, {"actor": params}, greedy)
    rows = rollout(env, acting, tasks, *trial_keys(keys, env.horizon), keep).kept
    return task, jax.tree.map(lambda x: x[:, 0], rows)


def _table(env: TrialEnv, state: TrialState) -> ActionValues | None:
    """Return what object-level RL knows about each integer state or tile, if there are not too many."""
    if not env.features.uses_object_rl:
        return None
    rl, known = env.object_rl, state.object_rl
    tiled = isinstance(env.abstraction, Tiling)
    num_states = rl.table.num_states if tiled else env.family.num_states
    if not 0 < num_states <= LARGEST_TABLE:
        return None

    def values(index):
        if tiled:
            return env.learner.values(rl.table, known.learner, index)
        # Both other abstractions find a state that was met by its index alone, and put one that was not
        # beyond the table's end.
        at = ConcreteState(index, None)
        inside = rl.locate(known, at) < rl.table.num_states
        found = rl.values(known, at)
        return ActionValues(
            q=jnp.where(inside, found.q, jnp.nan), counts=jnp.where(inside, found.counts, 0.0)
        )

    return jax.vmap(values)(jnp.arange(num_states))
