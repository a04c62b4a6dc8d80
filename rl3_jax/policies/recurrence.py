"""A gated linear recurrence over a sequence, with a backward pass written by hand."""

from functools import partial
from typing import Any, Literal, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rl3_jax.policies.gru_kernel import sigmoid

Scan = Literal["sequential", "associative"]
"""One step after another, or in log₂ T rounds over all steps: more work in fewer turns."""


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def gated_average(
    gate: Float[Array, "T B W"], value: Float[Array, "T B W"], carry: Float[Array, "B W"], scan: Scan
) -> tuple[Float[Array, "B W"], Float[Array, "T B W"]]:
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
