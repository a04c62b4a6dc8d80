"""Gates before parts of an observation that may not be worth reading."""

import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

Parts = tuple[tuple[int, int], ...]
"""Where parts of an observation start and stop."""


class Gates(nn.Module):
    """Multiplies each of some parts of an observation by a parameter of its own, 0 at first.

    A gate opens as far as what is behind it pays: its gradient is not 0, while that of the weights is.

    Attributes:
      parts: where they stand.
    """

    parts: Parts

    @nn.compact
    def __call__(self, observations: Float[Array, "*steps D"]) -> Float[Array, "*steps D"]:
        """Return the observations behind the gates."""
        factors = jnp.ones(observations.shape[-1])
        for gate, (start, stop) in zip(
            self.param("factors", nn.initializers.zeros, (len(self.parts),)), self.parts, strict=True
        ):
            factors = factors.at[start:stop].set(gate)
        return observations * factors
