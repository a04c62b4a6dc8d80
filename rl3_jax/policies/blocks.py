"""What the attention cores share: residual blocks around a mixing of steps, and how they run over tasks."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.policies.base import CoreSpec
from rl3_jax.policies.products import dense

Heads = Float[Array, "*steps heads d"]
"""What the heads of a layer make of each step: their queries, keys, values or outputs."""
Tasks = Literal["auto", "all", "each"]
"""Which tasks a whole sequence's attention takes at once; `auto` is `each` on a CPU and else `all`."""


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


def over_tasks(function: Callable, tasks: Tasks, *arrays: Any) -> Any:
    """Return a function of one task for B tasks. For the gradient only its inputs are kept.

    On a CPU one task at a time stays in cache: that is faster than all tasks at once, and recomputing is
    faster than keeping more (docs/measurements.md).
    """
    each = jax.checkpoint(function)
    return jax.vmap(each)(*arrays) if tasks == "all" else jax.lax.map(lambda task: each(*task), arrays)


def fastest_tasks(tasks: Tasks, platform: str) -> Tasks:
    """Return which tasks to take at once on a platform, where that is left open."""
    if tasks != "auto":
        return tasks
    return "each" if platform == "cpu" else "all"


def layer_method(method: Callable, remat: bool) -> Callable:
    """Return a method (module, index, …) for one layer; with `remat` its gradient computes it again."""
    return nn.remat(method, static_argnums=(1,)) if remat else method


def heads_problems(heads: int, spec: CoreSpec) -> list[str]:
    """Return a message if heads do not divide the width."""
    if heads >= 1 and spec.width % heads:
        return [
            f"policy.core.heads is {heads} and policy.width {spec.width}; each head takes an equal part of"
            " the width: choose heads that divide it"
        ]
    return []
