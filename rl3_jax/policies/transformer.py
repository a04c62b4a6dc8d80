"""A causal transformer as core (Vaswani et al. 2017, arXiv 1706.03762); the choice of RL³'s authors."""

import dataclasses
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float, Int

from rl3_jax.constraints import Count
from rl3_jax.policies.base import CoreSpec, Step, Steps
from rl3_jax.policies.blocks import AttentionCore, AttentionModule, OfStep, OfTrial
from rl3_jax.policies.products import Compute, contract

QUERY_BLOCK = 64
"""Queries of a whole trial that meet their keys at once; fast on a CPU (docs/measurements.md)."""
POSITION_SCALE = 0.02
"""Standard deviation of fresh positions, small beside the inputs: what is seen counts first."""

Parts = tuple[Float[Array, "*B heads slots d"], ...]
"""The keys or values of one layer, in as many arrays as the cache has parts."""
Position = Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class Transformer(AttentionCore):
    """Layers of causal self-attention with learned positions.

    A step reads the parts of the cache that are already written to, and no others. Steps come evenly, so
    parts of equal size waste least: (parts + 1) / (2 parts) of the horizon is read in the mean, 0.63 for 4.

    Attributes:
      cache_parts: equal parts of the cache of keys and values.
    """

    core: ClassVar[str] = "transformer"
    constant_carry: ClassVar[bool] = False

    cache_parts: Count = 4

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return _Module(self, spec)

    def initial_carry(self, spec: CoreSpec) -> "Cache":
        """Return an empty cache."""
        size = self.part_size(spec)
        part = jnp.zeros((self.heads, size, spec.width // self.heads))
        layer = (part,) * -(-spec.horizon // size)
        return Cache(jnp.int32(0), (layer,) * self.layers, (layer,) * self.layers)

    def part_size(self, spec: CoreSpec) -> int:
        """Return how many steps (slots) a part of the cache holds."""
        return -(-spec.horizon // self.cache_parts)


@struct.dataclass
class Cache:
    """The memory of a transformer: keys and values of the steps so far.

    Attributes:
      position: steps so far, the next one's position. It does not depend on the task: under `vmap` it stays
        one number, and a step one true choice of what to read.
      keys: of each layer, its parts, [heads, slots, d] each.
      values: likewise.
    """

    position: Int[Array, "*B"]
    keys: tuple[Parts, ...]
    values: tuple[Parts, ...]


class _Module(AttentionModule):
    config: Transformer

    def setup(self):
        init, spec = nn.initializers.normal(POSITION_SCALE), self.spec
        self.positions = self.param("positions", init, (spec.horizon, spec.width))
        super().setup()

    def __call__(self, carry: Cache, inputs: Steps) -> tuple[Cache, Steps]:
        # The caches are empty: `constant_carry` is False.
        num_steps = inputs.shape[1]
        assert num_steps <= self.spec.horizon, "no trial is longer than the horizon"
        hidden = inputs + self.positions[:num_steps]
        keys, values = [], []
        for layer in self.whole_layers(_Module._layer):
            hidden, new_keys, new_values = layer(hidden)
            keys.append(self._parts(new_keys))
            values.append(self._parts(new_values))
        return Cache(carry.position + num_steps, tuple(keys), tuple(values)), self.norm(hidden)

    def step(self, carry: Cache, inputs: Step) -> tuple[Cache, Step]:
        position = carry.position
        hidden = inputs + self.positions[position]
        keys, values = [], []
        for block, old_keys, old_values in zip(self.blocks, carry.keys, carry.values, strict=True):
            query, key, value = block.project(hidden)
            keys.append(write(old_keys, key, position))
            values.append(write(old_values, value, position))
            mixed = read(query, keys[-1], values[-1], position, self.spec.compute)
            hidden = block.finish(hidden, mixed)
        return Cache(position + 1, tuple(keys), tuple(values)), self.norm(hidden)

    def _layer(self, index: int, hidden: Steps) -> tuple[Steps, Array, Array]:
        block = self.blocks[index]
        queries, keys, values = block.project(hidden)
        attend = partial(causal_attention, compute=self.spec.compute)
        mixed = self.config.over_tasks(attend, queries, keys, values)
        return block.finish(hidden, mixed), keys, values

    def _parts(self, entries: Float[Array, "B T heads d"]) -> Parts:
        size = self.config.part_size(self.spec)
        num_parts = -(-self.spec.horizon // size)
        room = size * num_parts - entries.shape[1]
        padded = jnp.pad(entries.swapaxes(1, 2), ((0, 0), (0, 0), (0, room), (0, 0)))
        return tuple(jnp.split(padded, num_parts, axis=2))


def causal_attention(
    queries: OfTrial, keys: OfTrial, values: OfTrial, compute: Compute = "float32"
) -> OfTrial:
    """Return Σ_{s ≤ t} softmax_s(q_t · k_s / √d) v_s at each step t of one trial.

    Queries go in blocks, each with the keys up to its last: half the products of a masked square, and the
    gradient computes a block's weights again, so that T² numbers are never kept.
    """
    queries, keys, values = (jnp.swapaxes(x, 0, 1) for x in (queries, keys, values))
    num_steps, mixed = queries.shape[1], []
    for first in range(0, num_steps, QUERY_BLOCK):
        last = min(first + QUERY_BLOCK, num_steps)
        block = jax.checkpoint(partial(_attend, compute=compute))
        mixed.append(block(queries[:, first:last], keys[:, :last], values[:, :last]))
    return jnp.concatenate(mixed, axis=1).swapaxes(0, 1)


def _attend(
    queries: Float[Array, "heads Q d"],
    keys: Float[Array, "heads S d"],
    values: Float[Array, "heads S d"],
    compute: Compute,
) -> Float[Array, "heads Q d"]:
    num_queries, num_keys = queries.shape[1], keys.shape[1]
    steps = jnp.arange(num_keys)
    scores = contract("hqd,hsd->hqs", queries, keys, compute)
    weights = _weights(scores, steps <= steps[num_keys - num_queries :, None], keys.shape[-1])
    return contract("hqs,hsd->hqd", weights, values, compute) / weights.sum(-1, keepdims=True)


def _weights(scores: Float[Array, "... S"], seen: Array, size: int) -> Float[Array, "... S"]:
    """Return exp(score / √d), to a factor that makes the largest 1; 0 where not seen."""
    scores = jnp.where(seen, scores * size**-0.5, -jnp.inf)
    return jnp.exp(scores - jax.lax.stop_gradient(scores.max(-1, keepdims=True)))


def write(parts: Parts, entry: OfStep, position: Position) -> Parts:
    """Return the parts of a cache with one more entry.

    Each part writes one slot, most of them what was there: a choice of the part would copy all of it.
    """
    size, written = parts[0].shape[1], []
    for index, part in enumerate(parts):
        slot = jnp.clip(position - index * size, 0, size - 1)
        old = jax.lax.dynamic_index_in_dim(part, slot, axis=1, keepdims=False)
        new = jnp.where(position // size == index, entry, old)
        written.append(jax.lax.dynamic_update_index_in_dim(part, new, slot, axis=1))
    return tuple(written)


def read(query: OfStep, keys: Parts, values: Parts, position: Position, compute: Compute) -> OfStep:
    """Return what a step at this position reads, from the parts that hold steps up to it."""
    branches = [partial(_read, count, compute) for count in range(1, len(keys) + 1)]
    return jax.lax.switch(position // keys[0].shape[1], branches, query, keys, values, position)


def _read(
    count: int, compute: Compute, query: OfStep, keys: Parts, values: Parts, position: Position
) -> OfStep:
    """Return what a step reads from the first parts.

    Parts are arrays of their own, because a product with a slice of one array would first copy it.
    """
    scores = jnp.concatenate([contract("hd,hsd->hs", query, part, compute) for part in keys[:count]], axis=1)
    weights = _weights(scores, jnp.arange(scores.shape[1]) <= position, query.shape[-1])
    shares = jnp.split(weights, count, axis=1)
    reads = zip(shares, values[:count], strict=True)
    total = sum(contract("hs,hsd->hd", share, part, compute) for share, part in reads)
    return total / weights.sum(-1, keepdims=True)
