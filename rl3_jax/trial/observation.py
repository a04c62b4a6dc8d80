"""What the meta-policy sees: a flat vector whose layout is data (design, section 6)."""

import dataclasses
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
from gymnax.environments import spaces
from jaxtyping import Array, Float, Int

from rl3_jax.constraints import Positive
from rl3_jax.tasks import TaskFamily


@dataclasses.dataclass(frozen=True)
class Features:
    """Which parts the observation has, and how they are scaled; `rl2` and `rl3` are presets of this.

    Attributes:
      state: what the policy sees of the current state, one-hot or a vector.
      previous_state: what the policy saw of the state that the previous action was taken in, so that an
        observation holds a whole transition, or where an episode ended all of it but the state entered;
        zeros at a trial's first step.
      previous_action: one-hot, or a vector scaled to [−1, 1]; zeros at a trial's first step.
      previous_reward: / reward_scale; 0 at a trial's first step.
      trial_start: a flag for the trial's first step.
      episode_time: step within the episode / episode length.
      trial_time: step within the trial / H.
      advantages: (Q(s,·) − max Q(s,·)) / value_scale.
      value: max Q(s,·) / value_scale.
      counts: n(s,·) / count_scale.
      standard_errors: of Q(s,·) / value_scale.
      value_scale: divisor of action values; 1 for bandits, 10 for MDPs.
      count_scale: divisor of visit counts.
      reward_scale: divisor of the previous reward.
      squash: what is then applied to values, advantages, standard errors, reward and counts: nothing, or
        symlog(x) = sign(x) log(1 + |x|), which keeps rewards of 100 beside steps of −1 readable.
      position: how a family whose states lie on a grid shows the current one: its coordinates, as in the
        paper; a one-hot vector along each axis; or both.
    """

    state: bool = True
    previous_state: bool = False
    previous_action: bool = True
    previous_reward: bool = True
    trial_start: bool = True
    episode_time: bool = True
    trial_time: bool = True
    advantages: bool = True
    value: bool = True
    counts: bool = True
    standard_errors: bool = False
    value_scale: Positive = 10.0
    count_scale: Positive = 10.0
    reward_scale: Positive = 1.0
    squash: Literal["none", "symlog"] = "none"
    position: Literal["coordinates", "one-hot", "both"] = "coordinates"

    @property
    def uses_object_rl(self) -> bool:
        """Whether any part comes from object-level RL."""
        return self.advantages or self.value or self.counts or self.standard_errors

    def squashed(self, x: Float[Array, "*shape"], scale: float | Float[Array, ""]) -> Float[Array, "*shape"]:
        """Return numbers divided by their scale and then squashed."""
        x = x / scale
        return jnp.sign(x) * jnp.log1p(jnp.abs(x)) if self.squash == "symlog" else x


SCALES = ("value_scale", "count_scale", "reward_scale")
"""The fields of `Features` that are divisors."""
ENCODINGS = (*SCALES, "squash", "position", "previous_state")
"""The fields of `Features` that any method may have: how parts are shown, and which of the raw history."""


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
