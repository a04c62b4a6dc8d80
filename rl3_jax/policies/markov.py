"""A core without memory: it sees the current observation only."""

import dataclasses
from typing import Any, ClassVar

from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.policies.base import Core, CoreSpec, Step
from rl3_jax.policies.products import dense


@dataclasses.dataclass(frozen=True)
class Markov(Core):
    """One hidden layer. With RL³'s features it can be good; with RL²'s it cannot learn to adapt."""

    core: ClassVar[str] = "markov"

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return _Module(spec)

    def initial_carry(self, spec: CoreSpec) -> tuple[()]:
        """Return the empty memory."""
        return ()


class _Module(nn.Module):
    spec: CoreSpec

    def setup(self):
        self.hidden = dense(self.spec.width, self.spec.compute)

    def __call__(self, carry: Any, inputs: Float[Array, "*steps W"]) -> tuple[Any, Float[Array, "*steps W"]]:
        return carry, nn.tanh(self.hidden(inputs))

    def step(self, carry: Any, inputs: Step) -> tuple[Any, Step]:
        return self(carry, inputs)
