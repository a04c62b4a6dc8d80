"""A gated recurrent unit as core (Cho et al. 2014, arXiv 1406.1078); RL²'s original choice."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, cast

import jax
import jax.numpy as jnp
from annotated_types import Ge
from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.platforms import by_platform
from rl3_jax.policies.base import Core, CoreSpec, Step, Steps
from rl3_jax.policies.products import Compute, multiply

CPU_BLOCK = 32
"""Tasks to a block on a CPU. With many tasks no other size is faster (docs/measurements.md)."""
ALL = 2**31 - 1
"""More tasks than there are."""
_UNROLLED = 5
"""Steps a turn of a GPU's loops: their memories are stored in one operation."""
KERNEL_WIDTHS = (32, 64)
"""W that the kernel for all steps is for."""
_HOPPER = "9.0"
"""Compute capability of the GPUs that it is for."""
INPUT, RECURRENT = ("ir", "iz", "in"), ("hr", "hz", "hn")
"""Names of the weights that inputs and memory are multiplied with, for reset, update and new value."""

Memories = Float[Array, "B W"]
Weights = Mapping[str, Mapping[str, Array]]
"""Those of flax's `GRUCell`, an array each: slices of a fused array are slower in a loop on a CPU. For the
inputs `ir`, `iz` and `in` (reset, update, new value) hold a `kernel` [W, W] and a `bias` [W] each, for the
memory `hr`, `hz` and `hn`, with a bias in `hn` alone."""
Three = tuple[Array, Array, Array]
"""An array for each of reset, update and new value."""
Four = tuple[Array, Array, Array, Array]
"""Reset r, update z, new value n, and what the new value recalls of the memory, q."""


@dataclasses.dataclass(frozen=True)
class Gru(Core):
    """One GRU layer whose memory lasts the whole trial.

    Attributes:
      block: tasks that a whole sequence is computed for at once, one block after another, so that more of
        it stays in cache. 0 means what is fastest where it runs: 32 on a CPU, all tasks elsewhere.
      gradient: where its gates come from. `stored`: each step keeps them. `recomputed`: they are computed
        once more, of all steps at once, so that a step is half as many operations; `auto` is that where it
        does not run on a CPU. `kernel`: recomputed, and an NVIDIA GPU takes all steps in one kernel in each
        direction. That needs one of the Hopper generation (H100, H200) and a width of 32 or 64; it was
        compiled for them and interpreted, but has not yet run on one.
    """

    core: ClassVar[str] = "gru"

    block: Annotated[int, Ge(0), "0 for the default"] = 0
    gradient: Literal["auto", "stored", "recomputed", "kernel"] = "auto"

    def spec_problems(self, spec: CoreSpec) -> list[str]:
        """Return a message if the kernel that takes all steps does not fit."""
        if self.gradient != "kernel" or spec.width in KERNEL_WIDTHS:
            return []
        widths = " or ".join(map(str, KERNEL_WIDTHS))
        return [
            f"policy.core.gradient is kernel, which is for a width of {widths},"
            f" and policy.width is {spec.width}; change one of them"
        ]

    def device_problems(self, device: Any) -> list[str]:
        """Return a message if that kernel is not for a GPU."""
        capability = getattr(device, "compute_capability", None)
        if self.gradient != "kernel" or device.platform != "gpu" or capability == _HOPPER:
            return []
        return [
            f"policy.core.gradient is kernel, which is for GPUs of compute capability {_HOPPER} (H100, H200);"
            f" {device.device_kind} has {capability}. Train without it, or on another device, like a CPU"
        ]

    def suited(self, platform: str) -> "Gru":
        """Return it with the blocks and the gradient that are fastest on a platform."""
        block, gradient = (CPU_BLOCK, "stored") if platform == "cpu" else (ALL, "recomputed")
        gradient = gradient if self.gradient == "auto" else self.gradient
        return dataclasses.replace(self, block=self.block or block, gradient=gradient)

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return _Module(self, spec)

    def initial_carry(self, spec: CoreSpec) -> Step:
        """Return the memory at a trial's first step: zeros."""
        return jnp.zeros(spec.width)


