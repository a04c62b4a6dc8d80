"""Networks that treat all actions alike: relabelling the actions relabels what they yield, and no more."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.policies.products import Compute, dense


@dataclasses.dataclass(frozen=True)
class ActionParts:
    """Where the parts of an observation stand that have a number for each action.

    Attributes:
      starts: of the p parts, in order.
      count: A, the length of each.
    """

    starts: tuple[int, ...]
    count: int

    def split(
        self, observations: Float[Array, "*steps D"]
    ) -> tuple[Float[Array, "*steps A p"], Float[Array, "*steps c"]]:
        """Return the p numbers of each action, and the c that belong to none."""
        own = [observations[..., start : start + self.count] for start in self.starts]
        ends = [0, *(start + self.count for start in self.starts)]
        gaps = zip(ends, (*self.starts, observations.shape[-1]), strict=True)
        common = [observations[..., a:b] for a, b in gaps]
        return jnp.stack(own, axis=-1), jnp.concatenate(common, axis=-1)


class ExchangeableLayer(nn.Module):
    """y_a = U x_a + V [mean_b x_b; max_b x_b; c] + d for each action a: Zaheer et al. 2017, arXiv 1703.06114.

    The first layer, which alone has `actions`, takes observations [*, D]: x_a are the numbers of action a, c
    those that belong to none. Later ones take the units [*, A, W] of the layer before, and have no c.

    Attributes:
      units: W.
      compute: the type of matrix products.
      actions: the parts of observations.
    """

    units: int
    compute: Compute
    actions: ActionParts | None = None

    @nn.compact
    def __call__(self, x: Float[Array, "*input"]) -> Float[Array, "*steps A W"]:
        """Return the units of each action."""
        x, common = (x, x[..., 0, :0]) if self.actions is None else self.actions.split(x)
        pooled = jnp.concatenate([x.mean(axis=-2), x.max(axis=-2), common], axis=-1)
        own = dense(self.units, self.compute, use_bias=False, name="own")(x)
        return own + dense(self.units, self.compute, name="all")(pooled)[..., None, :]


def unroll_each(
    core: Any, carry: Any, inputs: Float[Array, "B T A W"]
) -> tuple[Any, Float[Array, "B T A W"]]:
    """Return what a core does for each action alone: memories [B, A, …] after the steps, and outputs."""
    trials, steps, actions, width = inputs.shape
    carry = jax.tree.map(lambda leaf: leaf.reshape(trials * actions, *leaf.shape[2:]), carry)
    carry, out = core(carry, inputs.swapaxes(1, 2).reshape(trials * actions, steps, width))
    carry = jax.tree.map(lambda leaf: leaf.reshape(trials, actions, *leaf.shape[1:]), carry)
    return carry, out.reshape(trials, actions, steps, width).swapaxes(1, 2)


def step_each(core: Any, carry: Any, inputs: Float[Array, "A W"]) -> tuple[Any, Float[Array, "A W"]]:
    """Return what a core does for each action alone: memories [A, …] after one more step, and outputs."""
    each: Any = nn.vmap(type(core).step, variable_axes={"params": None}, split_rngs={"params": False})
    return each(core, carry, inputs)
