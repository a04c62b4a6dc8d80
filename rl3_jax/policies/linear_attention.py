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
from rl3_jax.policies.base import CoreSpec, Step, Steps, through_layers
from rl3_jax.policies.blocks import AttentionCore, AttentionModule, OfStep, OfTrial

EPSILON = 1e-6
"""Added to the sum of weights, as in the paper's code: queries and keys may all be far below 0."""


@dataclasses.dataclass(frozen=True)
class LinearAttention(AttentionCore):
    """Layers of causal attention with weights φ(q_t)·φ(k_s), φ(x) = elu(x) + 1, instead of a softmax's.

    Their sums over s are two sums of the past, so that a step costs the same at any time. There are no
    positions: they would end at a horizon, and the observation holds the time. A whole trial is computed
    in chunks: products within one, and the sums before each.

    Attributes:
      chunk: longest chunk of a whole trial, steps. 32 is among the fastest on a CPU (docs/measurements.md).
    """

    core: ClassVar[str] = "linear-attention"

    chunk: Count = 32

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return _Module(self, spec)

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


class _Module(AttentionModule):
    config: LinearAttention

    def __call__(self, carry: tuple[Past, ...], inputs: Steps) -> tuple[tuple[Past, ...], Steps]:
        layers = self.whole_layers(_Module._layer)
        carry, hidden = through_layers(layers, carry, inputs)
        return carry, self.norm(hidden)

    def step(self, carry: tuple[Past, ...], inputs: Step) -> tuple[tuple[Past, ...], Step]:
        def layer(block, past, hidden):
            past, mixed = read(past, *block.project(hidden))
            return past, block.finish(hidden, mixed)

        carry, hidden = through_layers([partial(layer, block) for block in self.blocks], carry, inputs)
        return carry, self.norm(hidden)

    def _layer(self, index: int, past: Past, hidden: Steps) -> tuple[Past, Steps]:
        block, config = self.blocks[index], self.config
        attend = partial(chunked_attention, chunk=config.chunk)
        past, mixed = config.over_tasks(attend, past, *block.project(hidden))
        return past, block.finish(hidden, mixed)


def features(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """Return φ(x) = elu(x) + 1, above 0."""
    return jnp.exp(jnp.minimum(x, 0.0)) + jnp.maximum(x, 0.0)


def read(past: Past, query: OfStep, key: OfStep, value: OfStep) -> tuple[Past, OfStep]:
    """Return the sums after one more step, and φ(q)·Σ φ(k) vᵀ / φ(q)·Σ φ(k), what it reads."""
    query, key = features(query), features(key)
    products = past.products + key[:, :, None] * value[:, None, :]
    keys = past.keys + key
    mixed = (query[:, :, None] * products).sum(1) / ((query * keys).sum(-1) + EPSILON)[:, None]
    return Past(products, keys), mixed


def chunked_attention(
    past: Past, queries: OfTrial, keys: OfTrial, values: OfTrial, chunk: int
) -> tuple[Past, OfTrial]:
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


def _chunks(x: OfTrial, num_chunks: int) -> Float[Array, "c heads t d"]:
    """Cut a trial into chunks of equal size, with zeros at its end."""
    num_steps, *rest = x.shape
    size = -(-num_steps // num_chunks)
    padded = jnp.pad(x, ((0, size * num_chunks - num_steps), (0, 0), (0, 0)))
    return padded.reshape(num_chunks, size, *rest).swapaxes(1, 2)
