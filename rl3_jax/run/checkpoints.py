"""What is kept of a run: checkpoints by orbax, lines of metrics and the agent; on disk, or in memory."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import jax

from rl3_jax import training
from rl3_jax.errors import ConfigError
from rl3_jax.run import hosts, metrics
from rl3_jax.run.agent import save_agent
from rl3_jax.run.folder import RunFolder, RunRecord
from rl3_jax.run.metrics import Row
from rl3_jax.training import TrainConfig, TrainState, serialise
from rl3_jax.training.plan import abstract_state

KEPT = 3
"""Checkpoints that are kept, the newest ones."""


class OnDisk:
    """A run in its folder. Of several processes the first writes; all save checkpoints together.

    A checkpoint that was interrupted while it was written lies under a temporary name and is not seen.

    Attributes:
      record: what is to be run.
      config: its configuration.
      state: as far as it is trained.
      wall_seconds: that earlier processes spent on it.
      failure: why it is not kept any longer: it has diverged.
    """

    state: TrainState
    wall_seconds: float = 0.0
    failure: str = ""

    def __init__(self, folder: RunFolder, record: RunRecord, stack: contextlib.ExitStack):
        """Open the checkpoints, until `stack` ends."""
        # Imported here since `rl3 --help` and acting with an agent should not wait for it.
        import orbax.checkpoint as ocp

        if hosts.is_first():
            folder.remove_leftovers()
        self.record, self.config, self._folder, self._stack = record, record.config, folder, stack
        # Synchronous: the state is donated to the next chunk, so nothing may still read it then.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=KEPT, enable_async_checkpointing=False, cleanup_tmp_directories=True
        )
        manager = ocp.CheckpointManager(folder.checkpoints.absolute(), options=options)
        self._manager, self._args = stack.enter_context(contextlib.closing(manager)), ocp.args

    @property
    def latest(self) -> int | None:
        """Iterations done at the newest checkpoint."""
        return self._manager.latest_step()

    def restore(self, sharding: jax.sharding.Sharding) -> None:
        """Go on from the newest checkpoint, or from the start, on some devices.

        Raises a `ConfigError` if it belongs to another configuration, or cannot be read.
        """
        if not self.latest:
            self.state = first_state(self.config, sharding)
            return
        args, where = self._args, f"checkpoint {Path(self._manager.directory) / str(self.latest)}"
        theirs = self._load(where, args.Composite(config=args.JsonRestore())).config
        # A field that is newer than the checkpoint has its default.
        theirs = serialise.from_dict(theirs, source=f"the configuration in {where}")
        if different := serialise.differences(serialise.to_dict(theirs), serialise.to_dict(self.config)):
            raise ConfigError(f"{where} is of another configuration than config.json: {'; '.join(different)}")
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            abstract_state(self.config),
        )
        self.state = self._load(where, args.Composite(state=args.StandardRestore(target))).state

    def _load(self, where: str, args: Any) -> Any:
        try:
            return self._manager.restore(self.latest, args=args)
        except (ValueError, KeyError, OSError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise ConfigError(
                f"{where} cannot be read ({reason}); delete it to resume from the one before"
            ) from error

    def note(self, device: dict[str, Any]) -> None:
        """Forget the lines that came after the state; note the run's target and its devices."""
        folder, done = self._folder, int(self.state.iteration)
        if done < self.record.target_iterations:
            self.record = dataclasses.replace(self.record, device=device)
        if not hosts.is_first():
            return
        if rows := metrics.truncate(folder.metrics, done):
            self.wall_seconds = rows[-1]["wall_seconds"]
        if self.record != folder.read():
            folder.write(self.record)
        if done:
            self._keep_agent()  # a kill may have come between checkpoint and agent

    def open_logger(self) -> None:
        """Open the logger of the run."""
        if hosts.is_first():
            logger = metrics.open_logger(self._folder, self.record, int(self.state.iteration))
            self._log = self._stack.enter_context(logger)

    def keep(self, rows: list[Row]) -> None:
        """Write lines to `metrics.jsonl` and to the logger."""
        if not hosts.is_first():
            return
        metrics.append(self._folder.metrics, rows)
        for row in rows:
            self._log(row)

    def save(self) -> None:
        """Write a checkpoint, and the agent."""
        state, config = (
            self._args.StandardSave(self.state),
            self._args.JsonSave(serialise.to_dict(self.config)),
        )
        self._manager.save(int(self.state.iteration), args=self._args.Composite(state=state, config=config))
        self._keep_agent()

    def describe_saved(self) -> str:
        """Return where the newest checkpoint is, in words."""
        if self.latest is None:
            return "no checkpoint had been saved"
        return f"the last good checkpoint is {Path(self._manager.directory) / str(self.latest)}"

    def _keep_agent(self) -> None:
        if hosts.is_first():
            actor = hosts.own(self.state.learnt.params["actor"])
            save_agent(self._folder.agent, self.config, actor, int(self.state.iteration))


@dataclasses.dataclass
class InMemory:
    """A run without a folder: its lines of metrics, and its state and failure as in `OnDisk`."""

    config: TrainConfig
    state: TrainState
    rows: list[Row] = dataclasses.field(default_factory=list)
    failure: str = ""

    def keep(self, rows: list[Row]) -> None:
        """Take lines."""
        self.rows += rows

    def save(self) -> None:
        """Do nothing."""

    def describe_saved(self) -> str:
        """Say that there is no folder."""
        return "nothing is saved, as the run has no folder"


def first_state(config: TrainConfig, where: jax.sharding.Sharding) -> TrainState:
    """Return the state that a run starts from, on some devices."""
    return hosts.put(training.init(config, jax.random.key(config.seed)), where)
