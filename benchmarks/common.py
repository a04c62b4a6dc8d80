"""What the benchmarks share: the machine, timing in turn, and tables."""

import dataclasses
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from rl3_jax import ConfigError, TrainConfig
from rl3_jax.policies import Core, make_core
from rl3_jax.run.machine import device, versions
from rl3_jax.startup import num_cores

Key = TypeVar("Key")
START = time.process_time(), time.perf_counter()


def lasting(config: TrainConfig, millions: float, evaluations: int, **fields: Any) -> TrainConfig:
    """Return a configuration that takes so many million steps, evaluated so often on the way.

    `fields` are others of its evaluation.
    """
    iterations = max(1, round(millions * 1e6 / config.steps_per_iteration))
    evaluation = dataclasses.replace(config.evaluation, every=max(1, iterations // evaluations), **fields)
    return dataclasses.replace(config, iterations=iterations, evaluation=evaluation)


def machine() -> dict[str, Any]:
    """Return what a benchmark ran on."""
    return {
        "device": device(jax.devices()[:1]),
        "processor": processor(),
        "cores": num_cores(),
        "versions": versions(),
    }


def processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def processor_share() -> float:
    """Return the processor time of this program, with what it started, over the time since it began.

    On one core of a CPU, what is missing to 1 has gone to other programs: run again when there are none.
    """
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = time.process_time() - START[0] + started.ru_utime + started.ru_stime
    return round(busy / (time.perf_counter() - START[1]), 3)


def matmul_gflops(size: int = 1024, repeats: int = 10) -> float:
    """Return what a large float32 matrix product reaches here, 10⁹ operations a second: a ceiling."""
    x = jnp.ones((size, size))
    product = jax.jit(lambda x: jnp.matmul(x, x, precision="highest"))
    jax.block_until_ready(product(x))
    best = min(seconds(lambda: product(x)) for _ in range(repeats))
    return round(2 * size**3 / best / 1e9, 1)


def seconds(run: Callable[[], Any]) -> float:
    """Return how long a function takes, until its result is there."""
    start = time.perf_counter()
    jax.block_until_ready(run())
    return time.perf_counter() - start


def in_turn(programs: Mapping[Key, Callable[[], Any]], rounds: int) -> dict[Key, list[float]]:
    """Return the seconds of each program in each round; they take turns, so that noise meets all alike."""
    times: dict[Key, list[float]] = {name: [] for name in programs}
    for _ in range(rounds):
        for name, run in programs.items():
            times[name].append(seconds(run))
    return times


def median_ratio(times: Sequence[float], others: Sequence[float]) -> float:
    """Return the median over rounds of time / other time."""
    return statistics.median(a / b for a, b in zip(times, others, strict=True))


def peak_memory_mib() -> float:
    """Return the largest resident memory that this process has had, MiB.

    On Linux `ru_maxrss` is not it: a process that starts another hands its own peak down.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 2**10, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def num_parameters(params: Any) -> int:
    """Return how many numbers there are to learn."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def literal(text: str) -> Any:
    """Return the value that a text stands for: as JSON, or itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def core_variant(text: str) -> Core:
    """Return a core by name, or with fields of its own: `mingru:layers=2,scan=associative`."""
    name, _, fields = text.partition(":")
    try:
        return reduce(override, fields.split(",") if fields else (), make_core(name))
    except ConfigError as error:
        raise SystemExit(str(error)) from None


def override(config: Any, assignment: str) -> Any:
    """Return a configuration, a dataclass, with a field set as `ppo.trials=64` says."""
    path, equals, text = assignment.partition("=")
    field, _, rest = path.partition(".")
    names = list(getattr(config, "__dataclass_fields__", {}))
    if not equals or field not in names:
        raise SystemExit(f"cannot set {assignment!r}: name one of {', '.join(names)}, then = and a value")
    value = override(getattr(config, field), f"{rest}={text}") if rest else literal(text)
    return dataclasses.replace(config, **{field: value})


def markdown(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Return a Markdown table.

    Args:
      rows: results; what one lacks or has as None is a dash.
      columns: maps the key of a result to its heading.
    """
    cells = [[_cell(row.get(key)) for key in columns] for row in rows]
    numeric = [all(not isinstance(row.get(key), str) for row in rows) for key in columns]
    lines = [list(columns.values()), ["---:" if right else "---" for right in numeric], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    """Return a number with its digits grouped and no more than three decimals that matter, or a text."""
    if value is None:
        return "–"
    if isinstance(value, float) and abs(value) < 1000:
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return f"{value:,.0f}".replace(",", " ") if isinstance(value, (int, float)) else str(value)


def write(path: Path | None, report: Mapping[str, Any]) -> None:
    """Write a report as JSON, to standard output if there is no path."""
    text = json.dumps(report, indent=2) + "\n"
    if path is None:
        sys.stdout.write(text)
    else:
        path.write_text(text)
