"""Ways of behaving, learnt or classic, and the trials that come of them: evaluation is made of this."""

from functools import partial
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray

from rl3_jax.object_rl import Transition
from rl3_jax.tasks import Action, Task
from rl3_jax.trial.env import TrialEnv, TrialState
from rl3_jax.trial.rollouts import Acting, Moment, StepKeys, rollout


@runtime_checkable
class Behaviour(Protocol):
    """A way of behaving in a trial: a pytree whose methods are for one task.

    Its memory is any pytree of arrays, made anew for each trial. A class that inherits from this remembers,
    plans and learns nothing, but for its own methods.
    """

    def init(self, env: TrialEnv, task: Any) -> Any:
        """Return the memory before the trial. Only a clairvoyant may look at the task."""
        return ()

    def begin_episode(self, env: TrialEnv, memory: Any, state: TrialState, key: PRNGKeyArray) -> Any:
        """Return the memory at an episode's first step: the place to plan. The key is consumed."""
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
        """Return the memory after a step of the task."""
        return memory


class Trials(NamedTuple):
    """What one trial of each of B tasks came to.

    Attributes:
      rewards: of each step.
      ends: whether a step ended its episode, by termination or truncation.
      dropped: transitions that object-level RL could not keep in its model.
      outside: steps in or to a state that is not in the table.
      summary: each of the numbers by which the family sums up a trial, by name.
    """

    rewards: Float[Array, "B H"]
    ends: Bool[Array, "B H"]
    dropped: Int[Array, " B"]
    outside: Int[Array, " B"]
    summary: dict[str, Float[Array, " B"]]


def behaviour_acting(behaviour: Behaviour, env: TrialEnv) -> Acting:
    """Return how a behaviour acts in this trial."""

    def act(memory, state, observation, key):
        return *behaviour.act(env, memory, state, observation, key), None

    plans = type(behaviour).begin_episode is not Behaviour.begin_episode
    return Acting(
        init=partial(behaviour.init, env),
        act=act,
        begin_episode=partial(behaviour.begin_episode, env) if plans else None,
        learn=partial(behaviour.learn, env),
    )


def trial_keys(keys: Key[Array, " B"], horizon: int) -> tuple[Key[Array, " B"], StepKeys]:
    """Return the keys of first states and steps of B trials that are evaluated; `keys` are consumed."""
    start, steps = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
    fold = jax.vmap(jax.random.fold_in, in_axes=(0, None))
    each = jax.vmap(lambda time: jax.vmap(lambda key: jax.random.split(key, 3))(fold(steps, time)))
    step, begin_episode, act = jnp.moveaxis(each(jnp.arange(horizon)), 2, 0)
    return start, StepKeys(step, act, begin_episode)


def run_trials(env: TrialEnv, behaviour: Behaviour, tasks: Task, keys: Key[Array, " B"]) -> Trials:
    """Return one trial for each of B stacked tasks. The keys are consumed.

    What a task does by chance depends on its key alone: every behaviour that takes the same actions
    meets the same outcomes.
    """

    def keep(now: Moment):
        return now.reward, now.step.terminated | now.step.truncated, env.outside(now.step), now.step

    lived = rollout(env, behaviour_acting(behaviour, env), tasks, *trial_keys(keys, env.horizon), keep)
    rewards, ends, outside, steps = lived.kept
    summary = jax.vmap(env.family.summarise_trial, (0, 1))(lived.final.task, steps)
    return Trials(rewards.T, ends.T, jax.vmap(env.dropped)(lived.final), outside.sum(axis=0), summary)
