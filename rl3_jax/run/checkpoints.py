"""What is kept of a run: checkpoints, lines of metrics and the agent; on disk, or in memory."""

import contextlib
import dataclasses
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rl3_jax import training
from rl3_jax.errors import ConfigError
from rl3_jax.run import hosts, metrics
from rl3_jax.run.agent import save_agent
from rl3_jax.run.digests import digest, packed, unpacked
from rl3_jax.run.files import write_atomically
from rl3_jax.run.folder import RunFolder, RunRecord, checkpoint_file, checkpoint_files, newest_iteration
from rl3_jax.run.logs import Session
from rl3_jax.run.metrics import Row
from rl3_jax.training import TrainConfig, TrainState, serialise
from rl3_jax.training.plan import abstract_state

KEPT = 3
"""Checkpoints that are kept, the newest ones."""


class OnDisk:
    """A run in its folder. Of several processes the first writes, and all read.

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
        """Look at the folder; `stack` closes the logs."""
        if hosts.is_first():
            folder.remove_leftovers()
        self.record, self.config, self._folder, self._stack = record, record.config, folder, stack

    @property
    def latest(self) -> int:
        """Iterations done at the newest checkpoint, 0 if there is none."""
        return newest_iteration(self._folder.checkpoints)

    def restore(self, sharding: jax.sharding.Sharding) -> list[str]:
        """Go on from the newest checkpoint that is whole, or from the start, on some devices.

        Damaged ones that are newer are moved aside. Returns what a user is to know of that.
        Raises a `ConfigError`, with all where it was, if none is whole, or one is of another configuration.
        """
        damaged: dict[Path, str] = {}
        for path in checkpoint_files(self._folder.checkpoints):
            config, arrays, problem = read_checkpoint(path)
            if not hosts.largest(bool(problem)):
                self._require_own(config, path)
                self.state = hosts.put(_state(self.config, arrays, path), sharding)
                return self._move_aside(damaged, path)
            damaged[path] = problem or "another process cannot read it"
        if damaged:
            problems = [f"checkpoint {path} is damaged: {why}" for path, why in damaged.items()]
            problems.append(
                f"{self._folder.path} has no checkpoint to go on from; train anew, in another folder or with"
                " --overwrite"
            )
            raise ConfigError(problems)
        self.state = first_state(self.config, sharding)
        return []

    def _require_own(self, config: dict[str, Any], path: Path) -> None:
        """Raise a `ConfigError` if a checkpoint's configuration is not this run's."""
        # A field that is newer than the checkpoint has its default.
        theirs = serialise.from_dict(config, source=f"the configuration in checkpoint {path}")
        if different := serialise.differences(serialise.to_dict(theirs), serialise.to_dict(self.config)):
            raise ConfigError(
                f"checkpoint {path} is of another configuration than config.json: {'; '.join(different)}"
            )

    def _move_aside(self, damaged: dict[Path, str], whole: Path) -> list[str]:
        """Rename damaged checkpoints, so that none is taken for one; returns what happened."""
        messages = []
        for path, why in damaged.items():
            aside = path.with_name(f"{path.name}.damaged-{uuid.uuid4().hex[:6]}")
            if hosts.is_first():
                path.rename(aside)
            messages.append(
                f"checkpoint {path} is damaged ({why}), and now {aside.name}; going on from {whole}"
            )
        hosts.largest(0)  # so that all see the same files
        return messages

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

    def open_logs(self, *, share: float, warn: Callable[[str], object]) -> None:
        """Open the logs of the run, arguments as of `Session`; a `ConfigError` if one cannot start."""
        if hosts.is_first():
            done = int(self.state.iteration)
            logs = Session(self._folder, self.record, done, share=share, warn=warn)
            self._logs = self._stack.enter_context(logs)

    def keep(self, rows: list[Row]) -> None:
        """Write lines to `metrics.jsonl` and to the logs."""
        if hosts.is_first():
            metrics.append(self._folder.metrics, rows)
            self._logs.scalars(rows)

    def show(self, found: dict[str, Any], *, last: bool) -> None:
        """Send pictures to the logs, after an evaluation that gave this entry of a result file."""
        if hosts.is_first():
            self._logs.pictures(self.state, found, last=last)

    def save(self) -> None:
        """Write a checkpoint, and the agent; the oldest ones are removed."""
        if hosts.is_first():
            path = checkpoint_file(self._folder.checkpoints, int(self.state.iteration))
            write_checkpoint(path, serialise.to_dict(self.config), self.state)
            for path in checkpoint_files(self._folder.checkpoints)[KEPT:]:
                path.unlink()
        self._keep_agent()

    def describe_saved(self) -> str:
        """Return where the newest checkpoint is, in words."""
        if not self.latest:
            return "no checkpoint had been saved"
        return f"the last good checkpoint is {checkpoint_file(self._folder.checkpoints, self.latest)}"

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


def write_checkpoint(path: Path, config: dict[str, Any], state: TrainState) -> None:
    """Write a configuration, as JSON values, and a whole state, at once, with a digest of both."""
    path.parent.mkdir(exist_ok=True)
    arrays = _arrays(hosts.own(state))
    write_atomically(path, packed(arrays, {"config": config}, config))


def read_checkpoint(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray], str]:
    """Return a checkpoint's configuration and arrays, and why they are not what was written, or nothing."""
    try:
        arrays, config, written = unpacked(path, "config")
    except ConfigError as error:
        return {}, {}, str(error)
    whole = written == digest(config, arrays)
    return config, arrays, "" if whole else "its content is not what was written"


def _arrays(state: TrainState) -> dict[str, np.ndarray]:
    """Return the arrays of a state on the host, by their places."""
    paths, _ = jax.tree.flatten_with_path(_with_key_data(state))
    return {_name(path): np.asarray(leaf) for path, leaf in paths}


def _state(config: TrainConfig, arrays: dict[str, np.ndarray], path: Path) -> TrainState:
    """Return the state whose arrays these are; raises a `ConfigError` if they cannot be."""
    expected, structure = jax.tree.flatten_with_path(jax.eval_shape(_with_key_data, abstract_state(config)))
    shapes = {_name(place): (leaf.shape, leaf.dtype) for place, leaf in expected}
    if {name: (array.shape, array.dtype) for name, array in arrays.items()} != shapes:
        raise ConfigError(
            f"checkpoint {path} has other arrays than this version of rl3_jax, or a random key of another"
            " kind; go on with the versions in config.json"
        )
    state = jax.tree.unflatten(structure, [arrays[name] for name in shapes])
    return dataclasses.replace(state, key=jax.random.wrap_key_data(state.key))


def _with_key_data(state: TrainState) -> TrainState:
    """Return a state whose random key is an array of numbers."""
    return dataclasses.replace(state, key=jax.random.key_data(state.key))


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def first_state(config: TrainConfig, where: jax.sharding.Sharding) -> TrainState:
    """Return the state that a run starts from, on some devices."""
    return hosts.put(training.init(config, jax.random.key(config.seed)), where)
