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


class Checkpoints:
    """The checkpoints of one run, each with the configuration that it belongs to.

    One that was interrupted while it was written lies under a temporary name and is not seen.
    """

    def __init__(self, path: Path, config: TrainConfig):
        """Open the folder of a run's checkpoints, made if it is missing."""
        # Imported here since `rl3 --help` and acting with an agent should not wait for it.
        import orbax.checkpoint as ocp

        self._ocp = ocp
        self._config = config
        # Synchronous: the state is donated to the next chunk, so nothing may still read it then.
        options = ocp.CheckpointManagerOptions(
            max_to_keep=KEPT, enable_async_checkpointing=False, cleanup_tmp_directories=True
        )
        self._manager = ocp.CheckpointManager(path.absolute(), options=options)

    @property
    def latest(self) -> int | None:
        """Iterations done at the newest checkpoint."""
        return self._manager.latest_step()

    def describe_latest(self) -> str:
        """Return where the newest checkpoint is, in words."""
        if self.latest is None:
            return "no checkpoint had been saved"
        return f"the last good checkpoint is {Path(self._manager.directory) / str(self.latest)}"

    def save(self, state: TrainState) -> None:
        """Save a state under its iteration."""
        args = self._ocp.args
        config = args.JsonSave(serialise.to_dict(self._config))
        self._manager.save(
            int(state.iteration), args=args.Composite(state=args.StandardSave(state), config=config)
        )

    def restore(self, sharding: jax.sharding.Sharding | None = None) -> TrainState:
        """Return the newest state, on the devices of a sharding or else on the first.

        Raises:
          ConfigError: if it belongs to another configuration, or cannot be read.
        """
        args = self._ocp.args
        where = Path(self._manager.directory) / str(self.latest)
        theirs = self._load(where, args.Composite(config=args.JsonRestore())).config
        # A field that is newer than the checkpoint has its default.
        theirs = serialise.from_dict(theirs, source=f"the configuration in checkpoint {where}")
        if different := serialise.differences(serialise.to_dict(theirs), serialise.to_dict(self._config)):
            raise ConfigError(
                f"checkpoint {where} is of another configuration than config.json: " + "; ".join(different)
            )
        sharding = sharding or jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        target = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            abstract_state(self._config),
        )
        return self._load(where, args.Composite(state=args.StandardRestore(target))).state

    def close(self) -> None:
        """Let go of the folder."""
        self._manager.close()

    def _load(self, where: Path, args: Any) -> Any:
        try:
            return self._manager.restore(self.latest, args=args)
        except (ValueError, KeyError, OSError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise ConfigError(
                f"checkpoint {where} cannot be read ({reason}); delete it to resume from the one before"
            ) from error


class OnDisk:
    """A run folder that is trained in. Of several processes the first writes; all save checkpoints together.

    Attributes:
      record: what is to be run.
      checkpoints: of the run.
      wall_seconds: that earlier processes spent on it.
    """

    def __init__(self, folder: RunFolder, record: RunRecord, stack: contextlib.ExitStack):
        """Open the checkpoints, until `stack` ends."""
        if hosts.is_first():
            folder.remove_leftovers()
        self.record, self._folder, self._stack = record, folder, stack
        self.checkpoints = stack.enter_context(
            contextlib.closing(Checkpoints(folder.checkpoints, record.config))
        )
        self.wall_seconds = 0.0

    def restore(self, where: jax.sharding.Sharding) -> TrainState:
        """Return the newest state, or the first, on some devices."""
        if self.checkpoints.latest:
            return self.checkpoints.restore(where)
        config = self.record.config
        return hosts.put(training.init(config, jax.random.key(config.seed)), where)

    def go_on_from(self, state: TrainState, device: dict[str, Any]) -> None:
        """Forget the lines that came after a state; note the run's target, and the devices it goes on on."""
        folder, done = self._folder, int(state.iteration)
        if done < self.record.target_iterations:
            self.record = dataclasses.replace(self.record, device=device)
        if not hosts.is_first():
            return
        if rows := metrics.truncate(folder.metrics, done):
            self.wall_seconds = rows[-1]["wall_seconds"]
        if self.record != folder.read():
            folder.write(self.record)
        if done:
            self._keep_agent(state)  # a kill may have come between checkpoint and agent

    def open_logger(self, done: int) -> None:
        """Open the logger of a run that goes on after some iterations."""
        if hosts.is_first():
            self._log = self._stack.enter_context(metrics.open_logger(self._folder, self.record, done))

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
        if hosts.is_first():
            actor = hosts.own(state.learnt.params["actor"])
            save_agent(self._folder.agent, self.record.config, actor, int(state.iteration))


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


Sink = OnDisk | InMemory
"""Where the lines and states of one run go."""
