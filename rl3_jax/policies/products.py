"""Matrix products of the layers, in one type or another, with gradients that are quick on a CPU."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.platforms import by_platform

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


def multiply_few(left: Float[Array, " W"], right: Float[Array, "W V"]) -> Float[Array, " V"]:
    """Return the float32 product of a row with a matrix of few columns.

    On a GPU it is written as sums, which fuse with what makes the row: an operation less.
    """

    def sums(left, right):
        return (left[:, None] * right).sum(0)

    return by_platform(left, right, gpu=sums, others=partial(multiply, compute="float32"))


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


def head(num_outputs: int, scale: float, use_bias: bool = True) -> nn.Dense:
    """Return a linear head with initial weights of this scale, in float32."""
    init = nn.initializers.variance_scaling(scale**2, "fan_in", "truncated_normal")
    return dense(num_outputs, "float32", kernel_init=init, use_bias=use_bias)


class ProductReadOut(nn.Module):
    """h + A((B h) ⊙ (C x)), of a core's output h and its input x, with biases in A, B and C.

    A step's decision may depend on what is remembered *of what is seen*, such as what happened before in the
    cell in which the agent is: a product of the two, which a core whose memory is linear in what it took,
    such as minGRU, cannot make by itself. Such products are the multiplicative integration of Wu et al. 2016,
    arXiv 1606.06630, here outside the recurrence.
    """

    width: int
    compute: Compute

    def setup(self):
        """Make the parts."""
        linear = partial(dense, self.width, self.compute)
        self.remembered, self.seen, self.out = linear(), linear(), linear()

    def __call__(
        self, output: Float[Array, "*steps W"], inputs: Float[Array, "*steps W"]
    ) -> Float[Array, "*steps W"]:
        """Return what the heads read."""
        return output + self.out(self.remembered(output) * self.seen(inputs))

    def parts(
        self, output: Float[Array, "*steps W"], inputs: Float[Array, "*steps W"]
    ) -> Float[Array, "*steps twice"]:
        """Return h and the product side by side, what a head made by `joined` reads."""
        return jnp.concatenate([output, self.remembered(output) * self.seen(inputs)], axis=-1)


def joined(actor: Any, critic: Any, read_out: bool) -> dict[str, Array]:
    """Return the parameters of one head that makes what an actor's and a critic's head make of the same.

    With `read_out` it reads `ProductReadOut.parts`, h and m, instead of h + A m + b, as
    W (h + A m + b) + c = [W, W A] [h, m] + W b + c.
    """
    both = jax.tree.map(partial(jnp.append, axis=-1), actor["head"], critic)
    if not read_out:
        return both
    after = partial(multiply, right=both["kernel"], compute="float32")
    kernel, bias = (after(actor["read"]["out"][name]) for name in ("kernel", "bias"))
    return {"kernel": jnp.concatenate([both["kernel"], kernel]), "bias": both["bias"] + bias}
