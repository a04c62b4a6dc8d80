"""A sequence core of your own: moving averages of what was seen, each forgetting at a rate that is learnt.

    cd examples
    rl3 train mdp-h100-quick --policy averages --plugin own_core

A core is a frozen dataclass that makes a linen module; `rl3_jax.policies.Core` says more. The module computes
the same function in two ways: over all steps of many trials, to learn, and one step of one trial, to act.
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

import rl3_jax
from rl3_jax.policies import CoreSpec


@rl3_jax.register
@dataclasses.dataclass(frozen=True)
class Averages:
    """h_t = λ h_{t−1} + (1 − λ) tanh(W x_t + b), with the output x_t + V h_t.

    λ = σ(l) has an entry a unit; W, V, b and l are learnt.
    """

    core: ClassVar[str] = "averages"
    log_prob_tolerance: ClassVar[float] = 1e-5
    constant_carry: ClassVar[bool] = True

    def spec_problems(self, spec: CoreSpec) -> list[str]:
        """Return no messages: it fits all sizes."""
        return []

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return AveragesModule(spec.width)

    def initial_carry(self, spec: CoreSpec) -> Float[Array, " W"]:
        """Return the memory at a trial's first step: zeros."""
        return jnp.zeros(spec.width)


def average(keep: Array, before: Array, new: Array) -> Array:
    """Return what each average is after one more step."""
    return keep * before + (1.0 - keep) * new


class AveragesModule(nn.Module):
    """The averages of a whole sequence, or after one more step."""

    width: int

    def setup(self):
        """Make the weights."""
        self.into, self.out = nn.Dense(self.width), nn.Dense(self.width, use_bias=False)
        self.rate = self.param("rate", lambda _: jnp.linspace(-1.0, 4.0, self.width))

    def __call__(
        self, carry: Float[Array, "B W"], inputs: Float[Array, "B T W"]
    ) -> tuple[Float[Array, "B W"], Float[Array, "B T W"]]:
        """Return the memories after a part of B trials, and the outputs at each step."""
        keep = nn.sigmoid(self.rate)

        def advance(carry, new):
            carry = average(keep, carry, new)
            return carry, carry

        new = nn.tanh(self.into(inputs)).swapaxes(0, 1)
        carry, averages = jax.lax.scan(advance, carry, new)
        return carry, inputs + self.out(averages.swapaxes(0, 1))

    def step(
        self, carry: Float[Array, " W"], inputs: Float[Array, " W"]
    ) -> tuple[Float[Array, " W"], Float[Array, " W"]]:
        """Return the memory after one more step, and its output."""
        carry = average(nn.sigmoid(self.rate), carry, nn.tanh(self.into(inputs)))
        return carry, inputs + self.out(carry)
