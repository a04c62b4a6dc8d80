"""Running any way of behaving, learnt or classic, through trials: evaluation is made of this."""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray

from rl3_jax.object_rl import Transition
from rl3_jax.tasks import Action, Task
from rl3_jax.trial.env import TrialEnv, TrialState


@runtime_checkable
class Behaviour(Protocol):
    """A way of behaving in a trial: a pytree whose methods are for one task.

    Its memory is any pytree of arrays, made anew for each trial.
    """

    def init(self, env: TrialEnv, task: Any) -> Any:
        """Return the memory before the trial. Only a clairvoyant may look at the task."""
        ...

    def begin_episode(self, env: TrialEnv, memory: Any, state: TrialState, key: PRNGKeyArray) -> Any:
        """Return the memory at an episode's first step: the place to plan. The key is consumed."""
        ...

    def act(
        self,
        env: TrialEnv,
        memory: Any,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Any, Action]:
        """Return the memory and an action. The key is consumed."""
        ...

    def learn(self, env: TrialEnv, memory: Any, transition: Transition) -> Any:
        """Return the memory after a step of the task."""
        ...


@struct.dataclass
class BehaviourBase:
    """A `Behaviour` that remembers, plans and learns nothing; each overrides what it needs."""

    def init(self, env: TrialEnv, task: Any) -> Any:
        """Return no memory."""
        return ()

    def begin_episode(self, env: TrialEnv, memory: Any, state: TrialState, key: PRNGKeyArray) -> Any:
        """Return the memory unchanged: nothing is planned. The key is not used."""
        return memory

    def act(
        self,
        env: TrialEnv,
        memory: Any,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Any, Action]:
        """Return the memory and an action. The key is consumed."""
        raise NotImplementedError

    def learn(self, env: TrialEnv, memory: Any, transition: Transition) -> Any:
        """Return the memory unchanged: nothing is learnt."""
        return memory


class Trials(NamedTuple):
    """What one trial of each of B tasks came to.

    Attributes:
      rewards: [B, H] reward of each step.
      ends: [B, H] whether a step ended its episode, by termination or truncation.
      dropped: [B] transitions that object-level RL could not keep in its model.
      summary: [B] each of the numbers by which the family sums up a trial, by name.
    """

    rewards: Float[Array, "B H"]
    ends: Bool[Array, "B H"]
    dropped: Int[Array, " B"]
    summary: dict[str, Float[Array, " B"]]


def run_trials(env: TrialEnv, behaviour: Behaviour, tasks: Task, keys: Key[Array, " B"]) -> Trials:
    """Return one trial for each of B tasks.

    What a task does by chance depends on its key alone: every behaviour that takes the same actions
    meets the same outcomes.

    Args:
      env: the trial.
      behaviour: who acts.
      tasks: [B] stacked tasks.
      keys: [B] one key a trial; consumed.
    """
    params = env.default_params
    key_start, key_steps = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
    observations, states = jax.vmap(env.start)(key_start, tasks)
    memories = jax.vmap(lambda task: behaviour.init(env, task))(tasks)

    def plan(states, memories, keys):
        planned = jax.vmap(lambda *args: behaviour.begin_episode(env, *args))(memories, states, keys)
        starts = states.inner.time == 0
        return jax.tree.map(
            lambda new, old: jnp.where(starts.reshape(-1, *(1,) * (new.ndim - 1)), new, old),
            planned,
            memories,
        )

    def act_and_learn(memory, state, observation, key_act, key_env):
        memory, action = behaviour.act(env, memory, state, observation, key_act)
        observation, state, reward, _, info = env.step_env(key_env, state, action, params)
        transition = info["transition"]
        memory = behaviour.learn(env, memory, transition)
        kept = info["step"] if env.family.summary_names else None
        outcome = (reward, transition.terminated | transition.truncated, kept)
        return memory, state, observation, outcome

    def step(carry, time):
        memories, states, observations = carry
        fold = jax.vmap(jax.random.fold_in, in_axes=(0, None))
        key_env, key_plan, key_act = jnp.moveaxis(
            jax.vmap(lambda key: jax.random.split(key, 3))(fold(key_steps, time)), 1, 0
        )
        # A condition on the whole batch: under vmap each task would plan at each step.
        memories = jax.lax.cond(
            (states.inner.time == 0).any(), plan, lambda _, memories, __: memories, states, memories, key_plan
        )
        memories, states, observations, outcome = jax.vmap(act_and_learn)(
            memories, states, observations, key_act, key_env
        )
        return (memories, states, observations), outcome

    carry = (memories, states, observations)
    (_, states, _), (rewards, ends, steps) = jax.lax.scan(step, carry, jnp.arange(env.horizon))
    summary = jax.vmap(env.summary, (0, 1))(states, steps)
    return Trials(rewards.T, ends.T, jax.vmap(env.dropped)(states), summary)
