"""Processes of several hosts that train one run: what they agree on, and which of them writes.

All call these functions at the same points of a run. A process that is alone agrees with itself at no cost.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree

from rl3_jax.errors import ConfigError

TEXT_BYTES = 2**14
"""Room for the messages of a process; the rest is cut off."""

Tree = TypeVar("Tree", bound=PyTree)


class HostLost(RuntimeError):
    """Another process of the run has stopped, or cannot be reached any more."""


def alone() -> bool:
    """Whether there is one process."""
    return jax.process_count() == 1


def is_first() -> bool:
    """Whether this process writes what others do not: metrics, the agent, `config.json`."""
    return jax.process_index() == 0


def largest(number: int) -> int:
    """Return the largest number of all processes."""
    return number if alone() else int(multihost_utils.process_allgather(np.int32(number)).max())


def of_first(number: int) -> int:
    """Return the number of the first process."""
    return number if alone() else int(multihost_utils.broadcast_one_to_all(np.int32(number)))


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Raise the `ConfigError` of any process in all of them, after a block in which none waits for others."""
    if alone():
        yield
        return
    problems: Sequence[str] = ()
    try:
        yield
    except ConfigError as error:
        problems = error.problems
    text = json.dumps(list(problems)).encode()
    if len(text) > TEXT_BYTES:
        text = json.dumps([str(problems[0])[: TEXT_BYTES // 8]]).encode()
    texts = multihost_utils.process_allgather(np.frombuffer(text.ljust(TEXT_BYTES), np.uint8))
    found = [problem for each in texts for problem in json.loads(each.tobytes())]
    if found:
        raise ConfigError(list(dict.fromkeys(found)))


def require_same(content: Any) -> None:
    """Refuse to go on if processes differ in some JSON content.

    Raises:
      ConfigError: in all of them.
    """
    if alone():
        return
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
    digests = multihost_utils.process_allgather(np.frombuffer(digest, np.uint8))
    if (digests != digests[0]).any():
        raise ConfigError("the processes have different configurations; start all with the same arguments")


def put(tree: Tree, where: jax.sharding.Sharding) -> Tree:
    """Return arrays that each process has on devices of all processes."""
    if alone():
        return jax.device_put(tree, where)

    def put_one(x: Any) -> jax.Array:
        if jax.numpy.issubdtype(x.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(put_one(jax.random.key_data(x)), impl=jax.random.key_impl(x))
        here = np.asarray(x)
        return jax.make_array_from_callback(here.shape, where, lambda index: here[index])

    return jax.tree.map(put_one, tree)


def own(tree: Tree) -> Tree:
    """Return arrays that are the same on all devices, on the first device of this process."""
    device = jax.local_devices()[0]
    return jax.tree.map(lambda x: jax.device_put(x.addressable_data(0), device), tree)
