"""What the heads of a network read, beside the core's output alone."""

from functools import partial

from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.policies.products import Compute, dense


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
