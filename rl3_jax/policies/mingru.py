"""A minimal GRU as core (Feng et al. 2024, arXiv 2410.01201): its gates do not see the memory."""

import dataclasses
from functools import partial
from typing import Any, ClassVar, Literal, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, PRNGKeyArray

from rl3_jax.constraints import Count
from rl3_jax.policies.base import CoreSpec
from rl3_jax.policies.products import project_steps
from rl3_jax.policies.recurrence import Scan, average, gated_average


@dataclasses.dataclass(frozen=True)
class MinGru:
    """Layers of h_t = (1 − z_t) h_{t−1} + z_t h̃_t, with z = σ(W_z x + b_z) and h̃ = W_h x + b_h.

    The memory is linear in the values it took, so a layer's output is y = tanh(x + h). Other outputs
    that were tried earn no more, and a matrix at h takes more time (docs/measurements.md).

    Attributes:
      layers: one on top of the other.
      scan: how a whole sequence is computed: `auto` is `sequential` on a CPU and else `associative`.
    """

    core: ClassVar[str] = "mingru"
    log_prob_tolerance: ClassVar[float] = 1e-5
    constant_carry: ClassVar[bool] = True

    layers: Count = 1
    scan: Literal["auto", "sequential", "associative"] = "auto"

    def spec_problems(self, spec: CoreSpec) -> list[str]:
        """Return no messages: it fits all sizes."""
        return []

    def suited(self, platform: str) -> "MinGru":
        """Return it with the scan that is fastest on a platform."""
        fastest = "sequential" if platform == "cpu" else "associative"
        return dataclasses.replace(self, scan=fastest) if self.scan == "auto" else self

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return MinGruModule(self, spec)

    def initial_carry(self, spec: CoreSpec) -> tuple[Float[Array, " W"], ...]:
        """Return the memory of each layer at a trial's first step: zeros."""
        return (jnp.zeros(spec.width),) * self.layers


class MinGruModule(nn.Module):
    """A minimal GRU over parts of trials, or one step at a time."""

    config: MinGru
    spec: CoreSpec

    def setup(self):
        """Make the layers."""
        self.layers = [Layer(self.spec) for _ in range(self.config.layers)]

    def __call__(
        self, carry: tuple[Float[Array, "B W"], ...], inputs: Float[Array, "B T W"]
    ) -> tuple[tuple[Float[Array, "B W"], ...], Float[Array, "B T W"]]:
        """Return the memories after a part of B trials, and the outputs at each step."""
        scan: Scan = "associative" if self.config.scan == "associative" else "sequential"
        hidden, after = inputs.swapaxes(0, 1), []
        for layer, memory in zip(self.layers, carry, strict=True):
            memory, hidden = cast(Any, layer(memory, hidden, scan))
            after.append(memory)
        return tuple(after), hidden.swapaxes(0, 1)

    def step(
        self, carry: tuple[Float[Array, " W"], ...], inputs: Float[Array, " W"]
    ) -> tuple[tuple[Float[Array, " W"], ...], Float[Array, " W"]]:
        """Return the memory of one trial after one more step, and its output."""
        hidden, after = inputs, []
        for layer, memory in zip(self.layers, carry, strict=True):
            memory, hidden = layer.step(memory, hidden)
            after.append(memory)
        return tuple(after), hidden


class Layer(nn.Module):
    """One recurrence and its read-out."""

    spec: CoreSpec

    def setup(self):
        """Make the projections."""
        self.gate = Projection(self.spec, partial(spread_times, self.spec.horizon))
        self.value = Projection(self.spec)

    def __call__(
        self, memory: Float[Array, "B W"], inputs: Float[Array, "T B W"], scan: Scan
    ) -> tuple[Float[Array, "B W"], Float[Array, "T B W"]]:
        """Return the memories after T steps, and the outputs at each."""
        gate, value = cast(Any, (self.gate(inputs), self.value(inputs)))
        memory, memories = cast(Any, gated_average(gate, value, memory, scan))
        return memory, jnp.tanh(inputs + memories)

    def step(
        self, memory: Float[Array, " W"], inputs: Float[Array, " W"]
    ) -> tuple[Float[Array, " W"], Float[Array, " W"]]:
        """Return the memory after one more step, and the output."""
        gate, value = cast(Any, (self.gate(inputs), self.value(inputs)))
        memory = average(gate, value, memory)
        return memory, jnp.tanh(inputs + memory)


class Projection(nn.Module):
    """A linear layer of W units: LeCun-normal, with biases of zero unless told otherwise."""

    spec: CoreSpec
    bias_init: nn.initializers.Initializer = nn.initializers.zeros_init()

    @nn.compact
    def __call__(self, inputs: Float[Array, "*steps W"]) -> Any:
        """Return W x + b."""
        width = self.spec.width
        kernel = self.param("kernel", nn.initializers.lecun_normal(), (width, width))
        bias = self.param("bias", self.bias_init, (width,))
        return cast(Array, project_steps(inputs, kernel, self.spec.compute)) + bias


def spread_times(
    horizon: int, key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = jnp.float32
) -> Float[Array, " W"]:
    """Return biases −log u, u ~ Uniform(1, H): unit by unit, a gate that forgets over 1 + u steps.

    From Tallec and Ollivier 2018, arXiv 1804.11188. With biases of zero half of a memory is gone after one
    step, and RL² learns bandits more slowly (docs/measurements.md).
    """
    return -jnp.log(jax.random.uniform(key, shape, dtype, minval=1.0, maxval=max(2.0, horizon)))