class _Module(nn.Module):
    config: Gru
    spec: CoreSpec

    def setup(self):
        self.cell = nn.GRUCell(self.spec.width)

    def __call__(self, carry: Memories, inputs: Steps) -> tuple[Memories, Steps]:
        if self.is_initializing():
            self.cell(carry, inputs[:, 0])  # makes the weights
        weights, compute = self.cell.variables["params"], self.spec.compute

        def whole(carry, inputs):
            inputs = inputs.swapaxes(0, 1)
            gradient = self.config.gradient
            if gradient in ("recomputed", "kernel"):
                found = gru_recomputed(weights, carry, inputs, compute, gradient == "kernel")
            else:
                found = gru(weights, carry, inputs, compute)
            carry, outputs = cast(Any, found)
            return carry, outputs.swapaxes(0, 1)

        return by_blocks(whole, self.config.block or CPU_BLOCK, carry, inputs)

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
) -> tuple[Float[Array, "*B W"], Four]:
    """Return the memory after one more step, h' = (1 − z) n + z h, and (r, z, n, q) for the backward pass.

    r = σ(x W_r + h U_r + b_r), z = σ(x W_z + h U_z + b_z), q = h U_n + c_n, n = tanh(x W_n + b_n + r q).
    """
    recurrent = [multiply(carry, weights[name]["kernel"], compute) for name in RECURRENT]
    kept = open_gates(weights["hn"]["bias"], projected, recurrent)
    return remember(carry, kept), kept


def open_gates(bias: Array, projected: Sequence[Array], recurrent: Sequence[Array]) -> Four:
    """Return (r, z, n, q) from the inputs' part of each gate and the memory's, and the latter's bias, c_n."""
    reset, update = (sigmoid(x + h) for x, h in zip(projected[:2], recurrent[:2], strict=True))
    recalled = recurrent[2] + bias
    return reset, update, jnp.tanh(projected[2] + reset * recalled), recalled


def remember(carry: Float[Array, "*B W"], gates: Four) -> Float[Array, "*B W"]:
    """Return h' = (1 − z) n + z h."""
    _, update, new, _ = gates
    return (1.0 - update) * new + update * carry


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
    back = jax.lax.optimization_barrier(tuple(weights[name]["kernel"].T for name in RECURRENT))

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
    of_inputs, of_memory = (d_reset, d_update, d_new), (d_reset, d_update, d_recalled)
    d_weights = _gradients(
        [multiply(x, d, compute) for d in of_inputs],
        [multiply(h, d, compute) for d in of_memory],
        [d.sum(0) for d in (*of_inputs, d_recalled)],
    )
    products = zip(of_inputs, INPUT, strict=True)
    reset, update, new = (multiply(d, weights[name]["kernel"].T, compute) for d, name in products)
    return d_weights, d_first, (reset + update + new).reshape(inputs.shape)


def _gradients(of_inputs: Sequence[Array], of_memory: Sequence[Array], biases: Sequence[Array]) -> Weights:
    """Return the gradients of kernels and biases by name."""
    kernels = zip((*INPUT, *RECURRENT), (*of_inputs, *of_memory), strict=True)
    found = {name: {"kernel": kernel} for name, kernel in kernels}
    for name, bias in zip((*INPUT, "hn"), biases, strict=True):
        found[name]["bias"] = bias
    return found


def _flat(array: Float[Array, "T B W"]) -> Float[Array, "TB W"]:
    return array.reshape(-1, array.shape[-1])


gru.defvjp(_forward, _backward)


@partial(jax.custom_vjp, nondiff_argnums=(3, 4))
def gru_recomputed(
    weights: Weights, carry: Memories, inputs: Float[Array, "T B W"], compute: Compute, in_one: bool = False
) -> tuple[Memories, Float[Array, "T B W"]]:
    """Return what `gru` does. A step is one product of the memory, for all gates, and what is made of it.

    With `in_one` a GPU does all steps in one kernel.
    """
    return _forward_recomputed(weights, carry, inputs, compute, in_one)[0]


