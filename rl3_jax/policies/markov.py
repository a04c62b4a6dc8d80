"""A core without memory: it sees the current observation only."""

import dataclasses
from typing import Any, ClassVar

from flax import linen as nn
from jaxtyping import Array, Float


@dataclasses.dataclass(frozen=True)
class Markov:
    """A feed-forward core. With RL³'s features it can be good; with RL²'s it cannot learn to adapt."""

    core: ClassVar[str] = "markov"
    log_prob_tolerance: ClassVar[float] = 1e-5

    def problems(self) -> list[str]:
        """Return a message for each field that is wrong."""
        return []

    def module(self, width: int) -> nn.Module:
        """Return the linen module."""
        return MarkovModule(width)

    def initial_carry(self, width: int) -> tuple[()]:
        """Return the empty memory."""
        del width
        return ()


class MarkovModule(nn.Module):
    """One hidden layer, applied to each step alone."""

    width: int

    def setup(self):
        """Make the layer."""
        self.hidden = nn.Dense(self.width)

    def __call__(self, inputs: Float[Array, "T W"]) -> Float[Array, "T W"]:
        """Return the outputs of a whole trial."""
        return nn.tanh(self.hidden(inputs))

    def step(self, carry: Any, inputs: Float[Array, " W"]) -> tuple[Any, Float[Array, " W"]]:
        """Return the unchanged memory and the output of one step."""
        return carry, nn.tanh(self.hidden(inputs))
