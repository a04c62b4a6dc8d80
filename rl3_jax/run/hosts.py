"""Processes of several hosts that train one run: what they agree on, and which of them writes.

All call these functions at the same points of a run. A process that is alone agrees with itself at no cost.
"""

import contextlib
import json
from collections.abc import Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jaxtyping import PyTree

from rl3_jax.errors import ConfigError
from rl3_jax.run.digests import digest
from rl3_jax.run.signals import Interrupted

TEXT_BYTES = 2**14
"""Room for the messages of a process; the rest is cut off."""

Tree = TypeVar("Tree", bound=PyTree)


def alone() -> bool:
    """Whether there is one process. Unless several have joined, no backend is started to say so."""
    return not jax.distributed.is_initialized() or jax.process_count() == 1


def is_first() -> bool:
    """Whether this process writes what others do not: metrics, the agent, `config.json`."""
    return alone() or jax.process_index() == 0


def largest(number: int) -> int:
    """Return the largest number of all processes."""
    return number if alone() else int(multihost_utils.process_allgather(np.int32(number)).max())


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Raise what goes wrong in any process in all of them, after a block in which none waits for others.

    Others than the one that it went wrong in raise a `ConfigError`.
    """
    if alone():
        yield
        return
    problems: list[str] = []
    failure: BaseException | None = None
    try:
        yield
    except ConfigError as error:
        problems = list(error.problems)
    except (Exception, SystemExit) as error:
        failure, problems = error, [f"process {jax.process_index()} failed: {type(error).__name__}: {error}"]
    text = json.dumps(problems).encode()
    if len(text) > TEXT_BYTES:
        text = json.dumps([str(problems[0])[: TEXT_BYTES // 8]]).encode()
    texts = multihost_utils.process_allgather(np.frombuffer(text.ljust(TEXT_BYTES), np.uint8))
    if failure is not None:
        raise failure
    found = [problem for each in texts for problem in json.loads(each.tobytes())]
    if found:
        raise ConfigError(list(dict.fromkeys(found)))


def require_same(content: Any) -> None:
    """Raise a `ConfigError` in all processes if they differ in some JSON content."""
    if alone():
        return
    mine = np.frombuffer(bytes.fromhex(digest(content, {})), np.uint8)
    digests = multihost_utils.process_allgather(mine)
    if (digests != digests[0]).any():
        raise ConfigError(
            "the processes differ in their arguments or in the run folder that they see; start all with the"
            " same arguments, and with a folder that all share"
        )


@contextlib.contextmanager
def ending_together() -> Iterator[None]:
    """Wait for each other after a block that ended well, or by a signal that all have taken note of.

    JAX lets those that are ready wait for the others at the end of Python, but not for long.
    """
    try:
        yield
    except Interrupted:
        largest(0)
        raise
    largest(0)


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
