"""A gated recurrent unit as core (Cho et al. 2014, arXiv 1406.1078); RL²'s original choice."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, cast

import jax
import jax.numpy as jnp
from annotated_types import Ge
from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.policies.base import Core, CoreSpec, Step, Steps
from rl3_jax.policies.products import Compute, multiply

CPU_BLOCK = 32
"""Tasks to a block on a CPU. With many tasks no other size is faster (docs/measurements.md)."""
ALL = 2**31 - 1
"""More tasks than there are."""

Memories = Float[Array, "B W"]
Weights = Mapping[str, Mapping[str, Array]]
"""Those of flax's `GRUCell`, an array each: slices of a fused array are slower in a loop on a CPU. For the
inputs `ir`, `iz` and `in` (reset, update, new value) hold a `kernel` [W, W] and a `bias` [W] each, for the
memory `hr`, `hz` and `hn`, with a bias in `hn` alone."""
Three = tuple[Array, Array, Array]
"""An array for each of reset, update and new value."""


@dataclasses.dataclass(frozen=True)
class Gru(Core):
    """One GRU layer whose memory lasts the whole trial.

    Attributes:
      block: tasks that a whole sequence is computed for at once, one block after another, so that more of
        it stays in cache. 0 means what is fastest where it runs: 32 on a CPU, all tasks elsewhere.
    """

    core: ClassVar[str] = "gru"

    block: Annotated[int, Ge(0), "0 for the default"] = 0

    def suited(self, platform: str) -> "Gru":
        """Return it with the size of blocks that is fastest on a platform."""
        return dataclasses.replace(self, block=self.block or (CPU_BLOCK if platform == "cpu" else ALL))

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return _Module(self.block, spec)

    def initial_carry(self, spec: CoreSpec) -> Step:
        """Return the memory at a trial's first step: zeros."""
        return jnp.zeros(spec.width)


class _Module(nn.Module):
    block: int
    spec: CoreSpec

    def setup(self):
        self.cell = nn.GRUCell(self.spec.width)

    def __call__(self, carry: Memories, inputs: Steps) -> tuple[Memories, Steps]:
        if self.is_initializing():
            self.cell(carry, inputs[:, 0])  # makes the weights
        weights, compute = self.cell.variables["params"], self.spec.compute

        def whole(carry, inputs):
            carry, outputs = cast(Any, gru(weights, carry, inputs.swapaxes(0, 1), compute))
            return carry, outputs.swapaxes(0, 1)

        return by_blocks(whole, self.block or CPU_BLOCK, carry, inputs)

    def step(self, carry: Step, inputs: Step) -> tuple[Step, Step]:
        weights, compute = self.cell.variables["params"], self.spec.compute
        carry, _ = advance(weights, carry, project(weights, inputs, compute), compute)
        return carry, carry


def by_blocks(
    function: Callable[[Memories, Steps], tuple[Memories, Steps]], block: int, carry: Memories, inputs: Steps
) -> tuple[Memories, Steps]:
    """Return function(carry, inputs), taken on one block of tasks after another, none larger than `block`.

    All are of one size; where it does not divide B, the last is filled up with zeros.
    """
    num_tasks = carry.shape[0]
    num_blocks = math.ceil(num_tasks / block)
    if num_blocks == 1:
        return function(carry, inputs)
    size = math.ceil(num_tasks / num_blocks)

    def cut(array):
        filled = jnp.pad(array, [(0, num_blocks * size - num_tasks)] + [(0, 0)] * (array.ndim - 1))
        return filled.reshape(num_blocks, size, *array.shape[1:])

    parts = jax.lax.map(lambda part: function(*part), (cut(carry), cut(inputs)))
    after, outputs = (part.reshape(-1, *part.shape[2:])[:num_tasks] for part in parts)
    return after, outputs


