"""What the meta-policy sees: a flat vector whose layout is data (design, section 6)."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from gymnax.environments import spaces
from jaxtyping import Array, Float, Int

from rl3_jax.object_rl import ActionValues
from rl3_jax.tasks import TaskFamily
from rl3_jax.trial.features import Features


def layout(features: Features, family: TaskFamily) -> dict[str, slice]:
    """Return where each part stands in the observation, in order."""
    sizes = {
        "state": _state_size(features, family) if family.shows_state else 0,
        "previous_action": encoded_size(family.action_space()),
        "previous_reward": 1,
        "trial_start": 1,
        "episode_time": 1,
        "trial_time": 1,
        "advantages": family.num_actions,
        "value": 1,
        "counts": family.num_actions,
        "standard_errors": family.num_actions,
    }
    slices, start = {}, 0
    for part, size in sizes.items():
        if size and getattr(features, part):
            slices[part] = slice(start, start + size)
            start += size
    return slices


def _state_size(features: Features, family: TaskFamily) -> int:
    """Return how many numbers show the current state."""
    own = encoded_size(family.observation_space()) if features.position != "one-hot" else 0
    return own + (sum(family.axes) if features.position != "coordinates" else 0)


class Sight(NamedTuple):
    """What there is to see before a step of a trial.

    Attributes:
      state: what the policy sees of the current state, of the family's observation space.
      cell: where it lies along each of the family's axes.
      previous_action: the last action taken; not shown at the trial's first step.
      previous_reward: [] the reward it was paid.
      episode_time: [] share of the episode that is over.
      trial_time: [] share of the trial that is over, 0 at its first step.
      values: what object-level RL knows of the current state.
    """

    state: Array
    cell: Int[Array, " axes"]
    previous_action: Int[Array, ""] | Float[Array, " n"]
    previous_reward: Float[Array, ""]
    episode_time: Float[Array, ""]
    trial_time: Float[Array, ""]
    values: ActionValues


def observe(features: Features, family: TaskFamily, now: Sight) -> Float[Array, " D"]:
    """Return the observation, made of the parts that the layout names."""
    shown = [] if features.position == "one-hot" else [encode(family.observation_space(), now.state)]
    if features.position != "coordinates":
        shown += [jax.nn.one_hot(now.cell[axis], length) for axis, length in enumerate(family.axes)]
    action = encode_action(family.action_space(), now.previous_action)
    trial_start, best = now.trial_time == 0.0, now.values.q.max()
    parts = {
        "state": jnp.concatenate(shown),
        "previous_action": jnp.where(trial_start, 0.0, action),
        "previous_reward": features.squashed(now.previous_reward[None], features.reward_scale),
        "trial_start": trial_start[None],
        "episode_time": now.episode_time[None],
        "trial_time": now.trial_time[None],
        "advantages": features.squashed(now.values.q - best, features.value_scale),
        "value": features.squashed(best[None], features.value_scale),
        "counts": features.squashed(now.values.counts, features.count_scale),
    }
    if now.values.standard_errors is not None:
        parts["standard_errors"] = features.squashed(now.values.standard_errors, features.value_scale)
    named = [parts[name].astype(jnp.float32) for name in layout(features, family)]
    return jnp.concatenate(named) if named else jnp.zeros(0)


def encoded_size(space: spaces.Discrete | spaces.Box) -> int:
    """Return the length of `encode`'s vector."""
    return space.n if isinstance(space, spaces.Discrete) else math.prod(space.shape)


def encode(space: spaces.Discrete | spaces.Box, x: Array) -> Float[Array, " n"]:
    """Return an element of a space as a vector: one-hot if it is an integer, else flat."""
    if isinstance(space, spaces.Discrete):
        return jax.nn.one_hot(x, space.n)
    return x.astype(jnp.float32).ravel()


def encode_action(
    space: spaces.Discrete | spaces.Box, action: Int[Array, ""] | Float[Array, " n"]
) -> Float[Array, " n"]:
    """Return an action as a vector: one-hot if it is an integer, else scaled from its bounds to [−1, 1]."""
    if isinstance(space, spaces.Discrete):
        return encode(space, action)
    low, high = jnp.broadcast_to(space.low, space.shape), jnp.broadcast_to(space.high, space.shape)
    return encode(space, (2.0 * action - low - high) / (high - low))
