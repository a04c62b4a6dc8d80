"""What the meta-policy sees: a flat vector whose layout is data (design, section 6)."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from rl3_jax.lean_gymnax import spaces
from rl3_jax.tasks import TaskFamily
from rl3_jax.trial.config import Features


def layout(features: Features, family: TaskFamily) -> dict[str, slice]:
    """Return where each part stands in the observation, in order."""
    sizes = {
        "state": state_size(features, family),
        "previous_state": state_size(features, family),
        "previous_action": _encoded_size(family.action_space()),
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


def state_size(features: Features, family: TaskFamily) -> int:
    """Return the length of what is shown of a state: `encode_state`'s vector, or nothing in bandits."""
    if not family.shows_state:
        return 0
    own = _encoded_size(family.observation_space()) if features.position != "one-hot" else 0
    return own + (sum(family.axes) if features.position != "coordinates" else 0)


def encode_state(features: Features, family: TaskFamily, inner: Any, task: Any) -> Float[Array, " n"]:
    """Return what the policy sees of a task's state as a vector."""
    shown = []
    if features.position != "one-hot":
        shown.append(_encode(family.observation_space(), family.get_obs(inner, task)))
    if features.position != "coordinates":
        cell = family.cell(inner)
        shown += [jax.nn.one_hot(cell[axis], length) for axis, length in enumerate(family.axes)]
    return jnp.concatenate(shown)


def encode_action(
    space: spaces.Discrete | spaces.Box, action: Int[Array, ""] | Float[Array, " n"]
) -> Float[Array, " n"]:
    """Return an action as a vector: one-hot if it is an integer, else scaled from its bounds to [−1, 1]."""
    if isinstance(space, spaces.Discrete):
        return _encode(space, action)
    low, high = jnp.broadcast_to(space.low, space.shape), jnp.broadcast_to(space.high, space.shape)
    return _encode(space, (2.0 * action - low - high) / (high - low))


def _encoded_size(space: spaces.Discrete | spaces.Box) -> int:
    """Return the length of `_encode`'s vector."""
    return space.n if isinstance(space, spaces.Discrete) else math.prod(space.shape)


def _encode(space: spaces.Discrete | spaces.Box, x: Array) -> Float[Array, " n"]:
    """Return an element of a space as a vector: one-hot if it is an integer, else flat."""
    if isinstance(space, spaces.Discrete):
        return jax.nn.one_hot(x, space.n)
    return x.astype(jnp.float32).ravel()
