"""A minimal GRU as core (Feng et al. 2024, arXiv 2410.01201): its gates do not see the memory."""

import dataclasses
from functools import partial
from typing import Any, ClassVar, Literal, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, PRNGKeyArray

from rl3_jax.policies.base import Core, CoreSpec, Layers, Step, Steps, through_layers
from rl3_jax.policies.gru import Memories, sigmoid
from rl3_jax.policies.products import dense

Scan = Literal["auto", "sequential", "associative"]
"""One step after another, or in log₂ T rounds over all steps: more work in fewer turns."""


@dataclasses.dataclass(frozen=True)
class MinGru(Core):
    """Layers of h_t = (1 − z_t) h_{t−1} + z_t h̃_t, with z = σ(W_z x + b_z) and h̃ = W_h x + b_h.

    The memory is linear in the values it took, so a layer's output is y = tanh(x + h). Other outputs
    that were tried earn no more, and a matrix at h takes more time (docs/measurements.md).

    Attributes:
      layers: one on top of the other.
      scan: how a whole sequence is computed: `auto` is `sequential` on a CPU and else `associative`.
    """

    core: ClassVar[str] = "mingru"

    layers: Layers = 1
    scan: Scan = "auto"

    def suited(self, platform: str) -> "MinGru":
        """Return it with the scan that is fastest on a platform."""
        fastest = "sequential" if platform == "cpu" else "associative"
        return dataclasses.replace(self, scan=fastest) if self.scan == "auto" else self

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return _Module(self, spec)

    def initial_carry(self, spec: CoreSpec) -> tuple[Step, ...]:
        """Return the memory of each layer at a trial's first step: zeros."""
        return (jnp.zeros(spec.width),) * self.layers


class _Module(nn.Module):
    config: MinGru
    spec: CoreSpec

    def setup(self):
        self.layers = [_Layer(self.spec, self.config.scan) for _ in range(self.config.layers)]

    def __call__(self, carry: tuple[Memories, ...], inputs: Steps) -> tuple[tuple[Memories, ...], Steps]:
        carry, outputs = through_layers(cast(Any, self.layers), carry, inputs.swapaxes(0, 1))
        return carry, outputs.swapaxes(0, 1)

    def step(self, carry: tuple[Step, ...], inputs: Step) -> tuple[tuple[Step, ...], Step]:
        return through_layers([layer.step for layer in self.layers], carry, inputs)


class _Layer(nn.Module):
    """One recurrence and its read-out."""

    spec: CoreSpec
    scan: Scan

    def setup(self):
        width, compute = self.spec.width, self.spec.compute
        self.gate = dense(width, compute, bias_init=partial(spread_times, self.spec.horizon))
        self.value = dense(width, compute)

    def __call__(
        self, memory: Memories, inputs: Float[Array, "T B W"]
    ) -> tuple[Memories, Float[Array, "T B W"]]:
        memory, memories = cast(Any, gated_average(self.gate(inputs), self.value(inputs), memory, self.scan))
        return memory, jnp.tanh(inputs + memories)

    def step(self, memory: Step, inputs: Step) -> tuple[Step, Step]:
        memory = average(self.gate(inputs), self.value(inputs), memory)
        return memory, jnp.tanh(inputs + memory)


def spread_times(
    horizon: int, key: PRNGKeyArray, shape: tuple[int, ...], dtype: Any = jnp.float32
) -> Float[Array, " W"]:
    """Return biases −log u, u ~ Uniform(1, H): unit by unit, a gate that forgets over 1 + u steps.

    From Tallec and Ollivier 2018, arXiv 1804.11188. With biases of zero half of a memory is gone after one
    step, and RL² learns bandits more slowly (docs/measurements.md).
    """
    return -jnp.log(jax.random.uniform(key, shape, dtype, minval=1.0, maxval=max(2.0, horizon)))


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def gated_average(
    gate: Float[Array, "T B W"], value: Float[Array, "T B W"], carry: Memories, scan: Scan
) -> tuple[Memories, Float[Array, "T B W"]]:
    """Return the memories of B tasks after T steps, and after each: h_t = (1 − z_t) h_{t−1} + z_t v_t.

    z = σ(gate), v is the value. Time leads: a scan slices it.
    """
    if scan == "associative":
        opened = sigmoid(gate)
        outputs = _linear_recurrence(1.0 - opened, opened * value, carry)
        return outputs[-1], outputs

    def step(carry, at):
        carry = average(at[0], at[1], carry)
        return carry, carry

    return jax.lax.scan(step, carry, (gate, value))


def average(
    gate: Float[Array, "*B W"], value: Float[Array, "*B W"], carry: Float[Array, "*B W"]
) -> Float[Array, "*B W"]:
    """Return the memory after one more step."""
    return carry + sigmoid(gate) * (value - carry)


def _forward(gate: Array, value: Array, carry: Array, scan: Scan) -> tuple[Any, Any]:
    """Return what `gated_average` does, and the residuals.

    The gate is opened again backward: to read that from memory would take as long.
    """
    last, outputs = cast(Any, gated_average(gate, value, carry, scan))
    return (last, outputs), (gate, value, carry, outputs)


def _backward(scan: Scan, residuals: Any, cotangents: tuple[Array, Array]) -> tuple[Array, Array, Array]:
    """Return the gradients with respect to gate, value and first memory.

    The memory's gradient is the same recurrence reversed, d_t = g_t + (1 − z_{t+1}) d_{t+1}; those of a step
    are dv = z d and dgate = (v − h_{t−1}) z (1 − z) d.
    """
    gate, value, first, outputs = residuals
    d_last, d_outputs = cotangents
    before = jnp.concatenate([first[None], outputs[:-1]])
    if scan == "associative":
        opened = sigmoid(gate)
        d_outputs = d_outputs.at[-1].add(d_last)
        kept = jnp.concatenate([1.0 - opened[1:], jnp.zeros_like(opened[:1])])
        d_memory = _linear_recurrence(kept[::-1], d_outputs[::-1], jnp.zeros_like(d_last))[::-1]
        d_value = opened * d_memory
        return (value - before) * (1.0 - opened) * d_value, d_value, (1.0 - opened[0]) * d_memory[0]

    def step(d_after, at):
        d_output, gate, value, carry = at
        d_after = d_after + d_output
        opened = sigmoid(gate)
        d_value = opened * d_after
        return d_after - d_value, ((value - carry) * (1.0 - opened) * d_value, d_value)

    d_first, (d_gate, d_value) = jax.lax.scan(step, d_last, (d_outputs, gate, value, before), reverse=True)
    return d_gate, d_value, d_first


gated_average.defvjp(_forward, _backward)


def _linear_recurrence(
    decay: Float[Array, "T B W"], drive: Float[Array, "T B W"], carry: Float[Array, "B W"]
) -> Float[Array, "T B W"]:
    """Return h_t = a_t h_{t−1} + b_t at each step, by an associative scan over pairs (a, b)."""

    def combine(earlier, later):
        return earlier[0] * later[0], later[0] * earlier[1] + later[1]

    drive = drive.at[0].add(decay[0] * carry)
    return jax.lax.associative_scan(combine, (decay, drive))[1]
