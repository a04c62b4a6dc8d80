"""A causal transformer as core (Vaswani et al. 2017, arXiv 1706.03762); the choice of RL³'s authors."""

import dataclasses
import math
from functools import partial
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax import struct
from jaxtyping import Array, Float, Int

from rl3_jax.constraints import Count, Natural
from rl3_jax.policies.attention import Parts, Reading, causal_attention, read, rolled, rotate, unrolled, write
from rl3_jax.policies.base import CoreSpec, Step, Steps
from rl3_jax.policies.blocks import AttentionCore, AttentionModule, Heads

POSITION_SCALE = 0.02
"""Standard deviation of fresh positions, small beside the inputs: what is seen counts first."""


@dataclasses.dataclass(frozen=True)
class Transformer(AttentionCore):
    """Layers of causal self-attention.

    A step reads the parts of the cache that are already written to, and no others. Steps come evenly, so
    parts of equal size waste least: (parts + 1) / (2 parts) of the horizon is read in the mean, 0.63 for 4.

    Attributes:
      positions: how a step knows where the others are. `learned` ones are added to the inputs and end with
        the horizon. The others depend on the number of steps between two alone: `rotary` ones turn queries
        and keys by their steps (RoPE, Su et al. 2021, arXiv 2104.09864), `alibi` lowers the scores of older
        steps, at another rate in each head (Press et al. 2022, arXiv 2108.12409).
      window: how many steps each step of a layer reads, the last ones, itself included; 0 for all of the
        trial. With a window the memory has one size, a ring of as many steps, so that trials may be longer
        than in training, and be cut into segments. L layers see (window − 1)·L steps back.
      cache_parts: equal parts of the cache of keys and values; with 1, a step chooses no part to read.
    """

    core: ClassVar[str] = "transformer"

    positions: Literal["learned", "rotary", "alibi"] = "learned"
    window: Natural = 0
    cache_parts: Count = 4

    @property
    def constant_carry(self) -> bool:
        """Whether there is a window."""
        return self.window > 0

    def conflicts(self) -> list[str]:
        """Return a message if there is a window of positions that end with the horizon."""
        if not self.window or self.positions != "learned":
            return []
        return [
            f"policy.core.window is {self.window}, but learned positions end with the horizon; set"
            " policy.core.positions to rotary or alibi, or window to 0"
        ]

    def spec_problems(self, spec: CoreSpec) -> list[str]:
        """Return a message if the heads do not divide the width, or rotary positions lack pairs to turn."""
        found = super().spec_problems(spec)
        if found or self.positions != "rotary" or spec.width // self.heads % 2 == 0:
            return found
        return [
            f"policy.core.heads is {self.heads} and policy.width {spec.width}, {spec.width // self.heads} for"
            " each head; rotary positions turn pairs: let it be even, or set policy.core.positions to alibi"
        ]

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return _Module(self, spec)

    def initial_carry(self, spec: CoreSpec) -> "Cache":
        """Return an empty cache."""
        num_parts, size = self.part_sizes(spec)
        part = jnp.zeros((self.heads, size, spec.width // self.heads))
        layer = (part,) * num_parts
        return Cache(jnp.int32(0), (layer,) * self.layers, (layer,) * self.layers)

    def part_sizes(self, spec: CoreSpec) -> tuple[int, int]:
        """Return the number of parts of the cache, and how many steps (slots) each holds."""
        num_steps = self.window or spec.horizon
        size = -(-num_steps // self.cache_parts)
        return -(-num_steps // size), size


@struct.dataclass
class Cache:
    """The memory of a transformer: keys and values of the steps so far, or of the last ones.

    Attributes:
      position: steps so far, the next one's position. It does not depend on the task: under `vmap` it stays
        one number, and a step one true choice of what to read.
      keys: of each layer, its parts, [heads, slots, d] each. With a window they are a ring: step t is in slot
        t modulo the number of slots.
      values: likewise.
    """

    position: Int[Array, "*B"]
    keys: tuple[Parts, ...]
    values: tuple[Parts, ...]


class _Module(AttentionModule):
    config: Transformer

    def setup(self):
        spec, config = self.spec, self.config
        if config.positions == "learned":
            init = nn.initializers.normal(POSITION_SCALE)
            self.positions = self.param("positions", init, (spec.horizon, spec.width))
        self.reading = Reading(spec.compute, config.window, config.positions == "alibi")
        super().setup()

    def __call__(self, carry: Cache, inputs: Steps) -> tuple[Cache, Steps]:
        # Without a window the caches are empty: `constant_carry` is False.
        num_steps = inputs.shape[1]
        assert self.config.window or num_steps <= self.spec.horizon, "no trial is longer than the horizon"
        hidden = self._entered(inputs, slice(num_steps))
        keys, values = [], []
        layers = zip(self.whole_layers(_Module._layer), carry.keys, carry.values, strict=True)
        for layer, old_keys, old_values in layers:
            hidden, new_keys, new_values = layer(hidden, old_keys, old_values, carry.position)
            keys.append(new_keys)
            values.append(new_values)
        return Cache(carry.position + num_steps, tuple(keys), tuple(values)), self.norm(hidden)

    def step(self, carry: Cache, inputs: Step) -> tuple[Cache, Step]:
        position, slot = carry.position, carry.position
        if self.config.window:
            slot %= math.prod(self.config.part_sizes(self.spec))
        hidden = self._entered(inputs, position)
        keys, values = [], []
        for block, old_keys, old_values in zip(self.blocks, carry.keys, carry.values, strict=True):
            query, key, value = block.project(hidden)
            query, key = self._placed(query, position), self._placed(key, position)
            keys.append(write(old_keys, key, slot))
            values.append(write(old_values, value, slot))
            mixed = read(query, keys[-1], values[-1], position, self.reading)
            hidden = block.finish(hidden, mixed)
        return Cache(position + 1, tuple(keys), tuple(values)), self.norm(hidden)

    def _layer(
        self, index: int, hidden: Steps, old_keys: Parts, old_values: Parts, position: Int[Array, " B"]
    ) -> tuple[Steps, Parts, Parts]:
        block, num_steps = self.blocks[index], hidden.shape[1]
        steps = position[:, None] + jnp.arange(num_steps)
        queries, keys, values = block.project(hidden)
        queries, keys = self._placed(queries, steps), self._placed(keys, steps)
        if self.config.window:
            past = (jax.vmap(unrolled)(parts, position) for parts in (old_keys, old_values))
            keys, values = (jnp.concatenate(pair, axis=1) for pair in zip(past, (keys, values), strict=True))
        attend = partial(causal_attention, reading=self.reading)
        mixed = self.config.over_tasks(attend, queries, keys, values, position)
        after = position + num_steps
        return block.finish(hidden, mixed), self._parts(keys, after), self._parts(values, after)

    def _entered(self, inputs: Float[Array, "*steps W"], steps: Any) -> Float[Array, "*steps W"]:
        """Return the inputs with the learned positions of these steps, if there are such."""
        return inputs + self.positions[steps] if self.config.positions == "learned" else inputs

    def _placed(self, x: Heads, steps: Int[Array, "*steps"]) -> Heads:
        """Return queries or keys turned by their steps, if positions are rotary."""
        return rotate(x, steps) if self.config.positions == "rotary" else x

    def _parts(self, entries: Float[Array, "B T heads d"], position: Int[Array, " B"]) -> Parts:
        """Return the caches after so many steps, of which these are the entries of the last."""
        num_parts, size = self.config.part_sizes(self.spec)
        if self.config.window:
            return jax.vmap(partial(rolled, num_parts=num_parts))(entries[:, -num_parts * size :], position)
        room = size * num_parts - entries.shape[1]
        padded = jnp.pad(entries.swapaxes(1, 2), ((0, 0), (0, 0), (0, room), (0, 0)))
        return tuple(jnp.split(padded, num_parts, axis=2))
