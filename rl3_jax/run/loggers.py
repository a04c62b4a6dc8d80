"""Loggers beside `metrics.jsonl`, each an optional extra."""

import importlib
import importlib.util
from collections.abc import Callable
from typing import Protocol

from rl3_jax.errors import unknown_choice
from rl3_jax.run.folder import RunFolder, RunRecord
from rl3_jax.run.metrics import Row


class Logger(Protocol):
    """Takes the metrics lines as they come."""

    def log(self, row: Row) -> None:
        """Take one line."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...


class TensorBoard:
    """Event files under `tensorboard/`; lines from before a crash that come again replace the old ones."""

    def __init__(self, folder: RunFolder, record: RunRecord, iteration: int):
        """Open the event files of a run that goes on after an iteration."""
        # Imported here since it is an extra.
        tensorboard = importlib.import_module("tensorboardX")
        self._writer = tensorboard.SummaryWriter(str(folder.path / "tensorboard"), purge_step=iteration + 1)

    def log(self, row: Row) -> None:
        """Write each number of a line under its name."""
        for name, value in row.items():
            if name != "iteration" and value is not None:
                self._writer.add_scalar(name, value, row["iteration"])

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()


class WeightsAndBiases:
    """A Weights & Biases run; it goes on after a resume, and ignores lines that it already has."""

    def __init__(self, folder: RunFolder, record: RunRecord, iteration: int):
        """Open the run, new or again."""
        # Imported here since it is an extra.
        wandb = importlib.import_module("wandb")
        self._run = wandb.init(
            project="rl3-jax",
            name=folder.path.name,
            id=record.run_id,
            resume="allow",
            dir=folder.path,
            config=record.to_dict(),
        )

    def log(self, row: Row) -> None:
        """Send a line."""
        self._run.log(
            {name: value for name, value in row.items() if value is not None}, step=row["iteration"]
        )

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()


LOGGERS: dict[str, tuple[str, Callable[[RunFolder, RunRecord, int], Logger]]] = {
    "tensorboard": ("tensorboardX", TensorBoard),
    "wandb": ("wandb", WeightsAndBiases),
}
"""By name, which is also that of the extra: the module it needs, and how it is made."""


def logger_problems(name: str | None) -> list[str]:
    """Return a message if there is no such logger, or its extra is not installed."""
    if name is None:
        return []
    if name not in LOGGERS:
        return [unknown_choice("logger", name, list(LOGGERS))]
    if importlib.util.find_spec(LOGGERS[name][0]) is None:
        return [f"--log {name} needs an extra that is not installed: pip install 'rl3-jax[{name}]'"]
    return []


def make_loggers(folder: RunFolder, record: RunRecord, iteration: int) -> list[Logger]:
    """Return the loggers of a run that goes on after an iteration."""
    return [LOGGERS[record.log][1](folder, record, iteration)] if record.log else []
