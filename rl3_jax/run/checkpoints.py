"""Checkpoints: the whole training state, saved and restored by orbax."""

from pathlib import Path
from typing import Any

import jax

from rl3_jax.errors import ConfigError
from rl3_jax.training import TrainConfig, TrainState, serialise
from rl3_jax.training.plan import abstract_state

KEPT = 3
"""Checkpoints that are kept, the newest ones."""


def newest_iteration(path: Path) -> int:
    """Return the iterations done at the newest checkpoint in a folder, 0 if none; it is only looked at."""
    names = [entry.name for entry in path.glob("*")]
    return max((int(name) for name in names if name.isdigit()), default=0)


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
        """Return items of the newest checkpoint."""
        try:
            return self._manager.restore(self.latest, args=args)
        except (ValueError, KeyError, OSError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise ConfigError(
                f"checkpoint {where} cannot be read ({reason}); delete it to resume from the one before"
            ) from error
