"""Where the lines of metrics and the states of a run go: to its folder, or into memory."""

import contextlib
import dataclasses
from typing import Any, Protocol

import jax

from rl3_jax import training
from rl3_jax.run import hosts, metrics
from rl3_jax.run.agent import save_agent
from rl3_jax.run.checkpoints import Checkpoints
from rl3_jax.run.folder import RunFolder, RunRecord
from rl3_jax.run.metrics import Row
from rl3_jax.training import TrainState


class Sink(Protocol):
    """Where the lines and states of one run go."""

    def keep(self, rows: list[Row]) -> None:
        """Take lines of metrics."""

    def save(self, state: TrainState) -> None:
        """Take a state."""

    def describe_saved(self) -> str:
        """Return where the newest state is, in words."""
        ...


class OnDisk:
    """A run folder that is trained in. Of several processes the first writes; all save checkpoints together.

    Attributes:
      checkpoints: of the run.
      wall_seconds: that earlier processes spent on it.
    """

    def __init__(self, folder: RunFolder, record: RunRecord, stack: contextlib.ExitStack):
        """Open the checkpoints, until `stack` ends."""
        if hosts.is_first():
            folder.remove_leftovers()
        self._folder, self._record, self._stack = folder, record, stack
        self.checkpoints = stack.enter_context(
            contextlib.closing(Checkpoints(folder.checkpoints, record.config))
        )
        self.wall_seconds = 0.0

    def restore(self, where: jax.sharding.Sharding) -> TrainState:
        """Return the newest state, or the first, on some devices."""
        if self.checkpoints.latest:
            return self.checkpoints.restore(where)
        config = self._record.config
        return hosts.put(training.init(config, jax.random.key(config.seed)), where)

    def go_on_from(self, state: TrainState, device: dict[str, Any]) -> None:
        """Forget the lines that came after a state; note the run's target, and the devices it goes on on."""
        folder, done = self._folder, int(state.iteration)
        if done < self._record.target_iterations:
            self._record = dataclasses.replace(self._record, device=device)
        if not hosts.is_first():
            return
        if rows := metrics.truncate(folder.metrics, done):
            self.wall_seconds = rows[-1]["wall_seconds"]
        if self._record != folder.read():
            folder.write(self._record)
        if done:
            self._keep_agent(state)  # a kill may have come between checkpoint and agent

    def open_logger(self, done: int) -> None:
        """Open the logger of a run that goes on after some iterations."""
        if not hosts.is_first():
            return
        self._log = self._stack.enter_context(metrics.open_logger(self._folder, self._record, done))

    def keep(self, rows: list[Row]) -> None:
        """Write lines to `metrics.jsonl` and to the logger."""
        if not hosts.is_first():
            return
        metrics.append(self._folder.metrics, rows)
        for row in rows:
            self._log(row)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint, and the agent."""
        self.checkpoints.save(state)
        self._keep_agent(state)

    def describe_saved(self) -> str:
        """Return where the newest checkpoint is, in words."""
        return self.checkpoints.describe_latest()

    def _keep_agent(self, state: TrainState) -> None:
        """Write the agent."""
        if hosts.is_first():
            actor = hosts.own(state.learnt.params["actor"])
            save_agent(self._folder.agent, self._record.config, actor, int(state.iteration))


@dataclasses.dataclass
class InMemory:
    """Where the lines and the newest state of a run without a folder go."""

    rows: list[Row] = dataclasses.field(default_factory=list)
    state: TrainState | None = None

    def keep(self, rows: list[Row]) -> None:
        """Take lines."""
        self.rows += rows

    def save(self, state: TrainState) -> None:
        """Take a state in place of the last."""
        self.state = state

    def describe_saved(self) -> str:
        """Say that there is no folder."""
        return "nothing is saved, as the run has no folder"
