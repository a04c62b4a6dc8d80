"""Random keys, derived from (seed, purpose, iteration, task index) and never carried along.

So a resumed run draws what an uninterrupted one draws, the sample of tasks does not depend on the
number of devices, and evaluation shares no key with training even if the two seeds are equal.
"""

import enum

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PRNGKeyArray


class Purpose(enum.IntEnum):
    """What a stream of keys is for; the numbers are part of a run's identity."""

    INIT = 0
    COLLECT = 1
    UPDATE = 2
    EVALUATION_TASK = 3
    EVALUATION_TRIAL = 4


def stream(root: PRNGKeyArray, purpose: Purpose, iteration: Int[Array, ""] | int = 0) -> PRNGKeyArray:
    """Return the key for a purpose in an iteration."""
    return jax.random.fold_in(jax.random.fold_in(root, purpose), iteration)


def task_keys(key: PRNGKeyArray, start: int | Int[Array, ""], num_tasks: int) -> Key[Array, " B"]:
    """Return [num_tasks] keys for the task indices from `start` on."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, start + jnp.arange(num_tasks))
