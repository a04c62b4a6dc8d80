"""What the attention cores share: settings, residual blocks, and how a whole sequence goes over tasks."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.constraints import Count
from rl3_jax.policies.base import Core, CoreSpec, Layers
from rl3_jax.policies.products import dense

Heads = Float[Array, "*steps heads d"]
"""What the heads of a layer make of each step: their queries, keys, values or outputs."""
OfStep = Float[Array, "heads d"]
OfTrial = Float[Array, "T heads d"]


@dataclasses.dataclass(frozen=True)
class AttentionCore(Core):
    """The settings of every attention core.

    Attributes:
      layers: residual blocks.
      heads: attention heads of each; they divide the width.
      feed_forward: hidden units of each block's feed-forward part.
      remat: keep only the input of each layer for the gradient and compute the rest again: less memory for
        more time (docs/measurements.md).
      tasks: which tasks attention over whole trials takes at once; `auto` is `each` on a CPU and else `all`.
    """

    layers: Layers = 2
    heads: Count = 4
    feed_forward: Count = 256
    remat: bool = False
    tasks: Literal["auto", "all", "each"] = "auto"

    def spec_problems(self, spec: CoreSpec) -> list[str]:
        """Return a message if the heads do not divide the width."""
        if self.heads < 1 or spec.width % self.heads == 0:
            return []
        return [
            f"policy.core.heads is {self.heads} and policy.width {spec.width}; each head takes an equal part"
            " of the width: choose heads that divide it"
        ]

    def suited(self, platform: str) -> "AttentionCore":
        """Return it with the tasks taken at once that are fastest on a platform."""
        fastest = "each" if platform == "cpu" else "all"
        return dataclasses.replace(self, tasks=fastest) if self.tasks == "auto" else self

    def over_tasks(self, function: Callable, *arrays: Any) -> Any:
        """Return a function of one task for B tasks. For the gradient only its inputs are kept.

        On a CPU one task at a time stays in cache: that is faster than all tasks at once, and recomputing is
        faster than keeping more (docs/measurements.md).
        """
        each = jax.checkpoint(function)
        return jax.vmap(each)(*arrays) if self.tasks == "all" else jax.lax.map(lambda x: each(*x), arrays)


class AttentionModule(nn.Module):
    """Layers of attention and a last norm; how steps are mixed, and where they stand, is the core's own."""

    config: Any  # an `AttentionCore`; each core's module names its own
    spec: CoreSpec

    def setup(self):
        """Make the layers and the last norm."""
        config = self.config
        self.blocks = [Block(self.spec, config.heads, config.feed_forward) for _ in range(config.layers)]
        self.norm = nn.LayerNorm()

    def whole_layers(self, method: Callable) -> list[Callable]:
        """Return a method (module, index, …) for each layer; with `remat` its gradient computes it again."""
        if self.config.remat:
            method = nn.remat(method, static_argnums=(1,))
        return [partial(method, self, index) for index in range(self.config.layers)]


class Block(nn.Module):
    """One layer: x ← x + out(mix(q, k, v)), q, k, v of norm(x); x ← x + contract(relu(expand(norm(x)))²).

    Normalised before each part, not after (Xiong et al. 2020, arXiv 2002.04745): such blocks train without
    a warm-up of the learning rate, which PPO's schedules lack. How steps are mixed is the core's own.
    Keys have no bias: in a softmax it would change nothing. The square of a relu (So et al. 2021, arXiv
    2109.08668) costs what a relu does, and has no kink; a gelu's tanh costs more (docs/measurements.md).
    """

    spec: CoreSpec
    heads: int
    feed_forward: int

    def setup(self):
        """Make the parts."""
        width, linear = self.spec.width, partial(dense, compute=self.spec.compute, apart=False)
        self.mix_norm, self.forward_norm = nn.LayerNorm(), nn.LayerNorm()
        self.queries = linear(width, use_bias=False)
        self.keys = linear(width, use_bias=False)
        self.values = linear(width, use_bias=False)
        self.out = linear(width)
        self.expand = linear(self.feed_forward)
        self.contract = linear(width)

    def project(self, inputs: Float[Array, "*steps W"]) -> tuple[Heads, Heads, Heads]:
        """Return queries, keys and values of each head, d = W / heads numbers each."""
        normed = self.mix_norm(_flat(inputs))
        shape = (*inputs.shape[:-1], self.heads, self.spec.width // self.heads)
        queries, keys, values = self.queries(normed), self.keys(normed), self.values(normed)
        return queries.reshape(shape), keys.reshape(shape), values.reshape(shape)

    def finish(self, inputs: Float[Array, "*steps W"], mixed: Heads) -> Float[Array, "*steps W"]:
        """Return the layer's output, given its input and what the heads read."""
        flat = _flat(inputs)
        hidden = flat + self.out(mixed.reshape(flat.shape))
        output = hidden + self.contract(jnp.square(nn.relu(self.expand(self.forward_norm(hidden)))))
        return output.reshape(inputs.shape)


def _flat(inputs: Float[Array, "*steps W"]) -> Float[Array, "... W"]:
    """Return all steps of all tasks as one axis: on a CPU products of matrices alone are fast."""
    return inputs.reshape(-1, inputs.shape[-1]) if inputs.ndim > 2 else inputs