def sigmoid(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Return 1/(1 + e^−x) by way of tanh, which is faster on a CPU (docs/measurements.md)."""
    return 0.5 * jnp.tanh(0.5 * x) + 0.5


def project(weights: Weights, inputs: Float[Array, "*B W"], compute: Compute) -> Three:
    """Return the inputs' part of each gate, before the nonlinearity."""

    def gate(name):
        return multiply(inputs, weights[name]["kernel"], compute) + weights[name]["bias"]

    return gate("ir"), gate("iz"), gate("in")


def advance(
    weights: Weights, carry: Float[Array, "*B W"], projected: Three, compute: Compute
) -> tuple[Float[Array, "*B W"], tuple[Array, Array, Array, Array]]:
    """Return the memory after one more step, h' = (1 − z) n + z h, and (r, z, n, q) for the backward pass.

    r = σ(x W_r + h U_r + b_r), z = σ(x W_z + h U_z + b_z), q = h U_n + c_n, n = tanh(x W_n + b_n + r q).
    """
    reset, update, new = projected
    reset = sigmoid(reset + multiply(carry, weights["hr"]["kernel"], compute))
    update = sigmoid(update + multiply(carry, weights["hz"]["kernel"], compute))
    recalled = multiply(carry, weights["hn"]["kernel"], compute) + weights["hn"]["bias"]
    new = jnp.tanh(new + reset * recalled)
    return (1.0 - update) * new + update * carry, (reset, update, new, recalled)


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def gru(
    weights: Weights, carry: Memories, inputs: Float[Array, "T B W"], compute: Compute
) -> tuple[Memories, Float[Array, "T B W"]]:
    """Return the memories of B tasks after T steps, and after each step. Time leads: a scan slices it."""

    def step(carry, projected):
        carry, _ = advance(weights, carry, projected, compute)
        return carry, carry

    return jax.lax.scan(step, carry, project(weights, inputs, compute))


def _forward(weights: Weights, carry: Array, inputs: Array, compute: Compute) -> tuple[Any, Any]:
    """Return what `gru` does, and the residuals.

    On a CPU the gates' inputs of all steps at once are a little faster than those of each step in the loop.
    """

    def step(carry, projected):
        after, kept = advance(weights, carry, projected, compute)
        return after, (after, kept)

    last, (outputs, kept) = jax.lax.scan(step, carry, project(weights, inputs, compute))
    return (last, outputs), (weights, carry, inputs, outputs, kept)


def _backward(
    compute: Compute, residuals: Any, cotangents: tuple[Array, Array]
) -> tuple[Weights, Array, Array]:
    """Return the gradients with respect to the weights, the first memory and the inputs.

    Only the memory's gradient g is scanned; all others are products over all steps at once. With
    dn = g (1 − z)(1 − n²), dq = dn r, dr = dn q r (1 − r) and dz = g (h − n) z (1 − z), before the
    nonlinearities, the memory before the step gets g z + dr U_rᵀ + dz U_zᵀ + dq U_nᵀ.
    """
    weights, first, inputs, outputs, kept = residuals
    d_last, d_outputs = cotangents
    before = jnp.concatenate([first[None], outputs[:-1]])
    # Without the barriers XLA folds a transposition into its product, which is then slower on a CPU
    # (docs/measurements.md).
    back = jax.lax.optimization_barrier(tuple(weights[name]["kernel"].T for name in ("hr", "hz", "hn")))

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

    def gradient(operand, d, bias=True):
        kernel = {"kernel": multiply(operand, d, compute)}
        return kernel | {"bias": d.sum(0)} if bias else kernel

    d_weights = {
        "ir": gradient(x, d_reset),
        "iz": gradient(x, d_update),
        "in": gradient(x, d_new),
        "hr": gradient(h, d_reset, bias=False),
        "hz": gradient(h, d_update, bias=False),
        "hn": gradient(h, d_recalled),
    }
    gates = {"ir": d_reset, "iz": d_update, "in": d_new}
    reset, update, new = (multiply(d, weights[name]["kernel"].T, compute) for name, d in gates.items())
    return d_weights, d_first, (reset + update + new).reshape(inputs.shape)


def _flat(array: Float[Array, "T B W"]) -> Float[Array, "TB W"]:
    return array.reshape(-1, array.shape[-1])


gru.defvjp(_forward, _backward)
