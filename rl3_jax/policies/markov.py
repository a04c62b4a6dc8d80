"""A core without memory: it sees the current observation only."""

import dataclasses
from typing import Any, ClassVar

from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.policies.base import Core, CoreSpec, Step
from rl3_jax.policies.products import dense


@dataclasses.dataclass(frozen=True)
class Markov(Core):
    """A feed-forward core. With RL³'s features it can be good; with RL²'s it cannot learn to adapt."""

    core: ClassVar[str] = "markov"

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return MarkovModule(spec)

    def initial_carry(self, spec: CoreSpec) -> tuple[()]:
        """Return the empty memory."""
        return ()


class MarkovModule(nn.Module):
    """One hidden layer, applied to each step alone."""

    spec: CoreSpec

    def setup(self):
        """Make the layer."""
        self.hidden = dense(self.spec.width, self.spec.compute)

    def __call__(self, carry: Any, inputs: Float[Array, "*steps W"]) -> tuple[Any, Float[Array, "*steps W"]]:
        """Return the empty memory, and the output of each step."""
        return carry, nn.tanh(self.hidden(inputs))

    def step(self, carry: Any, inputs: Step) -> tuple[Any, Step]:
        """Return the empty memory, and the output of one step."""
        return self(carry, inputs)
