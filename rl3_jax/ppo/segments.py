"""Going through trials in parts, which bounds the memory of an update."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jaxtyping import Array, Float, PyTree, Shaped

from rl3_jax.policies import Params, Policy
from rl3_jax.ppo.config import PPOConfig

Unroll = Callable[[Any, Float[Array, "B T D"]], tuple[Any, PyTree]]
"""Maps memories [B, …] and observations of a part of B trials to memories after it and outputs [B, T, …]."""


def unroll_sequences(
    config: PPOConfig, policy: Policy, unroll: Unroll, carries: Any, observations: Float[Array, "N L D"]
) -> PyTree:
    """Return a network's outputs [N, L, …] at each step of each sequence, in segments if so configured.

    `carries` are the memories [N, …] at their starts, None for whole trials.
    """
    num_sequences, length = observations.shape[:2]
    if carries is None:
        carries = policy.initial_carries(num_sequences)
    if not config.segmented(length):
        return unroll(carries, observations)[1]
    return through_segments(unroll, carries, observations, length // config.segment_length)[1]


def through_segments(
    unroll: Unroll, carries: Any, observations: Float[Array, "B H D"], num_segments: int
) -> tuple[Any, PyTree]:
    """Return the memories at the start of each segment, [n, B, …], and the outputs [B, H, …] of all steps.

    The same function as `unroll` on whole trials, and the same gradient. Between forward and backward pass
    only observations and those memories are kept, the rest is computed again: activations take 1/n of the
    memory, and the forward pass runs twice.
    """

    def segment(carries, observations):
        after, outputs = unroll(carries, observations)
        return after, (carries, outputs)

    parts = cut(observations, num_segments).swapaxes(0, 1)
    # Inside a scan the compiler cannot merge the two forward passes; to guard against it would cost time.
    _, (starts, outputs) = jax.lax.scan(jax.checkpoint(segment, prevent_cse=False), carries, parts)
    whole = observations.shape[:2]
    return starts, jax.tree.map(lambda x: x.swapaxes(0, 1).reshape(*whole, *x.shape[3:]), outputs)


def critic_values(
    config: PPOConfig, policy: Policy, params: Params, observations: Float[Array, "B H D"]
) -> tuple[Any, Float[Array, "B H"]]:
    """Return the outputs of a critic of its own at each step of each trial.

    Also returns its memories [n, B, …] at the start of each of n segments, or None if these are not stored.
    """
    num_segments = config.num_stored(observations.shape[1])
    unroll = partial(policy.unroll_critic, params)

    def values(observations):
        carries = policy.initial_carries(observations.shape[0])
        if num_segments == 1:
            return None, unroll(carries, observations)[1]
        starts, outputs = through_segments(unroll, carries, observations, num_segments)
        return jax.tree.map(lambda x: x.swapaxes(0, 1), starts), outputs

    starts, outputs = by_minibatch(config, values, observations)
    return jax.tree.map(lambda x: x.swapaxes(0, 1), starts), outputs


def by_minibatch(config: PPOConfig, function: Callable[[Any], PyTree], batch: PyTree) -> PyTree:
    """Return function(batch), taken on one part of the batch after another, as large as those of an update.

    So a pass over the whole batch needs no more memory than the update.
    """
    num_sequences, length = jax.tree.leaves(batch)[0].shape[:2]
    num_parts = config.num_minibatches
    num_parts *= config.num_parts(num_sequences // num_parts, length)
    parts = jax.tree.map(lambda x: x.reshape(num_parts, -1, *x.shape[1:]), batch)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), jax.lax.map(function, parts))


def cut(x: Shaped[Array, "B H *rest"], num_segments: int) -> Shaped[Array, "B n L *rest"]:
    """Return what belongs to the steps of trials, cut into n segments of L = H/n steps."""
    return x.reshape(x.shape[0], num_segments, -1, *x.shape[2:])
