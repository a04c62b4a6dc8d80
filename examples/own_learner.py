"""A learner of your own, the RL inside the trial: Q-learning with a bonus for what it rarely tried.

    cd examples
    rl3 train mdp-h100-quick --learner bonus-q --learner.bonus 2 --plugin own_learner

A learner is `init`, `update` and `values` for one task, as pure functions; `rl3_jax.object_rl.Learner` says
more. This one takes all but the last from Q-learning.
"""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Int

import rl3_jax
from rl3_jax.constraints import NonNegative
from rl3_jax.object_rl import ActionValues, QLearning, TableSpec


@rl3_jax.register
@dataclasses.dataclass(frozen=True)
class BonusQ(QLearning):
    """Q-learning whose values shown are Q(s,a) + bonus / √(n(s,a) + 1).

    Attributes:
      bonus: what a pair never tried is worth beside Q.
    """

    learner: ClassVar[str] = "bonus-q"

    bonus: NonNegative = 1.0

    def values(self, spec: TableSpec, state: Any, s: Int[Array, ""]) -> ActionValues:
        """Return action values with the bonus, and visit counts."""
        known = super().values(spec, state, s)
        return ActionValues(q=known.q + self.bonus / jnp.sqrt(known.counts + 1.0), counts=known.counts)
