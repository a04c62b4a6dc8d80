"""Accelerators that a program can be compiled for, though none is there (JAX's ahead-of-time compilation)."""

import contextlib
import functools
import importlib.util
import math
import os
import re
from collections.abc import Iterator, Sequence
from importlib import resources

import jax
from jax.experimental import topologies

from rl3_jax.errors import ConfigError
from rl3_jax.run.machine import Device

GPUS = {"h100": "h100.txtpb"}
"""By name: the file with the facts that XLA compiles for."""
TPUS = {"v5e": "v5litepod", "v6e": "v6e"}
"""By generation: how Google Cloud names its slices."""
EXTRAS = {"gpu": ("jax_plugins.xla_cuda13", "cuda-plan"), "tpu": ("libtpu", "tpu-plan")}
"""By platform: the module that compiles for it, and the extra that installs it."""
FORM = re.compile(r"(?P<gpu>\w+)(:(?P<count>[1-9]\d*))?|tpu-(?P<tpu>\w+):(?P<sides>[1-9]\d*(x[1-9]\d*)+)")


@functools.cache
def target_devices(name: str) -> Sequence[Device]:
    """Return the devices of a target: `h100`, `h100:8` (eight in one machine), `tpu-v5e:2x4` (a slice).

    They can be compiled for, and nothing else.

    Raises:
      ConfigError: if there is no such target, or its extra is not installed.
    """
    found = FORM.fullmatch(name)
    if not found or (found["gpu"] not in GPUS and found["tpu"] not in TPUS):
        known = [*GPUS, *(f"tpu-{generation}:2x4" for generation in TPUS)]
        raise ConfigError(f"target {name!r} is not known; give one like {', '.join(known)}")
    platform = "gpu" if found["gpu"] else "tpu"
    module, extra = EXTRAS[platform]
    if not _is_installed(module):
        raise ConfigError(
            f"--target {name} needs an extra that is not installed: pip install 'rl3-jax[{extra}]'"
        )
    try:
        if platform == "gpu":
            topology = {"topology": f"1x1x{found['count'] or 1}", "target_config": _facts(found["gpu"])}
            return topologies.get_topology_desc(found["gpu"], "cuda", **topology).devices
        chips = math.prod(map(int, found["sides"].split("x")))
        # libtpu would otherwise ask the network for what it runs on.
        kind = f"{TPUS[found['tpu']]}-{chips}"
        os.environ |= {"TPU_SKIP_MDS_QUERY": "1", "TPU_ACCELERATOR_TYPE": kind}
        os.environ |= {"TPU_WORKER_HOSTNAMES": "localhost", "TPU_WORKER_ID": "0"}
        return topologies.get_topology_desc(f"{found['tpu']}:{found['sides']}", "tpu").devices
    except (jax.errors.JaxRuntimeError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"target {name!r} cannot be compiled for: {reason}") from error


def target_bytes(name: str) -> int | None:
    """Return the memory of each device of a target that there is; None if unknown, as of TPUs."""
    kind = name.partition(":")[0]
    if kind not in GPUS:
        return None
    return int(re.findall(r"device_memory_size: (\d+)", _facts(kind))[0])


def _facts(kind: str) -> str:
    """Return what XLA needs to know of a GPU."""
    return resources.files("rl3_jax").joinpath("targets", GPUS[kind]).read_text()


@contextlib.contextmanager
def names_kept() -> Iterator[None]:
    """Compile programs with the names of their source, which JAX's cache on disk otherwise may not keep.

    The cache treats programs that differ only in names as equal.
    """
    option = "jax_compilation_cache_include_metadata_in_key"
    before = getattr(jax.config, option)
    jax.config.update(option, True)
    try:
        yield
    finally:
        jax.config.update(option, before)


def _is_installed(module: str) -> bool:
    """Whether there is a module, which is not imported."""
    package = module.partition(".")[0]
    return importlib.util.find_spec(package) is not None and importlib.util.find_spec(module) is not None
