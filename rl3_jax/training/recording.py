"""One trial of an agent, step by step, as arrays of the host."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PyTree, Shaped

from rl3_jax.object_rl import Tiling
from rl3_jax.ppo import policy_acting
from rl3_jax.programs import jit_of_few
from rl3_jax.tasks import ConcreteState, Task
from rl3_jax.training.evaluation import Agent, held_out_tasks
from rl3_jax.training.train import Purpose, stream, task_keys
from rl3_jax.trial import Moment, TrialEnv, TrialState, rollout, trial_keys

LARGEST_TABLE = 2000
"""States of which all values are kept, at each step."""


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
        S is above `LARGEST_TABLE`, or if its tiles are not the places.
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


def record(env: TrialEnv, agent: Agent, seed: int) -> tuple[Task, Recording]:
    """Return the first of the held-out tasks that a seed names, and the trial on it that evaluation runs."""
    return jax.tree.map(np.asarray, _record(env, agent, jnp.int32(seed)))


@jit_of_few(["env"])
def _record(env: TrialEnv, agent: Agent, seed: Int[Array, ""]) -> tuple[Task, Recording]:
    tasks = held_out_tasks(env, seed, 0, 1)
    keys = task_keys(stream(jax.random.key(seed), Purpose.EVALUATION_TRIAL), 0, 1)
    task = jax.tree.map(lambda x: x[0], tasks)

    def keep(now: Moment) -> Recording:
        planned, place = env.features.uses_object_rl, now.step.state.index
        known = env.action_values(now.state)
        return Recording(
            inner=now.state.inner,
            # What object-level RL saw are tiles, where states have no integer.
            place=now.transition.s if planned and place is None else place,
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
    if num_places > LARGEST_TABLE or (tiled and num_states):
        return None

    def values(place):
        if tiled:
            return env.learner.values(rl.table, known.learner, place).q
        # Both other abstractions find a state that was met by its index alone, and put one that was not
        # beyond the table's end.
        at = ConcreteState(place, None)
        return jnp.where(rl.locate(known, at) < rl.table.num_states, rl.values(known, at).q, jnp.nan)

    return jax.vmap(values)(jnp.arange(num_places))
