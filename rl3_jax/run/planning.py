"""What a run takes: memory, time from a short probe, what its compiled program does; also on accelerators
that are not there (JAX's ahead-of-time compilation)."""

import contextlib
import functools
import math
import os
import re
import time
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

import jax
import numpy as np
from jax.experimental import topologies

from rl3_jax import training
from rl3_jax.errors import ConfigError
from rl3_jax.extras import extra_problems
from rl3_jax.run.machine import Device, available_bytes, device, refuse_what_cannot_fit
from rl3_jax.run.program import Program, compile_chunk, placement, program_problems
from rl3_jax.run.program_cache import compile_cache
from rl3_jax.run.progress import TrainProgress
from rl3_jax.training import TrainConfig
from rl3_jax.training.hlo import training_costs
from rl3_jax.training.plan import count

PROBE_SECONDS = 2.0
"""How long the probe's timed iterations should take; there is at least one."""
GPUS = {"h100": "h100.txtpb"}
"""By name: the file with the facts that XLA compiles for."""
TPUS = {"v5e": "v5litepod", "v6e": "v6e"}
"""By generation: how Google Cloud names its slices."""
EXTRAS = {"gpu": ("jax_plugins.xla_cuda13", "cuda-plan"), "tpu": ("libtpu", "tpu-plan")}
"""By platform: the module that compiles for it, and the extra that installs it."""
FORM = re.compile(r"(?P<gpu>\w+)(:(?P<count>[1-9]\d*))?|tpu-(?P<tpu>\w+):(?P<sides>[1-9]\d*(x[1-9]\d*)+)")


@compile_cache()
def plan(
    config: TrainConfig,
    *,
    num_seeds: int = 1,
    devices: int | None = None,
    target: str | None = None,
    probe: bool = True,
    progress: bool = False,
) -> dict[str, Any]:
    """Return what a run takes: sizes are counted, the program is compiled, a few iterations are timed.

    Args:
      config: the run.
      num_seeds: runs that one program trains, which differ in the seed; sizes but `program` are of one.
      devices: as in `train`.
      target: an accelerator that need not be there, see `target_devices`; nothing is run then.
      probe: run these iterations; without it, only sizes are told.
      progress: show it.

    Returns:
      `device`; `parameters`, a count; `iterations`; `steps_per_iteration`; `bytes`, with `parameters`,
      `optimiser`, `trajectory` (what an iteration collects), `carries` (of all trials), `activations` (what
      the forward pass over a part of a minibatch stores for the backward pass), `evaluation` (its carries, 0
      without one), `program` (all that the compiled program holds at its peak: in the memory of a CPU, or of
      each accelerator) and `available`, the last two None if unknown; `seconds`, with `compile` (less if the
      program is on disk), `iteration` and `run` (all iterations, without evaluations and checkpoints);
      `steps_per_second`; `costs`, what the program does (`hlo.training_costs`). Times but `compile` are None
      without a probe, costs without a target.

    Raises:
      ConfigError: listing every problem of the configuration, if the run does not fit into memory, or if
        the target cannot be compiled for.
    """
    there = None if target is None else target_devices(target)
    if problems := program_problems(config, num_seeds, devices, there):
        raise ConfigError(problems)
    where = placement(config, devices, num_runs=num_seeds, target=there)
    used = device(where.device_set)
    elsewhere = None if target is None else (target, target_bytes(target))
    with TrainProgress(config.iterations, visible=progress) as shown:
        shown.phase("counting")
        counts = count(training.made_for(config, used["platform"]))
        held = counts["parameters"] + counts["optimiser"]  # by a run, all the time
        # Processes on CPUs have a memory each, however many devices they make of it.
        num_memories = used.get("processes", 1) if used["platform"] == "cpu" else used["count"]
        least = num_seeds * held + counts.pop("update") // num_memories
        refuse_what_cannot_fit(config, {"state": least}, elsewhere)
        shown.phase("compiling")
        started = time.perf_counter()
        try:
            with contextlib.nullcontext() if there is None else names_kept():
                program = compile_chunk(config, num_seeds, where)
        except jax.errors.JaxRuntimeError as error:
            if there is None:
                raise
            reason = str(error).partition("\n")[0]
            raise ConfigError(f"the program cannot be compiled for {target}: {reason}") from error
        compiled = time.perf_counter()
        needed = (program.num_bytes() or 0) * (program.threads or 1) or None
        # A program and an evaluation come one after the other, beside the same state.
        later = counts["evaluation"] and held + counts["evaluation"]
        refuse_what_cannot_fit(config, {"program": needed or 0, "evaluation": later}, elsewhere)
        seconds = None
        if probe and target is None:
            shown.phase("probing")
            seconds = _seconds_each(config, num_seeds, program, where)
    return {
        "device": used,
        "parameters": counts["parameters"] // 4,
        "iterations": config.iterations,
        "steps_per_iteration": config.steps_per_iteration,
        "bytes": {
            **counts,
            "program": needed,
            "available": available_bytes() if elsewhere is None else elsewhere[1],
        },
        "seconds": {
            "compile": round(compiled - started, 2),
            "iteration": seconds,
            "run": None if seconds is None else seconds * config.iterations,
        },
        "steps_per_second": None if seconds is None else num_seeds * config.steps_per_iteration / seconds,
        "costs": None if there is None else training_costs(program.compiled.as_text() or ""),
    }


def _seconds_each(
    config: TrainConfig, num_seeds: int, program: Program, where: jax.sharding.Sharding
) -> float:
    """Return how long an iteration of all runs takes: one to warm up, then as many as are timed."""
    hypers = [training.hyper_of(config)] * num_seeds
    key = jax.random.key(config.seed)
    states = [jax.device_put(training.init(config, key), where) for _ in range(num_seeds)]
    number = 1
    for last in (False, True):
        started = time.perf_counter()
        states, _ = program.train(hypers, states, number)
        seconds = time.perf_counter() - started
        if not last:
            number = int(np.clip(PROBE_SECONDS / seconds, 1, training.CHUNK_CAPACITY))
    return seconds / number


@functools.cache
def target_devices(name: str) -> Sequence[Device]:
    """Return the devices of a target: `h100`, `h100:8` (eight in one machine), `tpu-v5e:2x4` (a slice).

    They can be compiled for, and nothing else. Raises a `ConfigError` if there are none such, or their extra
    is not installed.
    """
    found = FORM.fullmatch(name)
    if not found or (found["gpu"] not in GPUS and found["tpu"] not in TPUS):
        known = [*GPUS, *(f"tpu-{generation}:2x4" for generation in TPUS)]
        raise ConfigError(f"target {name!r} is not known; give one like {', '.join(known)}")
    platform = "gpu" if found["gpu"] else "tpu"
    module, extra = EXTRAS[platform]
    if missing := extra_problems(f"--target {name}", module, extra):
        raise ConfigError(missing)
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
