"""Trials of an agent, step by step: many as one compiled call, or one with all that is drawn of it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree, Shaped

from rl3_jax.object_rl import Clusters, Hashed, Identity, Tiling
from rl3_jax.ppo import policy_acting
from rl3_jax.programs import jit_of_few
from rl3_jax.tasks import ConcreteState, Task
from rl3_jax.training.evaluation import Agent, drawn
from rl3_jax.trial import Moment, TrialEnv, TrialState, rollout, trial_keys

LARGEST_TABLE = 2000
"""States of which all values are kept, at each step."""


@struct.dataclass
class TrialSteps:
    """The H steps of one trial on each of N tasks.

    Attributes:
      tasks: [N, …] the tasks.
      states: [N, H, …] the task's own state before each step; its `time` counts the steps of the episode.
      observations: what the agent saw before each step.
      actions: what it did, as `env.step_env` takes it.
      rewards: what each step paid.
      terminated: whether a step ended its episode in an absorbing state.
      truncated: whether it ended its episode otherwise.
    """

    tasks: PyTree
    states: PyTree
    observations: Float[Array, "N H D"]
    actions: Int[Array, "N H"] | Float[Array, "N H n"]
    rewards: Float[Array, "N H"]
    terminated: Bool[Array, "N H"]
    truncated: Bool[Array, "N H"]


@jit_of_few(["env", "num_tasks"])
def record_trials(env: TrialEnv, agent: Agent, key: PRNGKeyArray, num_tasks: int) -> TrialSteps:
    """Return one trial on each of `num_tasks` tasks drawn afresh. The key is consumed."""

    def keep(now: Moment):
        ended = now.step.terminated, now.step.truncated
        return now.state.inner, now.observation, now.action, now.reward, *ended

    tasks, keys = drawn(env, key, 0, num_tasks)
    acting = policy_acting(agent.policy, {"actor": agent.params}, agent.greedy)
    kept = rollout(env, acting, tasks, *trial_keys(keys, env.horizon), keep).kept
    return TrialSteps(tasks, *jax.tree.map(lambda x: x.swapaxes(0, 1), kept))


@struct.dataclass
class Recording:
    """The state before each of H steps, the action taken, and its outcome.

    Attributes:
      inner: the task's own state.
      place: its integer; of vectors the tile, or None without tiles.
      observation: what the policy saw of it.
      parameters: of the distribution of the action.
      table_action: what the action counts as in a table.
      ended: whether the episode ended with this step.
      table: values of object-level RL in each place, NaN where it has none; None without object-level RL, if
        S is above `LARGEST_TABLE`, or if a place alone does not say which state it is to the learner.
      q, counts: values of the current state, and how often each action had been taken in it; None without
        object-level RL.
    """

    inner: PyTree
    place: Int[Any, " H"] | None
    observation: Shaped[Any, "H ..."]
    parameters: Float[Any, "H P"]
    action: Shaped[Any, "H ..."]
    table_action: Int[Any, " H"]
    reward: Float[Any, " H"]
    ended: Bool[Any, " H"]
    table: Float[Any, "H S A"] | None
    q: Float[Any, "H A"] | None
    counts: Float[Any, "H A"] | None


def record(env: TrialEnv, agent: Agent, seed: int, index: int = 0) -> tuple[Task, Recording]:
    """Return one of the held-out tasks that a seed names, and the trial on it that evaluation runs."""
    return jax.tree.map(np.asarray, _record(env, agent, jnp.int32(seed), jnp.int32(index)))


@jit_of_few(["env"])
def _record(
    env: TrialEnv, agent: Agent, seed: Int[Array, ""], index: Int[Array, ""]
) -> tuple[Task, Recording]:
    tasks, keys = drawn(env, jax.random.key(seed), index, 1)
    task = jax.tree.map(lambda x: x[0], tasks)

    def keep(now: Moment) -> Recording:
        planned, place = env.features.uses_object_rl, now.step.state.index
        tiled = planned and isinstance(env.abstraction, Tiling)
        known = env.action_values(now.state)
        return Recording(
            inner=now.state.inner,
            # What object-level RL saw are tiles, where states have no integer.
            place=now.transition.s if tiled and place is None else place,
            observation=env.family.get_obs(now.state.inner, task),
            parameters=agent.policy.distribution.parameters(now.chosen[1]),
            action=now.action,
            table_action=now.transition.a,
            reward=now.reward,
            ended=now.transition.terminated | now.transition.truncated,
            table=_table(env, now.state) if planned else None,
            q=known.q if planned else None,
            counts=known.counts if planned else None,
        )

    acting = policy_acting(agent.policy, {"actor": agent.params}, agent.greedy)
    rows = rollout(env, acting, tasks, *trial_keys(keys, env.horizon), keep).kept
    return task, jax.tree.map(lambda x: x[:, 0], rows)


def _table(env: TrialEnv, state: TrialState) -> Float[Array, "S A"] | None:
    """Return the values that object-level RL has in each place, if there are not too many."""
    rl, known = env.object_rl, state.object_rl
    tiled, num_states = isinstance(env.abstraction, Tiling), env.family.num_states
    num_places = num_states or rl.table.num_states
    if num_places > LARGEST_TABLE or not (_by_index(env) if num_states else tiled):
        return None

    def values(place):
        if tiled:
            return env.learner.values(rl.table, known.learner, place).q
        # Clusters put a state that was not met beyond the table's end.
        at = ConcreteState(place, None)
        return jnp.where(rl.locate(known, at) < rl.table.num_states, rl.values(known, at).q, jnp.nan)

    return jax.vmap(values)(jnp.arange(num_places))


def _by_index(env: TrialEnv) -> bool:
    """Whether the abstraction finds a state by its index alone, without coordinates."""
    if isinstance(env.abstraction, Hashed):
        return not env.abstraction.bins
    return isinstance(env.abstraction, (Identity, Clusters))
