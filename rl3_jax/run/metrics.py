"""`metrics.jsonl`: one JSON object an iteration, each iteration once, also after a crash."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from rl3_jax.errors import ConfigError
from rl3_jax.run.files import write_atomically
from rl3_jax.training import METRICS, TrainConfig

FIELDS = (
    "iteration",
    "steps",
    "wall_seconds",
    "steps_per_second",
    "mean_return",
    "evaluation_return",
    *(name for name in METRICS if name != "mean_return"),
)
"""Fields of any run's line, in order; `evaluation_return` is there only where it was measured."""
MUST_BE_FINITE = ("mean_return", "actor_loss", "critic_loss", "kl")
"""Training stops when one of these is not; others are undefined at times, and then null."""

Row = dict[str, Any]


def fields(config: TrainConfig) -> tuple[str, ...]:
    """Return the fields of a run's line, in order: those of any run, then those of its family's summary.

    Those that begin with `evaluation_` are there only where they were measured.
    """
    names = config.task.summary_names
    return (*FIELDS, *names, *(f"evaluation_{name}" for name in names))


def make_row(config: TrainConfig, values: dict[str, Any]) -> Row:
    """Return the content of a run's line: the fields in order, numbers as JSON has them."""
    return {name: _plain(name, values[name]) for name in fields(config) if name in values}


def non_finite(values: dict[str, Any]) -> str:
    """Return what must be finite in an iteration and is not, or nothing."""
    return ", ".join(f"{name} is {values[name]}" for name in MUST_BE_FINITE if not np.isfinite(values[name]))


def _plain(name: str, value: Any) -> float | int | None:
    """Return a number as JSON has it."""
    if name in ("iteration", "steps", "actor_epochs"):
        return int(value)
    # str() of a float32 is its shortest form, where float() would show 17 digits.
    return float(str(value)) if np.isfinite(value) else None


def append(path: Path, rows: list[Row]) -> None:
    """Write lines so that they outlive a crash of this process or machine."""
    with path.open("a") as file:
        file.writelines(json.dumps(row, allow_nan=False) + "\n" for row in rows)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Row]:
    """Return the lines of a file, up to one that was torn by a crash; none if there is no file."""
    rows = []
    if not path.exists():
        return rows
    for line in path.read_text().splitlines(keepends=True):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
        if not line.endswith("\n"):
            rows.pop()
    return rows


def truncate(path: Path, iteration: int) -> list[Row]:
    """Keep the lines up to an iteration, the one that training goes on from; returns them.

    Raises:
      ConfigError: if a line before that is missing.
    """
    rows = [row for row in read(path) if row["iteration"] <= iteration]
    if [row["iteration"] for row in rows] != list(range(1, iteration + 1)):
        raise ConfigError(
            f"{path} does not hold each iteration up to {iteration}, where the checkpoint is;"
            " restore the file, or train afresh with --overwrite"
        )
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
    return rows
