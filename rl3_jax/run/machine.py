"""What a run computes with: libraries, devices and memory; refusing what cannot fit."""

import importlib.metadata
import os
import platform
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

import jax
from rich.filesize import decimal

from rl3_jax.errors import ConfigError
from rl3_jax.startup import is_deterministic
from rl3_jax.training import TrainConfig
from rl3_jax.training.evaluation import BATCH

Device = Any
"""A `jax.Device`, which type checkers take for a variable."""
LIBRARIES = ("jax", "jaxlib", "flax", "optax")
CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use (cgroup version 2)."""
MEMINFO = Path("/proc/meminfo")
Part = Literal["state", "program", "evaluation"]
"""What may be too large: what is counted before compiling, the compiled program, or held-out evaluation."""
RECLAIMABLE = ("inactive_file", "active_file")
"""What counts as used by a container but is only a cache of files, which Linux gives back when asked."""


def versions() -> dict[str, str]:
    """Return the versions of this package, Python and the libraries that decide a result."""
    return {"rl3_jax": _version("rl3-jax"), "python": platform.python_version()} | {
        name: _version(name) for name in LIBRARIES
    }


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # this package, run from its source tree


def changed_versions(recorded: dict[str, str]) -> list[str]:
    """Return a description of each version that is another one now than was recorded."""
    found = [(name, recorded.get(name, "unknown"), version) for name, version in versions().items()]
    return [f"{name} {before} -> {now}" for name, before, now in found if before != now]


def device(used: Collection[Device]) -> dict[str, Any]:
    """Return of what kind devices are, how many, and of GPUs whether their operations are deterministic.

    `processes` is how many share them, if several do.
    """
    first = next(iter(used))
    found = {"platform": first.platform, "kind": first.device_kind, "count": len(used)}
    if (processes := len({each.process_index for each in used})) > 1:
        found["processes"] = processes
    return found if first.platform != "gpu" else found | {"deterministic": is_deterministic(os.environ)}


def described(device: dict[str, Any]) -> str:
    """Return what `device` says in words."""
    how = f" of {device['processes']} processes" if "processes" in device else ""
    how += ", deterministic" if device.get("deterministic") else ""
    return f"{device['count']} × {device['kind']}{how}"


def available_bytes() -> int | None:
    """Return the memory that a program may take, of an accelerator what is left to JAX; None if unknown."""
    device = jax.local_devices()[0]
    stats = device.memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    known = [number for number in (_machine_bytes(), _container_bytes()) if number is not None]
    return min(known, default=None) if device.platform == "cpu" else None


def refuse_what_cannot_fit(
    config: TrainConfig, needed: dict[Part, int], target: tuple[str, int | None] | None = None
) -> None:
    """Raise a `ConfigError` if one part of a run needs more memory than there is; it says what to lower.

    Args:
      config: the run.
      needed: bytes of each part, beyond what is held already; the parts are not held at once.
      target: name and memory of a device that is not there; JAX's first, if not given.
    """
    kind, available = target or (jax.local_devices()[0].platform, available_bytes())
    part = max(needed, key=lambda part: needed[part])
    if available is not None and needed[part] > available:
        raise ConfigError(
            f"training needs at least {decimal(needed[part], precision=2)} of memory, and"
            f" {decimal(available, precision=2)} are available ({kind}); lower {_what_to_lower(config, part)}"
        )


def program_bytes(program: jax.stages.Compiled, *, arguments: bool = True) -> int | None:
    """Return what a compiled program holds at its peak, results included; None if unknown.

    Its arguments count, too, unless they are held already.
    """
    stats = program.memory_analysis()
    if stats is None:
        return None
    held = stats.output_size_in_bytes - stats.alias_size_in_bytes
    held += stats.argument_size_in_bytes if arguments else 0
    return int(held + stats.temp_size_in_bytes + stats.generated_code_size_in_bytes)


def _what_to_lower(config: TrainConfig, part: Part) -> str:
    """Return the fields that decide how much memory a part of a run takes, with their values."""
    hyper, horizon, core = config.ppo, f"horizon ({config.horizon})", config.policy.core
    width = f"policy.width ({config.policy.width})"
    if part == "evaluation":
        tasks = config.evaluation.num_tasks
        return f"evaluation.num_tasks ({tasks}) below {min(BATCH, tasks)}, {horizon} or {width}"
    if part == "state":
        return f"ppo.trials ({hyper.trials}), {horizon}, {width} or the sizes of policy.core"
    fields = f"ppo.trials ({hyper.trials}) or ppo.minibatch_trials ({hyper.minibatch_trials}), or "
    fields += f"ppo.part_steps ({hyper.part_steps})" if hyper.part_steps else "set ppo.part_steps"
    if not core.constant_carry:
        fields += f", or {horizon}"
    elif hyper.segmented(config.horizon):
        fields += f", or ppo.segment_length ({hyper.segment_length})"
    else:
        fields += f", or set ppo.segment_length to a divisor of the {horizon}"
    return fields if getattr(core, "remat", True) else f"{fields}, or set policy.core.remat=true"


def _machine_bytes() -> int | None:
    """Return the memory that the machine can give without swapping."""
    found = re.search(r"^MemAvailable: +(\d+)", _text(MEMINFO), re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _container_bytes() -> int | None:
    """Return the memory that a container's limit leaves, once caches of files have given way."""
    limit, used = (_text(CGROUP / name).strip() for name in ("memory.max", "memory.current"))
    if not (limit.isdigit() and used.isdigit()):
        return None
    cached = re.findall(rf"^(?:{'|'.join(RECLAIMABLE)}) (\d+)$", _text(CGROUP / "memory.stat"), re.MULTILINE)
    return int(limit) - max(0, int(used) - sum(map(int, cached)))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
