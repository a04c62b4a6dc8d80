"""The run folder (design, section 8): what is where, who may write, and what `config.json` records."""

import contextlib
import dataclasses
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from rl3_jax.errors import ConfigError
from rl3_jax.run.files import leftovers, read_json, write_atomically, writing_problems
from rl3_jax.run.machine import device, versions
from rl3_jax.training import TrainConfig, serialise

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

CONTENT = (
    "metrics.jsonl", "checkpoints", "agent", "evaluation.json",
    "figures", "tensorboard", "wandb", "logs.json",
)  # fmt: skip
"""What a run writes beside `config.json`, and so all that `--overwrite` removes."""
WRITTEN_UNDER_LOCK = ("config.json", "metrics.jsonl", "agent.json", "actor.safetensors", "logs.json")
"""Files that are replaced at once; a process that is killed may leave a temporary one in the run folder."""
WRITTEN = (*WRITTEN_UNDER_LOCK, "evaluation.json")
"""The same, with what is written while others train."""


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """The content of `config.json`: the configuration, and beside it what is no part of it.

    Attributes:
      config: the run, as first configured.
      target_iterations: where training stops; beyond `config.iterations` if the run was extended.
      log: names of logs beside `metrics.jsonl`; `run_id` names this run to them.
      versions: of Python and the libraries, as they were at the start.
      device: what the run is trained on, or was last.
    """

    config: TrainConfig
    target_iterations: int
    log: tuple[str, ...]
    run_id: str
    versions: dict[str, str]
    device: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values: the configuration's fields, then the others."""
        beside = {name: getattr(self, name) for name in BESIDE_CONFIG}
        return serialise.to_dict(self.config) | beside


BESIDE_CONFIG = tuple(field.name for field in dataclasses.fields(RunRecord) if field.name != "config")


class RunFolder:
    """The paths of a run: its folder, and what lies there."""

    def __init__(self, path: str | Path):
        """Name the paths; nothing is looked at."""
        self.path = Path(path)
        self.config = self.path / "config.json"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.agent = self.path / "agent"
        self.evaluation = self.path / "evaluation.json"
        self.logs = self.path / "logs.json"

    def write(self, record: RunRecord) -> None:
        """Write `config.json` at once."""
        write_atomically(self.config, (json.dumps(record.to_dict(), indent=2) + "\n").encode())

    def read(self) -> RunRecord:
        """Return what `config.json` records; raises a `ConfigError` if there is none that is valid."""
        if not is_run(self.path):
            raise ConfigError(
                f"{self.path} is not a run folder: it has no config.json that `rl3 train` wrote"
            )
        data = read_json(self.config)
        beside = {name: data[name] for name in BESIDE_CONFIG}
        target = beside["target_iterations"]
        if isinstance(target, bool) or not isinstance(target, int) or target < 1:
            raise ConfigError(
                f"{self.config}: target_iterations is {target!r}; it must be a whole number of at least 1"
            )
        named = [beside["log"]] if isinstance(beside["log"], str) else beside["log"] or []
        if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
            raise ConfigError(f"{self.config}: log is {named!r}; it must be a list of names")
        beside["log"] = as_names(named)
        config = serialise.from_dict(data, ignore=BESIDE_CONFIG, source=str(self.config))
        return RunRecord(config=config, **beside)

    def remove_leftovers(self) -> None:
        """Remove what a training process that was killed left; call it under the lock."""
        for path in (*leftovers(self.path, WRITTEN_UNDER_LOCK), *self.checkpoints.glob(".*.tmp")):
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training in this folder; raises a `ConfigError` if one does.

        The system releases the lock if this process dies. Windows has none; there nothing is protected.
        """
        if fcntl is None:
            yield
            return
        handle = os.open(self.path, os.O_RDONLY)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ConfigError(
                    f"another process is training in {self.path}; wait for it or stop it"
                ) from None
            yield
        finally:
            os.close(handle)


def as_names(log: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of logs, each once: of none, of one by its name, or of several."""
    return tuple(dict.fromkeys([log] if isinstance(log, str) else log or ()))


