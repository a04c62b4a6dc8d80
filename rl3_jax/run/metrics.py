"""`metrics.jsonl`, one JSON object an iteration, each once, also after a crash."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl3_jax.errors import ConfigError
from rl3_jax.run.files import write_atomically
from rl3_jax.training import FIELDS, TrainConfig

MUST_BE_FINITE = ("mean_return", "actor_loss", "critic_loss", "kl")
"""Training stops when one of these is not; others are undefined at times, and then null."""

Row = dict[str, Any]


def fields(config: TrainConfig) -> tuple[str, ...]:
    """Return the fields of a run's line, in order: those of any run, then those of its family's summary."""
    names = config.task.summary_names
    return (*FIELDS, *names, *(f"evaluation_{name}" for name in names))


def make_row(config: TrainConfig, values: dict[str, Any]) -> Row:
    """Return the content of a run's line: the fields in order, numbers as JSON has them."""
    return {name: _plain(name, values[name]) for name in fields(config) if name in values}


def mean_row(rows: Sequence[Row]) -> Row:
    """Return a line with the means of the numbers of several runs' lines, each over those that have it."""
    numbers = {name: [row[name] for row in rows if row.get(name) is not None] for name in rows[0]}
    return {name: float(np.mean(found)) if found else None for name, found in numbers.items()}


def non_finite(values: dict[str, Any]) -> str:
    """Return what must be finite in an iteration and is not, or nothing."""
    return ", ".join(f"{name} is {values[name]}" for name in MUST_BE_FINITE if not np.isfinite(values[name]))


def _plain(name: str, value: Any) -> float | int | None:
    """Return a number as JSON has it."""
    if name in ("iteration", "steps", "actor_epochs"):
        return int(value)
    # str() of a float32 is its shortest form, where float() would show 17 digits.
    return None if value is None or not np.isfinite(value) else float(str(value))


def append(path: Path, rows: list[Row]) -> None:
    """Write lines so that they outlive a crash of this process or machine."""
    with path.open("a") as file:
        file.writelines(json.dumps(row, allow_nan=False) + "\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Row]:
    """Return the lines of a file, up to one that is torn or damaged; none if there is no file."""
    lines = path.read_text(errors="replace").splitlines(keepends=True) if path.exists() else []
    rows = []
    for line in lines:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break
        if not _is_row(row) or not line.endswith("\n"):
            break
        rows.append(row)
    return rows


def _is_row(value: Any) -> bool:
    """Whether a value of JSON is a line of metrics: numbers by name, that of the iteration a whole one."""
    return (
        isinstance(value, dict)
        and type(value.get("iteration", 0)) is int
        and all(number is None or type(number) in (int, float) for number in value.values())
    )


def truncate(path: Path, iteration: int) -> list[Row]:
    """Keep the lines up to an iteration and return them; raises a `ConfigError` if one of them is missing."""
    rows = [row for row in read(path) if row.get("iteration", 0) <= iteration]
    if [row.get("iteration") for row in rows] != list(range(1, iteration + 1)):
        raise ConfigError(
            f"{path} does not hold each iteration up to {iteration}, where the checkpoint is;"
            " restore the file, or train afresh with --overwrite"
        )
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
    return rows
