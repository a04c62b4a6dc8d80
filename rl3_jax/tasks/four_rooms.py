"""Four rooms with a hidden goal (Sutton, Precup and Singh 1999)."""

import dataclasses
from typing import ClassVar

import numpy as np
from gymnax.environments.misc.rooms import EnvParams, FourRooms
from jaxtyping import Int, PRNGKeyArray

from rl3_jax.tasks.mazes import Mazes

FAIL_PROBABILITY = {"default": 1 / 3, "deterministic": 0.0}
"""gymnax's `fail_prob`: how often a move does not go where it should; 1/3 is Sutton's."""
START = (4, 1)
"""Row and column of gymnax's fixed start, in the upper left room."""


@dataclasses.dataclass(frozen=True)
class FourRoomsTasks(Mazes):
    """gymnax's FourRooms, whose goal lies in any of the 103 cells that are not the start.

    Four actions: north, east, south, west. A move fails with probability 1/3, and then goes one of the other
    three ways; none does in the variation `deterministic`. The goal pays 1 and ends the episode. The policy
    sees row and column, not the goal, which gymnax's observation has.
    """

    family: ClassVar[str] = "four-rooms"
    variations: ClassVar[tuple[str, ...]] = tuple(FAIL_PROBABILITY)
    value_scale: ClassVar[float] = 1.0

    @property
    def start(self) -> Int[np.ndarray, " 2"]:
        """The fixed start."""
        return np.array(START)

    def make_environment(self) -> FourRooms:
        """Return gymnax's environment."""
        return FourRooms(pos_fixed=list(START))

    def sample_params(self, key: PRNGKeyArray) -> EnvParams:
        """Return the same params for each task. The key is not used."""
        return EnvParams(fail_prob=FAIL_PROBABILITY[self.variation])
