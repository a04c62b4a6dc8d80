"""How much memory there is, and refusing what cannot fit into it."""

from pathlib import Path

import jax

from rl3_jax.errors import ConfigError
from rl3_jax.training import TrainConfig

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux says what a container may use (cgroup version 2)."""
MEMINFO = Path("/proc/meminfo")
UNITS = ("bytes", "kB", "MB", "GB", "TB")


def available_bytes() -> int | None:
    """Return what a program may take: of an accelerator's memory, or of what is free; None if unknown.

    Of an accelerator it is all that JAX may take, as nothing is in use before a run.
    """
    device = jax.devices()[0]
    stats = device.memory_stats()
    if stats and "bytes_limit" in stats:
        return int(stats["bytes_limit"])
    known = [number for number in (_machine_bytes(), _container_bytes()) if number is not None]
    return min(known, default=None) if device.platform == "cpu" else None


def refuse_what_cannot_fit(config: TrainConfig, needed: int) -> None:
    """Refuse a run that needs more memory than there is.

    Raises:
      ConfigError: how much is needed, how much there is, and what to lower.
    """
    available = available_bytes()
    if available is not None and needed > available:
        kind = jax.devices()[0].platform
        raise ConfigError(
            f"training needs at least {in_words(needed)} of memory, and {in_words(available)} are available"
            f" ({kind}); lower {_what_to_lower(config)}"
        )


def program_bytes(program: jax.stages.Compiled) -> int | None:
    """Return what a compiled program holds at its peak, arguments and results included; None if unknown."""
    stats = program.memory_analysis()
    if stats is None:
        return None
    held = stats.argument_size_in_bytes + stats.output_size_in_bytes - stats.alias_size_in_bytes
    return int(held + stats.temp_size_in_bytes + stats.generated_code_size_in_bytes)


def in_words(number: int | float) -> str:
    """Return a number of bytes with a unit, e.g. `1.2 GB`."""
    power = 0
    while number >= 999.5 and power < len(UNITS) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.3g} {UNITS[power]}"


def _what_to_lower(config: TrainConfig) -> str:
    """Return the fields that decide how much memory a run takes, with their values."""
    hyper = config.ppo
    fields = f"ppo.trials ({hyper.trials}) or ppo.minibatch_trials ({hyper.minibatch_trials})"
    if not config.policy.core.constant_carry:
        return f"{fields}, or horizon ({config.horizon})"
    if hyper.segmented(config.horizon):
        return f"{fields}, or ppo.segment_length ({hyper.segment_length})"
    return f"{fields}, or set ppo.segment_length to a divisor of the horizon ({config.horizon})"


def _machine_bytes() -> int | None:
    """Return the memory that the machine can give without swapping."""
    lines = _text(MEMINFO).splitlines()
    found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    return found[0] if found else None


def _container_bytes() -> int | None:
    """Return the memory that a container's limit leaves."""
    limit, used = (_text(CGROUP / name).strip() for name in ("memory.max", "memory.current"))
    return int(limit) - int(used) if limit.isdigit() and used.isdigit() else None


def _text(path: Path) -> str:
    """Return a file's content, or nothing if it cannot be read."""
    try:
        return path.read_text()
    except OSError:
        return ""
