"""Which parts of a trial the meta-policy sees, and how they are scaled (design, section 6)."""

import dataclasses
from typing import Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from rl3_jax.constraints import Positive


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
      counts: n(s,·) / count_scale, or as `count_encoding` says.
      standard_errors: of Q(s,·) / value_scale.
      value_scale: divisor of action values; 1 for bandits, 10 for MDPs.
      count_scale: divisor of visit counts.
      reward_scale: divisor of the previous reward.
      squash: what is then applied to values, advantages, standard errors, reward and counts: nothing, or
        symlog(x) = `sign(x) log(1 + |x|)`, which keeps rewards of 100 beside steps of −1 readable.
      count_encoding: how counts are shown: `scaled`, as above; or `inverse-root`, 1 / √(1 + n / count_scale),
        which falls from 1 towards 0 as n grows, and so stays in bounds in trials of any length. It is not
        squashed.
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
    count_encoding: Literal["scaled", "inverse-root"] = "scaled"
    position: Literal["coordinates", "one-hot", "both"] = "coordinates"

    @property
    def uses_object_rl(self) -> bool:
        """Whether any part comes from object-level RL."""
        return self.advantages or self.value or self.counts or self.standard_errors

    def squashed(self, x: Float[Array, "*shape"], scale: float | Float[Array, ""]) -> Float[Array, "*shape"]:
        """Return numbers divided by their scale and then squashed."""
        x = x / scale
        return jnp.sign(x) * jnp.log1p(jnp.abs(x)) if self.squash == "symlog" else x

    def shown_counts(self, counts: Float[Array, " A"]) -> Float[Array, " A"]:
        """Return visit counts as the policy sees them."""
        if self.count_encoding == "inverse-root":
            return 1.0 / jnp.sqrt(1.0 + counts / self.count_scale)
        return self.squashed(counts, self.count_scale)


SCALES = ("value_scale", "count_scale", "reward_scale")
"""The fields of `Features` that are divisors."""
ENCODINGS = (*SCALES, "squash", "count_encoding", "position", "previous_state")
"""The fields of `Features` that any method may have: how parts are shown, and which of the raw history."""
PER_ACTION = ("previous_action", "advantages", "counts", "standard_errors")
"""The parts that have a number for each action, where these are integers."""
OBJECT_RL = ("advantages", "value", "counts", "standard_errors")
"""The parts that come from object-level RL."""


def action_starts(layout: dict[str, slice]) -> tuple[int, ...]:
    """Return where the parts start that have a number for each action."""
    return tuple(at.start for part, at in layout.items() if part in PER_ACTION)


def object_rl_parts(layout: dict[str, slice]) -> tuple[tuple[int, int], ...]:
    """Return where the parts start and stop that come from object-level RL."""
    return tuple((at.start, at.stop) for part, at in layout.items() if part in OBJECT_RL)
