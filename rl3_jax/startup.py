"""What XLA reads from the environment when it starts."""

import argparse
import math
import os
import re
from collections import Counter
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

from rl3_jax.errors import ConfigError
from rl3_jax.rendezvous import meet

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux says how much processor time a container may use: microseconds a period, or `max`."""
CHOICES = (
    "JAX_NUM_CPU_DEVICES", "NPROC", "xla_cpu_multi_thread_eigen", "xla_force_host_platform_device_count",
)  # fmt: skip
"""By which users choose devices and threads of a CPU themselves: variables, and flags of XLA."""
PATIENCE = 3600
"""Seconds that devices of a CPU wait for each other before XLA ends the process, as after Ctrl-Z."""
JOINING_SECONDS = 45
"""How long processes wait for each other at the start."""
HEARTBEAT_SECONDS = 30
"""After so long without a sign of life, a process counts as lost."""
DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
"""Flag of XLA by which operations of a GPU have the same result each time; of no effect elsewhere."""


def num_cores() -> int:
    """Return how many cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = CPU_QUOTA.read_text().split()
    except (OSError, ValueError):
        return cores
    return cores if quota == "max" else min(cores, math.ceil(int(quota) / int(period)))


def make_deterministic(environment: MutableMapping[str, str]) -> None:
    """Ask XLA for operations of a GPU that have the same result each time, at some cost in speed."""
    if not is_deterministic(environment) and not _is_file(flags := environment.get("XLA_FLAGS", "")):
        environment["XLA_FLAGS"] = f"{flags} {DETERMINISTIC}".strip()


def is_deterministic(environment: Mapping[str, str]) -> bool:
    """Whether XLA has been asked so."""
    found = re.findall(r"--xla_gpu_deterministic_ops(?:=(\w*))?(?!\S)", environment.get("XLA_FLAGS", ""))
    return bool(found) and found[-1].lower() in ("", "true", "1")


def _is_file(flags: str) -> bool:
    """Whether XLA takes its flags for the name of a file that has them, to which none can be added here."""
    return flags.strip() != "" and not flags.strip().startswith("-")


def join_hosts(arguments: Sequence[str]) -> None:
    """Join the processes of a run on several hosts, if the arguments of a command ask for it.

    It comes before anything else of JAX, and so before the other arguments are read.

    Raises:
      ConfigError: if the arguments are not valid, or not all processes come.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in ("coordinator", "num-processes", "process-id"):
        parser.add_argument(f"--{name}", nargs="?")
    # Underscores are as good as hyphens to the parser of the command.
    texts = [re.sub("^--[^=]*", lambda name: name[0].replace("_", "-"), text) for text in arguments]
    asked = vars(parser.parse_known_args(texts)[0])
    if not any(asked.values()):
        return
    coordinator, *numbers = (asked[name] for name in ("coordinator", "num_processes", "process_id"))
    automatic = coordinator == "auto" and numbers == [None, None]
    if not automatic and not (coordinator and all(number and number.isdigit() for number in numbers)):
        raise ConfigError(
            "give --coordinator HOST:PORT, --num-processes N and --process-id I (0 to N − 1), or else"
            " --coordinator auto where JAX finds all three: under SLURM, Open MPI, Kubernetes, on TPU pods"
        )
    import jax  # before the meeting, as it takes seconds

    where: list[Any] = [None, None, None]
    if not automatic:
        where = [coordinator, *map(int, numbers)]
        meet(*where, seconds=JOINING_SECONDS)
    # Signals are for this program, which makes all processes save: JAX's own way would swallow them.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            *where,
            cluster_detection_method=None if automatic else "deactivate",
            initialization_timeout=JOINING_SECONDS,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            shutdown_timeout_seconds=HEARTBEAT_SECONDS,
        )
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"cannot join the processes at {coordinator}: {reason}") from error
    numbers = sorted(Counter(device.process_index for device in jax.devices()).values())
    if numbers[0] != numbers[-1]:
        raise ConfigError(
            f"processes have from {numbers[0]} to {numbers[-1]} devices; give each equally many, of a CPU"
            f" with JAX_NUM_CPU_DEVICES={numbers[0]}, of GPUs with CUDA_VISIBLE_DEVICES"
        )


def one_device_a_core(environment: MutableMapping[str, str]) -> None:
    """Make each core of a CPU a device that computes on one thread, unless the user has chosen otherwise.

    The small operations of a trial gain little or nothing from several threads (docs/measurements.md), while
    devices share trials. And a result then depends on the number of devices, not on the machine's cores. XLA
    has as many threads as the larger of NPROC and the number of devices.
    """
    flags = environment.get("XLA_FLAGS", "")
    if _is_file(flags) or any(choice in environment or choice in flags for choice in CHOICES):
        return
    patience = f"--xla_cpu_collective_call_terminate_timeout_seconds={PATIENCE}"
    environment["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false {patience}".strip()
    environment["JAX_NUM_CPU_DEVICES"] = str(num_cores())
    environment["NPROC"] = "1"
