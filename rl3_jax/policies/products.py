"""Matrix products of the layers, in one type or another, with gradients that are quick on a CPU."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

Compute = Literal["float32", "bfloat16"]
"""The type in which matrix products take their operands; sums, parameters and memories are float32."""


def multiply(
    left: Float[Array, "*B W"], right: Float[Array, "W V"], compute: Compute
) -> Float[Array, "*B V"]:
    """Return a matrix product with operands of the given type, summed in float32."""
    return _product(jnp.matmul, left, right, compute)


def contract(
    subscripts: str, left: Float[Array, "..."], right: Float[Array, "..."], compute: Compute
) -> Float[Array, "..."]:
    """Return an `einsum` of operands of the given type, summed in float32; its gradient is rounded, too."""
    return _product(partial(jnp.einsum, subscripts), left, right, compute)


def _product(function: Callable, left: Array, right: Array, compute: Compute) -> Array:
    # The highest precision keeps float32 what it says: GPUs and TPUs would take fewer bits of it.
    precision = jax.lax.Precision.HIGHEST if compute == "float32" else jax.lax.Precision.DEFAULT
    left, right = left.astype(compute), right.astype(compute)
    return function(left, right, precision=precision, preferred_element_type=jnp.float32)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def project_steps(
    inputs: Float[Array, "*steps W"], weight: Float[Array, "W V"], compute: Compute, apart: bool = True
) -> Float[Array, "*steps V"]:
    """Return the product of each step's inputs with a matrix.

    Its gradient is made of products of the same type, and stays float32. With `apart` the inputs are
    transposed apart from the product that is the weight's gradient: XLA would fold the one into the other,
    which is then slower on a CPU. It pays for narrow layers, not for a transformer's (docs/measurements.md).
    """
    del apart
    return multiply(inputs, weight, compute)


def _project_forward(
    inputs: Array, weight: Array, compute: Compute, apart: bool
) -> tuple[Array, tuple[Array, Array]]:
    del apart
    return multiply(inputs, weight, compute), (inputs, weight)


def _project_backward(
    compute: Compute, apart: bool, residuals: tuple[Array, Array], cotangent: Array
) -> tuple[Array, Array]:
    inputs, weight = residuals
    flat, d_flat = (x.reshape(-1, x.shape[-1]) for x in (inputs, cotangent))
    transposed = jax.lax.optimization_barrier(flat.T) if apart else flat.T
    return multiply(cotangent, weight.T, compute), multiply(transposed, d_flat, compute)


project_steps.defvjp(_project_forward, _project_backward)


def dense(features: int, compute: Compute, *, apart: bool = True, **options: Any) -> nn.Dense:
    """Return a linear layer whose product is that of `project_steps`; `options` are those of `nn.Dense`."""

    def product(inputs: Array, kernel: Array, *_: Any, **__: Any) -> Array:
        return project_steps(inputs, kernel, compute, apart)

    return nn.Dense(features, dot_general=product, **options)


class ProductReadOut(nn.Module):
    """h + A((B h) ⊙ (C x)), of a core's output h and its input x, with biases in A, B and C.

    A step's decision may depend on what is remembered *of what is seen*, such as what happened before in the
    cell in which the agent is: a product of the two, which a core whose memory is linear in what it took,
    such as minGRU, cannot make by itself. Such products are the multiplicative integration of Wu et al. 2016,
    arXiv 1606.06630, here outside the recurrence.
    """

    width: int
    compute: Compute

    @nn.compact
    def __call__(
        self, output: Float[Array, "*steps W"], inputs: Float[Array, "*steps W"]
    ) -> Float[Array, "*steps W"]:
        """Return what the heads read."""
        linear = partial(dense, self.width, self.compute)
        remembered, seen = linear(name="remembered")(output), linear(name="seen")(inputs)
        return output + linear(name="out")(remembered * seen)