def read_config_file(path: Path) -> TrainConfig:
    """Return the configuration in a `config.json` or a file like it; a `ConfigError` lists its faults."""
    return serialise.from_dict(read_json(path), ignore=BESIDE_CONFIG, source=str(path))


def is_run(path: Path) -> bool:
    """Whether a folder holds a run: its `config.json` has what only `RunFolder.write` puts there."""
    try:
        data = json.loads((path / "config.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and all(name in data for name in BESIDE_CONFIG)


def checkpoint_file(checkpoints: Path, iteration: int) -> Path:
    """Return where the checkpoint after so many iterations is in a folder of checkpoints."""
    return checkpoints / f"{iteration}.safetensors"


def checkpoint_files(checkpoints: Path) -> list[Path]:
    """Return the checkpoints in a folder, the newest first; they are only looked at."""
    paths = [path for path in checkpoints.glob("*.safetensors") if path.stem.isdigit()]
    return sorted(paths, key=lambda path: int(path.stem), reverse=True)


def newest_iteration(checkpoints: Path) -> int:
    """Return the iterations done at the newest checkpoint in a folder, 0 if there is none."""
    return max((int(path.stem) for path in checkpoint_files(checkpoints)), default=0)


def creation_problems(path: Path, *, overwrite: bool) -> list[str]:
    """Return a message if a new run may not be written to a folder."""
    if not path.exists():
        return writing_problems(path)
    if not path.is_dir():
        return [f"{path} is a file, not a folder; choose another --out"]
    if not os.access(path, os.W_OK):
        return [f"cannot write {path}: no permission; choose another --out"]
    empty, replaceable = not set(path.iterdir()) - set(leftovers(path, WRITTEN)), is_run(path)
    if empty or (overwrite and replaceable):
        return []
    if not replaceable:
        return [f"{path} is not empty and not a run folder; choose another --out"]
    return [
        f"{path} already holds a run; go on with `rl3 resume {path}`,"
        " replace it with --overwrite, or choose another --out"
    ]


@contextlib.contextmanager
def new_runs(
    runs: Sequence[tuple[Path, TrainConfig]], *, log: str | Sequence[str] | None, overwrite: bool
) -> Iterator[list[RunFolder]]:
    """Make the folders of new runs and keep other processes from training in them.

    Raises a `ConfigError`, with nothing changed, if another process trains in one or has made a run there.
    One of the body empties the folders in which no checkpoint has been saved, for another attempt.
    """
    with contextlib.ExitStack() as stack:
        for path, _ in runs:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(f"cannot write {path}: {error.strerror}; choose another --out") from None
            stack.enter_context(RunFolder(path).lock())
        if problems := [x for path, _ in runs for x in creation_problems(path, overwrite=overwrite)]:
            raise ConfigError(problems)
        folders = [create(path, config, log=log) for path, config in runs]
        try:
            yield folders
        except ConfigError:
            for folder in folders:
                if not newest_iteration(folder.checkpoints):
                    for name in ("config.json", *CONTENT):
                        _remove(folder.path / name)
            raise


def create(path: Path, config: TrainConfig, *, log: str | Sequence[str] | None) -> RunFolder:
    """Return the folder of a new run, with its `config.json`; a run that was there is removed.

    Call it only when `creation_problems` has none, under the lock if other processes may know of the folder.
    A kill on the way leaves a run that can still be replaced.
    """
    folder = RunFolder(path)
    run_id, on = uuid.uuid4().hex[:12], device(jax.local_devices()[:1])
    record = RunRecord(config, config.iterations, as_names(log), run_id, versions(), on)
    try:
        path.mkdir(parents=True, exist_ok=True)
        for old in [path / name for name in CONTENT] + leftovers(path, WRITTEN):
            _remove(old)
        folder.write(record)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; choose another --out") from None
    return folder


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
