"""A GRU over a sequence, with a backward pass written by hand (Cho et al. 2014, arXiv 1406.1078)."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rl3_jax.policies.products import Compute, multiply


class Gates(NamedTuple):
    """Weights of the three gates, an array each: slices of a fused array are slower in a loop on a CPU.

    Attributes:
      input_reset, input_update, input_new: [W, W] what the inputs are multiplied by.
      hidden_reset, hidden_update, hidden_new: [W, W] what the memory is multiplied by.
      bias_reset, bias_update, bias_new: [W].
      bias_hidden: [W] of the memory's part in the new value, within the reset.
    """

    input_reset: Float[Array, "W W"]
    input_update: Float[Array, "W W"]
    input_new: Float[Array, "W W"]
    hidden_reset: Float[Array, "W W"]
    hidden_update: Float[Array, "W W"]
    hidden_new: Float[Array, "W W"]
    bias_reset: Float[Array, " W"]
    bias_update: Float[Array, " W"]
    bias_new: Float[Array, " W"]
    bias_hidden: Float[Array, " W"]


class Kept(NamedTuple):
    """What the backward pass needs of each step: r, z, n and q, as `advance` names them."""

    reset: Float[Array, "*T B W"]
    update: Float[Array, "*T B W"]
    new: Float[Array, "*T B W"]
    recalled: Float[Array, "*T B W"]


def sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return 1/(1 + e^−x) by way of tanh, which is faster on a CPU (docs/measurements.md)."""
    return 0.5 * jnp.tanh(0.5 * x) + 0.5


def project(gates: Gates, inputs: Float[Array, "*B W"], compute: Compute) -> tuple[Array, Array, Array]:
    """Return the inputs' part of each gate, before the nonlinearity."""
    return (
        multiply(inputs, gates.input_reset, compute) + gates.bias_reset,
        multiply(inputs, gates.input_update, compute) + gates.bias_update,
        multiply(inputs, gates.input_new, compute) + gates.bias_new,
    )


def advance(
    gates: Gates, carry: Float[Array, "*B W"], projected: tuple[Array, Array, Array], compute: Compute
) -> tuple[Float[Array, "*B W"], Kept]:
    """Return the memory after one more step, h' = (1 − z) n + z h, and what the backward pass needs.

    r = σ(x W_r + h U_r + b_r), z = σ(x W_z + h U_z + b_z), q = h U_n + c_n, n = tanh(x W_n + b_n + r q).
    """
    reset, update, new = projected
    reset = sigmoid(reset + multiply(carry, gates.hidden_reset, compute))
    update = sigmoid(update + multiply(carry, gates.hidden_update, compute))
    recalled = multiply(carry, gates.hidden_new, compute) + gates.bias_hidden
    new = jnp.tanh(new + reset * recalled)
    return (1.0 - update) * new + update * carry, Kept(reset, update, new, recalled)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def gru(
    gates: Gates, carry: Float[Array, "B W"], inputs: Float[Array, "T B W"], compute: Compute
) -> tuple[Float[Array, "B W"], Float[Array, "T B W"]]:
    """Return the memories of B tasks after T steps, and after each step. Time leads: a scan slices it."""

    def step(carry, projected):
        carry, _ = advance(gates, carry, projected, compute)
        return carry, carry

    return jax.lax.scan(step, carry, project(gates, inputs, compute))


def _forward(gates: Gates, carry: Array, inputs: Array, compute: Compute) -> tuple[Any, Any]:
    """Return what `gru` does, and the residuals.

    On a CPU the gates' inputs of all steps at once are a little faster than those of each step in the loop.
    """

    def step(carry, projected):
        after, kept = advance(gates, carry, projected, compute)
        return after, (after, kept)

    last, (outputs, kept) = jax.lax.scan(step, carry, project(gates, inputs, compute))
    return (last, outputs), (gates, carry, inputs, outputs, kept)


def _backward(
    compute: Compute, residuals: Any, cotangents: tuple[Array, Array]
) -> tuple[Gates, Array, Array]:
    """Return the gradients with respect to the weights, the first memory and the inputs.

    Only the memory's gradient g is scanned; all others are products over all steps at once. With
    dn = g (1 − z)(1 − n²), dq = dn r, dr = dn q r (1 − r) and dz = g (h − n) z (1 − z), before the
    nonlinearities, the memory before the step gets g z + dr U_rᵀ + dz U_zᵀ + dq U_nᵀ.
    """
    gates, first, inputs, outputs, kept = residuals
    d_last, d_outputs = cotangents
    before = jnp.concatenate([first[None], outputs[:-1]])
    # Without the barriers XLA folds a transposition into its product, which is then slower on a CPU
    # (docs/measurements.md).
    back = jax.lax.optimization_barrier((gates.hidden_reset.T, gates.hidden_update.T, gates.hidden_new.T))

    def step(d_after, at):
        d_output, (reset, update, new, recalled), carry = at
        d_after = d_after + d_output
        d_new = d_after * (1.0 - update) * (1.0 - new * new)
        d_update = d_after * (carry - new) * update * (1.0 - update)
        d_recalled = d_new * reset
        d_reset = d_new * recalled * reset * (1.0 - reset)
        d_hidden = (d_reset, d_update, d_recalled)
        products = [multiply(d, weight, compute) for d, weight in zip(d_hidden, back, strict=True)]
        return d_after * update + sum(products), (*d_hidden, d_new)

    d_first, d_gates = jax.lax.scan(step, d_last, (d_outputs, kept, before), reverse=True)
    d_reset, d_update, d_recalled, d_new = (_flat(d) for d in d_gates)
    x, h = jax.lax.optimization_barrier((_flat(inputs).T, _flat(before).T))
    d_weights = Gates(
        *(multiply(x, d, compute) for d in (d_reset, d_update, d_new)),
        *(multiply(h, d, compute) for d in (d_reset, d_update, d_recalled)),
        *(d.sum(0) for d in (d_reset, d_update, d_new, d_recalled)),
    )
    d_inputs = (
        multiply(d_reset, gates.input_reset.T, compute)
        + multiply(d_update, gates.input_update.T, compute)
        + multiply(d_new, gates.input_new.T, compute)
    )
    return d_weights, d_first, d_inputs.reshape(inputs.shape)


def _flat(array: Float[Array, "T B W"]) -> Float[Array, "TB W"]:
    """Return the steps of all tasks as one axis."""
    return array.reshape(-1, array.shape[-1])


gru.defvjp(_forward, _backward)
