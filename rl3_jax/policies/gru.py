"""A gated recurrent unit as core (Cho et al. 2014); RL²'s original choice."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float


@dataclasses.dataclass(frozen=True)
class Gru:
    """One GRU layer whose memory lasts the whole trial."""

    core: ClassVar[str] = "gru"
    log_prob_tolerance: ClassVar[float] = 1e-5

    def problems(self) -> list[str]:
        """Return a message for each field that is wrong."""
        return []

    def module(self, width: int) -> nn.Module:
        """Return the linen module."""
        return GruModule(width)

    def initial_carry(self, width: int) -> Float[Array, " W"]:
        """Return the memory at a trial's first step: zeros."""
        return jnp.zeros(width)


class GruModule(nn.Module):
    """A GRU cell, scanned over a trial or stepped."""

    width: int

    def setup(self):
        """Make the cell."""
        self.cell = nn.GRUCell(self.width)

    def __call__(self, inputs: Float[Array, "T W"]) -> Float[Array, "T W"]:
        """Return the outputs of a whole trial."""
        scan = nn.scan(GruModule.step, variable_broadcast="params", split_rngs={"params": False})
        return scan(self, jnp.zeros(self.width), inputs)[1]

    def step(
        self, carry: Float[Array, " W"], inputs: Float[Array, " W"]
    ) -> tuple[Float[Array, " W"], Float[Array, " W"]]:
        """Return the memory after one more step, and its output."""
        return self.cell(carry, inputs)