def _forward_recomputed(
    weights: Weights, carry: Array, inputs: Array, compute: Compute, in_one: bool
) -> tuple[Any, Any]:
    """Return what `gru` does, and the residuals: the memories alone."""
    kernel, bias = _beside(weights, RECURRENT), weights["hn"]["bias"]

    def step(carry, projected):
        recurrent = _thirds(multiply(carry, kernel, compute))
        carry = remember(carry, open_gates(bias, _thirds(projected), recurrent))
        return carry, carry

    def steps(carry, projected):
        outputs = _kernels().forward(kernel, bias, carry, projected, compute)
        return outputs[-1], outputs

    projected = _project_beside(weights, inputs, compute)
    last, outputs = _loop(step, carry, projected, in_one=steps if in_one else None)
    return (last, outputs), (weights, carry, inputs, outputs)


def _backward_recomputed(
    compute: Compute, in_one: bool, residuals: Any, cotangents: tuple[Array, Array]
) -> tuple[Weights, Array, Array]:
    """Return what `_backward` does.

    All it says of dr, dz, dn and dq is g times a factor that does not depend on g. So the loop is g alone:
    g_{t−1} = d_{t−1} + g_t z + [g f_r, g f_z, g f_q] [U_r, U_z, U_n]ᵀ, with d the outputs' gradient.
    """
    weights, first, inputs, outputs = residuals
    d_last, d_outputs = cotangents
    before = jnp.concatenate([first[None], outputs[:-1]])
    kernel = _beside(weights, RECURRENT)
    recurrent = _thirds(multiply(before, kernel, compute))
    projected = _thirds(_project_beside(weights, inputs, compute))
    reset, update, new, recalled = open_gates(weights["hn"]["bias"], projected, recurrent)
    of_new = (1.0 - update) * (1.0 - new * new)
    of_update, of_recalled = (before - new) * update * (1.0 - update), of_new * reset
    of_reset = of_recalled * recalled * (1.0 - reset)
    factors = jnp.concatenate([of_reset, of_update, of_recalled], axis=-1)

    def thrice(d):
        return jnp.concatenate([d, d, d], axis=-1)

    def step(d_after, at):
        d_output, factor, update = at
        d_after = d_after + d_output
        return d_after * update + multiply(thrice(d_after) * factor, kernel.T, compute), d_after

    def steps(d_last, each):
        return _kernels().backward(kernel, d_last, *each, compute)

    each = d_outputs, factors, update
    d_first, d_after = _loop(step, d_last, each, reverse=True, in_one=steps if in_one else None)
    of_memory, d_new = _flat(thrice(d_after) * factors), _flat(d_after * of_new)
    d_reset, d_update, d_recalled = _thirds(of_memory)
    of_inputs = jnp.concatenate([d_reset, d_update, d_new], axis=-1)
    d_weights = _gradients(
        _thirds(multiply(_flat(inputs).T, of_inputs, compute)),
        _thirds(multiply(_flat(before).T, of_memory, compute)),
        [d.sum(0) for d in (d_reset, d_update, d_new, d_recalled)],
    )
    d_inputs = multiply(of_inputs, _beside(weights, INPUT).T, compute)
    return d_weights, d_first, d_inputs.reshape(inputs.shape)


def _loop(
    step: Callable, carry: Memories, each: Any, *, reverse: bool = False, in_one: Callable | None
) -> tuple[Memories, Any]:
    """Return what `jax.lax.scan` does; a GPU takes some steps a turn, in fewer kernels, or all `in_one`."""
    scan = partial(jax.lax.scan, step, reverse=reverse)
    return by_platform(carry, each, gpu=in_one or partial(scan, unroll=_UNROLLED), others=scan)


def _kernels() -> Any:
    from rl3_jax.policies import gru_kernel  # what it imports few need

    return gru_kernel


def _beside(weights: Weights, names: Sequence[str]) -> Float[Array, "W V"]:
    """Return kernels side by side."""
    return jnp.concatenate([weights[name]["kernel"] for name in names], axis=-1)


def _project_beside(
    weights: Weights, inputs: Float[Array, "T B W"], compute: Compute
) -> Float[Array, "T B 3*W"]:
    """Return what `project` does, by one product."""
    biases = jnp.concatenate([weights[name]["bias"] for name in INPUT])
    return multiply(inputs, _beside(weights, INPUT), compute) + biases


def _thirds(array: Float[Array, "*B V"]) -> list[Float[Array, "*B W"]]:
    """Return what is of reset, of update and of the new value."""
    return jnp.split(array, 3, axis=-1)


gru_recomputed.defvjp(_forward_recomputed, _backward_recomputed)
