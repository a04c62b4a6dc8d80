"""What becomes of the metrics and states of a run: a folder keeps them, or memory does."""

import dataclasses
from typing import Protocol

from rl3_jax.run import metrics
from rl3_jax.run.agent import save_agent
from rl3_jax.run.checkpoints import Checkpoints
from rl3_jax.run.folder import RunFolder
from rl3_jax.run.loggers import Logger
from rl3_jax.run.metrics import Row
from rl3_jax.training import TrainConfig, TrainState


class Keeper(Protocol):
    """What becomes of the metrics and states of a run."""

    def append(self, rows: list[Row]) -> None:
        """Keep lines of metrics."""
        ...

    def save(self, state: TrainState) -> None:
        """Keep a state, which may be donated afterwards unless it is the run's last."""
        ...

    def describe_latest(self) -> str:
        """Return where the newest state is, in words."""
        ...


@dataclasses.dataclass(frozen=True)
class OnDisk:
    """A run folder, and loggers beside it.

    Attributes:
      folder: of the run.
      config: the run.
      checkpoints: of the run.
      loggers: beside `metrics.jsonl`.
    """

    folder: RunFolder
    config: TrainConfig
    checkpoints: Checkpoints
    loggers: list[Logger]

    def append(self, rows: list[Row]) -> None:
        """Write lines of metrics."""
        metrics.append(self.folder.metrics, rows)
        for row in rows:
            for logger in self.loggers:
                logger.log(row)

    def save(self, state: TrainState) -> None:
        """Save a checkpoint and the agent."""
        self.checkpoints.save(state)
        save_agent(self.folder.agent, self.config, state.learnt.params["actor"], int(state.iteration))

    def describe_latest(self) -> str:
        """Return where the newest checkpoint is, in words."""
        return self.checkpoints.describe_latest()


@dataclasses.dataclass
class InMemory:
    """The metrics of a run, and its last state.

    Attributes:
      rows: lines of metrics.
      state: the last one, once the loop has ended; None if no iteration was done.
    """

    rows: list[Row] = dataclasses.field(default_factory=list)
    state: TrainState | None = None

    def append(self, rows: list[Row]) -> None:
        """Keep lines of metrics."""
        self.rows += rows

    def save(self, state: TrainState) -> None:
        """Keep a state."""
        self.state = state

    def describe_latest(self) -> str:
        """Say that nothing is on disk."""
        return "nothing is saved, as the run has no folder"
