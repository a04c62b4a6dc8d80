"""Going through trials in segments, which bounds the memory of an update."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float, PyTree, Shaped

Unroll = Callable[[Any, Float[Array, "B T D"]], tuple[Any, PyTree]]
"""Maps memories [B, …] and observations of a part of B trials to memories after it and outputs [B, T, …]."""


def through_segments(
    unroll: Unroll, carries: Any, observations: Float[Array, "B H D"], num_segments: int
) -> tuple[Any, PyTree]:
    """Return the memories at the start of each segment, [n, B, …], and the outputs [B, H, …] of all steps.

    The same function as `unroll` on whole trials, and the same gradient. Between forward and backward pass
    only observations and those memories are kept, the rest is computed again: activations take 1/n of the
    memory, and the forward pass runs twice.

    Args:
      unroll: goes through a part of B trials.
      carries: [B, …] memories before it.
      observations: what the network sees.
      num_segments: n, divides H.
    """

    def segment(carries, observations):
        after, outputs = unroll(carries, observations)
        return after, (carries, outputs)

    parts = cut(observations, num_segments).swapaxes(0, 1)
    # Inside a scan the compiler cannot merge the two forward passes; to guard against it would cost time.
    _, (starts, outputs) = jax.lax.scan(jax.checkpoint(segment, prevent_cse=False), carries, parts)
    return starts, jax.tree.map(lambda x: join(x.swapaxes(0, 1)), outputs)


def cut(x: Shaped[Array, "B H *rest"], num_segments: int) -> Shaped[Array, "B n L *rest"]:
    """Return what belongs to the steps of trials, cut into n segments of L = H/n steps."""
    return x.reshape(x.shape[0], num_segments, -1, *x.shape[2:])


def join(x: Shaped[Array, "B n L *rest"]) -> Shaped[Array, "B H *rest"]:
    """Return the inverse of `cut`."""
    return x.reshape(x.shape[0], -1, *x.shape[3:])
