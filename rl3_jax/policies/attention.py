"""Softmax attention of one trial: over its steps at once to train, and from a cache to act."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rl3_jax.policies.blocks import Heads, OfStep, OfTrial
from rl3_jax.policies.products import Compute, contract

QUERY_BLOCK = 64
"""Queries of a whole trial that meet their keys at once; fast on a CPU (docs/measurements.md)."""
ROTARY_BASE = 10_000.0
"""What sets the slowest turn of rotary positions (Su et al. 2021, section 3.2.2)."""
ALIBI_OCTAVES = 8.0
"""The last head's slope is 2 to the minus this (Press et al. 2022, section 3)."""

Parts = tuple[Float[Array, "*B heads slots d"], ...]
"""The keys or values of one layer, in as many arrays as the cache has parts."""
Position = Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class Reading:
    """How a step reads what the steps up to it left.

    Attributes:
      compute: the type of matrix products.
      window: how many steps a step reads, the last ones, itself included; 0 for all.
      alibi: whether the score of a key falls with its age, by `slopes`.
    """

    compute: Compute = "float32"
    window: int = 0
    alibi: bool = False


def causal_attention(
    queries: OfTrial,
    keys: Float[Array, "S heads d"],
    values: Float[Array, "S heads d"],
    position: Position | int = 0,
    reading: Reading = Reading(),
) -> OfTrial:
    """Return Σ_{s ≤ t} softmax_s(q_t · k_s / √d) v_s at each step t of one trial.

    With a window the queries may be those of a later part, whose first step has this position: the keys and
    values then begin with those of at least a window of steps before it, zeros where there were none.

    Queries go in blocks, each with the keys that it reads: half the products of a masked square, or with a
    window a band of it. The gradient computes a block's weights again, so that T² numbers are never kept.
    """
    queries, keys, values = (jnp.swapaxes(x, 0, 1) for x in (queries, keys, values))
    num_steps, mixed = queries.shape[1], []
    num_past = keys.shape[1] - num_steps
    for first in range(0, num_steps, QUERY_BLOCK):
        last = min(first + QUERY_BLOCK, num_steps)
        read = slice(num_past + first + 1 - reading.window if reading.window else 0, num_past + last)
        block = jax.checkpoint(partial(_attend, reading=reading))
        mixed.append(block(queries[:, first:last], keys[:, read], values[:, read], position + first))
    return jnp.concatenate(mixed, axis=1).swapaxes(0, 1)


def _attend(
    queries: Float[Array, "heads Q d"],
    keys: Float[Array, "heads S d"],
    values: Float[Array, "heads S d"],
    position: Position | int,
    reading: Reading,
) -> Float[Array, "heads Q d"]:
    """Return what steps from a position on read; the last keys are those of these steps."""
    num_queries, num_keys = queries.shape[1], keys.shape[1]
    steps = jnp.arange(num_keys)
    now = steps[num_keys - num_queries :, None]
    seen, ages = steps <= now, now - steps
    if reading.window:
        taken = position + jnp.arange(num_queries)[:, None]
        seen &= ages <= jnp.minimum(taken, reading.window - 1)
    scores = contract("hqd,hsd->hqs", queries, keys, reading.compute)
    weights = _weights(scores, seen, ages, keys.shape[-1], reading)
    return contract("hqs,hsd->hqd", weights, values, reading.compute) / weights.sum(-1, keepdims=True)


def _weights(
    scores: Float[Array, "heads *Q S"],
    seen: Bool[Array, "*Q S"],
    ages: Int[Array, "*Q S"],
    size: int,
    reading: Reading,
) -> Float[Array, "heads *Q S"]:
    """Return exp(score / √d), to a factor that makes the largest 1; 0 where not seen."""
    scores = scores * size**-0.5
    if reading.alibi:
        scores -= slopes(scores.shape[0]).reshape(-1, *(1,) * ages.ndim) * ages
    scores = jnp.where(seen, scores, -jnp.inf)
    return jnp.exp(scores - jax.lax.stop_gradient(scores.max(-1, keepdims=True)))


def slopes(num_heads: int) -> Float[Array, " heads"]:
    """Return 2^(−8h/n) of heads h = 1 … n, by which a score falls with each step of a key's age."""
    return 2.0 ** (-ALIBI_OCTAVES * jnp.arange(1, num_heads + 1) / num_heads)


def rotate(x: Heads, steps: Int[Array, "*steps"]) -> Heads:
    """Return queries or keys with each pair of numbers turned by an angle that grows with the step.

    The product of a query and a key then depends on the number of steps between them alone. Pair i, of
    numbers i and i + d/2 of a head, turns by t·10000^(−2i/d): halves of an array are faster than every
    other number of it, and the layer that makes them may learn them in any order.
    """
    half = x.shape[-1] // 2
    rates = ROTARY_BASE ** (-jnp.arange(half) / half)
    angles = steps[..., None, None] * rates
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    first, second = x[..., :half], x[..., half:]
    return jnp.concatenate([first * cos - second * sin, first * sin + second * cos], axis=-1)


def write(parts: Parts, entry: OfStep, slot: Position) -> Parts:
    """Return the parts of a cache with one more entry.

    Each part writes one slot, most of them what was there: a choice of the part would copy all of it.
    """
    size, written = parts[0].shape[1], []
    for index, part in enumerate(parts):
        within = jnp.clip(slot - index * size, 0, size - 1)
        old = jax.lax.dynamic_index_in_dim(part, within, axis=1, keepdims=False)
        new = jnp.where(slot // size == index, entry, old)
        written.append(jax.lax.dynamic_update_index_in_dim(part, new, within, axis=1))
    return tuple(written)


def read(query: OfStep, keys: Parts, values: Parts, position: Position, reading: Reading) -> OfStep:
    """Return what a step at this position reads, from the parts that hold steps up to it.

    `switch` takes the last branch beyond it: all parts, once they are full.
    """
    branches = [partial(_read, count, reading) for count in range(1, len(keys) + 1)]
    return jax.lax.switch(position // keys[0].shape[1], branches, query, keys, values, position)


def _read(
    count: int, reading: Reading, query: OfStep, keys: Parts, values: Parts, position: Position
) -> OfStep:
    """Return what a step reads from the first parts.

    Parts are arrays of their own, because a product with a slice of one array would first copy it.
    """
    products = [contract("hd,hsd->hs", query, part, reading.compute) for part in keys[:count]]
    scores = jnp.concatenate(products, axis=1)
    slots = jnp.arange(scores.shape[1])
    seen, ages = slots <= position, position - slots
    if reading.window:  # a ring, of which a slot holds the last step that was written there
        ages %= sum(part.shape[1] for part in keys)
        seen = ages <= jnp.minimum(position, reading.window - 1)
    weights = _weights(scores, seen, ages, query.shape[-1], reading)
    shares = jnp.split(weights, count, axis=1)
    reads = zip(shares, values[:count], strict=True)
    total = sum(contract("hs,hsd->hd", share, part, reading.compute) for share, part in reads)
    return total / weights.sum(-1, keepdims=True)


def unrolled(parts: Parts, position: Position) -> OfTrial:
    """Return the entries of a ring, the oldest first; `position` steps were written to it."""
    ring = jnp.concatenate(parts, axis=1)
    return jnp.roll(ring, -position, axis=1).swapaxes(0, 1)


def rolled(entries: OfTrial, position: Position, num_parts: int) -> Parts:
    """Return the parts of a ring after `position` steps, of which these are the last ones in order."""
    ring = jnp.roll(entries.swapaxes(0, 1), position, axis=1)
    return tuple(jnp.split(ring, num_parts, axis=1))
