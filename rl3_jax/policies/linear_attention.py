"""Linear attention as core (Katharopoulos et al. 2020, arXiv 2006.16236): a memory of constant size."""

import dataclasses
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float

from rl3_jax.constraints import Count
from rl3_jax.policies.base import CoreSpec
from rl3_jax.policies.blocks import Block, Tasks, fastest_tasks, heads_problems, layer_method, over_tasks

EPSILON = 1e-6
"""Added to the sum of weights, as in the paper's code: queries and keys may all be far below 0."""


@dataclasses.dataclass(frozen=True)
class LinearAttention:
    """Layers of causal attention with weights φ(q_t)·φ(k_s), φ(x) = elu(x) + 1, instead of a softmax's.

    Their sums over s are two sums of the past, so that a step costs the same at any time. There are no
    positions: they would end at a horizon, and the observation holds the time. A whole trial is computed
    in chunks: products within one, and the sums before each.

    Attributes:
      layers: residual blocks.
      heads: attention heads of each; they divide the width.
      feed_forward: hidden units of each block's feed-forward part.
      chunk: longest chunk of a whole trial, steps. 32 is among the fastest on a CPU (docs/measurements.md).
      remat: keep only the input of each layer for the gradient and compute the rest again: less memory for
        more time (docs/measurements.md).
      tasks: which tasks attention over whole trials takes at once.
    """

    core: ClassVar[str] = "linear-attention"
    log_prob_tolerance: ClassVar[float] = 1e-5
    constant_carry: ClassVar[bool] = True

    layers: Count = 2
    heads: Count = 4
    feed_forward: Count = 256
    chunk: Count = 32
    remat: bool = False
    tasks: Tasks = "auto"

    def spec_problems(self, spec: CoreSpec) -> list[str]:
        """Return a message if the heads do not divide the width."""
        return heads_problems(self.heads, spec)

    def suited(self, platform: str) -> "LinearAttention":
        """Return it with the tasks taken at once that are fastest on a platform."""
        return dataclasses.replace(self, tasks=fastest_tasks(self.tasks, platform))

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return LinearAttentionModule(self, spec)

    def initial_carry(self, spec: CoreSpec) -> tuple["Past", ...]:
        """Return the sums of no steps, for each layer."""
        size = spec.width // self.heads
        past = Past(jnp.zeros((self.heads, size, size)), jnp.zeros((self.heads, size)))
        return (past,) * self.layers


@struct.dataclass
class Past:
    """What a layer keeps of the steps so far.

    Attributes:
      products: [heads, d, d] Σ_s φ(k_s) v_sᵀ.
      keys: [heads, d] Σ_s φ(k_s).
    """

    products: Float[Array, "*B heads d d"]
    keys: Float[Array, "*B heads d"]


class LinearAttentionModule(nn.Module):
    """Linear attention over parts of trials, or one step at a time."""

    config: LinearAttention
    spec: CoreSpec

    def setup(self):
        """Make the layers and the last norm."""
        config = self.config
        self.blocks = [Block(self.spec, config.heads, config.feed_forward) for _ in range(config.layers)]
        self.norm = nn.LayerNorm()

    def __call__(
        self, carry: tuple[Past, ...], inputs: Float[Array, "B T W"]
    ) -> tuple[tuple[Past, ...], Float[Array, "B T W"]]:
        """Return the sums after a part of B trials, and the outputs at each of its T steps."""
        layer = layer_method(LinearAttentionModule._layer, self.config.remat)
        hidden, after = inputs, []
        for index, past in enumerate(carry):
            past, hidden = layer(self, index, past, hidden)
            after.append(past)
        return tuple(after), self.norm(hidden)

    def step(
        self, carry: tuple[Past, ...], inputs: Float[Array, " W"]
    ) -> tuple[tuple[Past, ...], Float[Array, " W"]]:
        """Return the sums of one trial after one more step, and its output."""
        hidden, after = inputs, []
        for block, past in zip(self.blocks, carry, strict=True):
            past, mixed = read(past, *block.project(hidden))
            hidden = block.finish(hidden, mixed)
            after.append(past)
        return tuple(after), self.norm(hidden)

    def _layer(self, index: int, past: Past, hidden: Float[Array, "B T W"]) -> tuple[Past, Array]:
        """Return a layer's sums after parts of trials, and its output."""
        block, config = self.blocks[index], self.config
        attend = partial(chunked_attention, chunk=config.chunk)
        past, mixed = over_tasks(attend, config.tasks, past, *block.project(hidden))
        return past, block.finish(hidden, mixed)


def features(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return φ(x) = elu(x) + 1, above 0."""
    return jnp.exp(jnp.minimum(x, 0.0)) + jnp.maximum(x, 0.0)


def read(
    past: Past, query: Float[Array, "heads d"], key: Float[Array, "heads d"], value: Float[Array, "heads d"]
) -> tuple[Past, Float[Array, "heads d"]]:
    """Return the sums after one more step, and φ(q)·Σ φ(k) vᵀ / φ(q)·Σ φ(k), what it reads."""
    query, key = features(query), features(key)
    products = past.products + key[:, :, None] * value[:, None, :]
    keys = past.keys + key
    mixed = (query[:, :, None] * products).sum(1) / ((query * keys).sum(-1) + EPSILON)[:, None]
    return Past(products, keys), mixed


def chunked_attention(
    past: Past,
    queries: Float[Array, "T heads d"],
    keys: Float[Array, "T heads d"],
    values: Float[Array, "T heads d"],
    chunk: int,
) -> tuple[Past, Float[Array, "T heads d"]]:
    """Return the sums after T steps of one trial, and what each step reads: `read`, step by step.

    The steps are cut into chunks of one size, c axes below; what fills up the last one has φ(k) = 0.
    Its products stay in float32, as sums of the past do in `read`; they are a tenth of a layer's.
    """
    num_steps = queries.shape[0]
    num_chunks = -(-num_steps // chunk)
    queries, keys, values = (_chunks(x, num_chunks) for x in (features(queries), features(keys), values))
    added = Past(jnp.einsum("chsd,chse->chde", keys, values), keys.sum(2))
    last, before = jax.lax.scan(lambda sums, new: (jax.tree.map(jnp.add, sums, new), sums), past, added)
    weights = jnp.tril(jnp.einsum("chtd,chsd->chts", queries, keys))
    total = jnp.einsum("chts,chse->chte", weights, values)
    total += jnp.einsum("chtd,chde->chte", queries, before.products)
    norm = weights.sum(-1) + (queries * before.keys[:, :, None]).sum(-1) + EPSILON
    mixed = (total / norm[..., None]).swapaxes(1, 2)
    return last, mixed.reshape(-1, *mixed.shape[2:])[:num_steps]


def _chunks(x: Float[Array, "T heads d"], num_chunks: int) -> Float[Array, "c heads t d"]:
    """Cut a trial into chunks of equal size, with zeros at its end."""
    num_steps, *rest = x.shape
    size = -(-num_steps // num_chunks)
    padded = jnp.pad(x, ((0, size * num_chunks - num_steps), (0, 0), (0, 0)))
    return padded.reshape(num_chunks, size, *rest).swapaxes(1, 2)
