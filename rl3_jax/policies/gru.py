"""A gated recurrent unit as core (Cho et al. 2014); RL²'s original choice."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.policies.base import CoreSpec


@dataclasses.dataclass(frozen=True)
class Gru:
    """One GRU layer whose memory lasts the whole trial."""

    core: ClassVar[str] = "gru"
    log_prob_tolerance: ClassVar[float] = 1e-5
    constant_carry: ClassVar[bool] = True

    def problems(self) -> list[str]:
        """Return a message for each field that is wrong."""
        return []

    def spec_problems(self, spec: CoreSpec) -> list[str]:
        """Return no messages: it fits all sizes."""
        del spec
        return []

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return GruModule(spec)

    def initial_carry(self, spec: CoreSpec) -> Float[Array, " W"]:
        """Return the memory at a trial's first step: zeros."""
        return jnp.zeros(spec.width)


class GruModule(nn.Module):
    """A GRU cell, scanned over a trial or stepped."""

    spec: CoreSpec

    def setup(self):
        """Make the cell."""
        self.cell = nn.GRUCell(self.spec.width)

    def __call__(
        self, carry: Float[Array, "B W"], inputs: Float[Array, "B T W"]
    ) -> tuple[Float[Array, "B W"], Float[Array, "B T W"]]:
        """Return the memories after a part of B trials, and the outputs at each step."""
        scan = nn.scan(
            GruModule.step, variable_broadcast="params", split_rngs={"params": False}, in_axes=1, out_axes=1
        )
        return scan(self, carry, inputs)

    def step(
        self, carry: Float[Array, "*B W"], inputs: Float[Array, "*B W"]
    ) -> tuple[Float[Array, "*B W"], Float[Array, "*B W"]]:
        """Return the memory after one more step, and its output."""
        return self.cell(carry, inputs)
