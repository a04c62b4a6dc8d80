"""The one loop over the steps of trials: training, evaluation, baselines and recordings all run in it."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from rl3_jax.object_rl import Transition
from rl3_jax.tasks import Action, Step, Task
from rl3_jax.trial.env import TrialEnv, TrialState
from rl3_jax.trial.packing import pack, unpack


class Acting(NamedTuple):
    """A way of acting in a trial: functions for one task. A memory is any pytree of arrays.

    Attributes:
      init: (task) → the memory before the trial.
      act: (memory, state, observation, noise) → the memory, an action, and further outputs for `keep`.
      begin_episode: (memory, state, key) → the memory at an episode's first step, the place to plan; None if
        nothing is planned.
      learn: (memory, transition) → the memory after a step of the task; None if nothing is learnt.
      draw: (key) → the noise of a step, for `act`; None if that is the key. It is drawn before the loop.
    """

    init: Callable[[Task], Any]
    act: Callable[[Any, TrialState, Float[Array, " D"], Any], tuple[Any, Action, Any]]
    begin_episode: Callable[[Any, TrialState, PRNGKeyArray], Any] | None = None
    learn: Callable[[Any, Transition], Any] | None = None
    draw: Callable[[PRNGKeyArray], Any] | None = None


class StepKeys(NamedTuple):
    """Keys of the H steps of B trials, by what they are for; consumed. `begin_episode` if that plans."""

    step: Key[Array, "H B"]
    act: Key[Array, "H B"]
    begin_episode: Key[Array, "H B"] | None = None


class Moment(NamedTuple):
    """One step of one trial: its state before and after, and what happened.

    `chosen` is what `act` returned beside memory and action; `step` is that of the task between concrete
    states, `transition` the same as object-level RL saw it. The state `after` an episode's last step is the
    first of the next episode.
    """

    state: TrialState
    observation: Float[Array, " D"]
    chosen: Any
    action: Action
    reward: Float[Array, ""]
    step: Step
    transition: Transition
    after: TrialState


class Rollout(NamedTuple):
    """B trials.

    Attributes:
      kept: [H, B, …] what was kept of each step.
      first, final: [B, …] the states of the trials' starts and ends.
      memories: [n, B, …] at the start of each of n segments.
    """

    kept: Any
    first: TrialState
    final: TrialState
    memories: Any


def rollout(
    env: TrialEnv,
    acting: Acting,
    tasks: Task,
    start_keys: Key[Array, " B"],
    step_keys: StepKeys,
    keep: Callable[[Moment], Any],
    num_segments: int = 1,
) -> Rollout:
    """Return one trial on each of B stacked tasks. The keys are consumed.

    `keep` maps a step of one trial to what is kept of it; the number n of segments divides H.
    """
    observations, states = jax.vmap(env.start)(start_keys, tasks)
    memories = jax.vmap(acting.init)(tasks)

    def plan(begin_episode, memories, states, keys):
        starts = states.inner.time == 0
        planned = jax.vmap(begin_episode)(memories, states, keys)
        return jax.tree.map(
            lambda new, old: jnp.where(starts.reshape(-1, *(1,) * (new.ndim - 1)), new, old),
            planned,
            memories,
        )

    def one_step(memory, state, observation, noise, keys_step):
        memory, action, chosen = acting.act(memory, state, observation, noise)
        seen, after, reward, _, info = env.advance(keys_step[0], keys_step[1], state, action)
        if acting.learn is not None:
            memory = acting.learn(memory, info["transition"])
        moment = Moment(state, observation, chosen, action, reward, info["step"], info["transition"], after)
        return (memory, dataclasses.replace(after, time=None), seen), pack(keep(moment))

    def step(carry, at):
        time, keys, noise = at
        memories, states, observations = carry
        states = dataclasses.replace(states, time=jnp.broadcast_to(time, len(observations)))
        if acting.begin_episode is not None:
            # A condition on the whole batch: under vmap each task would plan at each step.
            memories = jax.lax.cond(
                (states.inner.time == 0).any(),
                partial(plan, acting.begin_episode),
                lambda memories, *_: memories,
                memories,
                states,
                keys.begin_episode,
            )
        return jax.vmap(one_step)(memories, states, observations, noise, keys.step)

    def segment(carry, at):
        after, kept = jax.lax.scan(step, carry, at)
        return after, (carry[0], kept)

    # The time of all trials is the loop's own.
    carry = (memories, dataclasses.replace(states, time=None), observations)
    # Keys are split and noise is drawn before the loop, for all steps in one operation.
    noise = step_keys.act if acting.draw is None else jax.vmap(jax.vmap(acting.draw))(step_keys.act)
    step_keys = step_keys._replace(step=jax.vmap(jax.vmap(jax.random.split))(step_keys.step), act=None)
    each = jnp.arange(env.horizon), step_keys, noise
    each = jax.tree.map(lambda x: x.reshape(num_segments, -1, *x.shape[1:]), each)
    with jax.named_scope("rollout"):
        (_, final, _), (starts, kept) = jax.lax.scan(segment, carry, each)
    kept = unpack(jax.tree.map(lambda x: x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]), kept))
    final = dataclasses.replace(final, time=jnp.full(len(observations), env.horizon))
    return Rollout(kept, states, final, starts)
