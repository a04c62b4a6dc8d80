"""The run folder (design, section 8): what is where, who may write, and what `config.json` records."""

import contextlib
import dataclasses
import fcntl
import importlib.metadata
import json
import os
import platform
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from rl3_jax.errors import ConfigError
from rl3_jax.run.files import write_atomically, writing_problems
from rl3_jax.training import TrainConfig, serialise

LIBRARIES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint")
CONTENT = (
    "metrics.jsonl", "checkpoints", "agent", "evaluation.json",
    "figures", "tensorboard", "wandb", "config.json",
)  # fmt: skip
"""What a run writes, and so all that `--overwrite` removes; what makes it a run goes last."""


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """The content of `config.json`: the configuration, and beside it what is no part of it.

    Attributes:
      config: the run, as first configured.
      target_iterations: where training stops; beyond `config.iterations` if the run was extended.
      log: the logger beside `metrics.jsonl`, or None.
      run_id: names this run to such a logger.
      versions: of Python and the libraries, as they were at the start.
      device: what the run started on.
    """

    config: TrainConfig
    target_iterations: int
    log: str | None
    run_id: str
    versions: dict[str, str]
    device: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return the record as JSON values: the configuration's fields, then the others."""
        beside = {name: getattr(self, name) for name in BESIDE_CONFIG}
        return serialise.to_dict(self.config) | beside


BESIDE_CONFIG = tuple(field.name for field in dataclasses.fields(RunRecord) if field.name != "config")


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The paths of a run.

    Attributes:
      path: the folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The fully resolved configuration, with versions and device."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """One JSON object an iteration."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Whole training states."""
        return self.path / "checkpoints"

    @property
    def agent(self) -> Path:
        """What acting needs and nothing else."""
        return self.path / "agent"

    @property
    def evaluation(self) -> Path:
        """Results on held-out tasks."""
        return self.path / "evaluation.json"

    def write(self, record: RunRecord) -> None:
        """Write `config.json` at once."""
        write_atomically(self.config, (json.dumps(record.to_dict(), indent=2) + "\n").encode())

    def read(self) -> RunRecord:
        """Return what `config.json` records.

        Raises:
          ConfigError: if this is not the folder of a run, or its `config.json` is not valid.
        """
        if not is_run(self.path):
            raise ConfigError(
                f"{self.path} is not a run folder: it has no config.json that `rl3 train` wrote"
            )
        data = json.loads(self.config.read_text())
        beside = {name: data[name] for name in BESIDE_CONFIG}
        return RunRecord(config=serialise.from_dict(data, ignore=BESIDE_CONFIG), **beside)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from training in this folder; the system releases it if this one dies.

        Raises:
          ConfigError: if another process trains here.
        """
        handle = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise ConfigError(f"another process is training in {self.path}; wait for it or stop it") from None
        finally:
            os.close(handle)


def read_config_file(path: Path) -> TrainConfig:
    """Return the configuration in a JSON file: a run's `config.json`, or one written by hand.

    Raises:
      ConfigError: if there is no such file, or listing everything that is wrong in it.
    """
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from None
    return serialise.from_dict(data, ignore=BESIDE_CONFIG)


def is_run(path: Path) -> bool:
    """Whether a folder holds a run: its `config.json` has what only `RunFolder.write` puts there."""
    try:
        data = json.loads((path / "config.json").read_text())
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and all(name in data for name in BESIDE_CONFIG)


def creation_problems(path: Path, *, overwrite: bool) -> list[str]:
    """Return a message if a new run may not be written to a folder."""
    if not path.exists():
        return writing_problems(path)
    if not path.is_dir():
        return [f"{path} is a file, not a folder; choose another --out"]
    if not os.access(path, os.W_OK):
        return [f"cannot write {path}: no permission; choose another --out"]
    if not any(path.iterdir()):
        return []
    if not is_run(path):
        return [f"{path} is not empty and not a run folder; choose another --out"]
    if overwrite:
        return []
    return [
        f"{path} already holds a run; go on with `rl3 resume {path}`,"
        " replace it with --overwrite, or choose another --out"
    ]


def create(path: Path, config: TrainConfig, *, log: str | None) -> RunFolder:
    """Return the folder of a new run, with its `config.json`; a run that was there is removed.

    Call it only when `creation_problems` has none and the configuration is valid.

    Raises:
      ConfigError: if the folder cannot be written after all.
    """
    folder = RunFolder(path)
    record = RunRecord(
        config=config,
        target_iterations=config.iterations,
        log=log,
        run_id=uuid.uuid4().hex[:12],
        versions=versions(),
        device=device(),
    )
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name in CONTENT:
            _remove(path / name)
        folder.write(record)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}; choose another --out") from None
    return folder


def versions() -> dict[str, str]:
    """Return the versions of this package, Python and the libraries that decide a result."""
    return {
        "rl3_jax": _version("rl3-jax"),
        "python": platform.python_version(),
    } | {name.removesuffix("-checkpoint"): _version(name) for name in LIBRARIES}


def device() -> dict[str, Any]:
    """Return the devices that JAX computes on."""
    devices = jax.devices()
    return {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices)}


def _version(distribution: str) -> str:
    """Return an installed distribution's version."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # this package, run from its source tree


def _remove(path: Path) -> None:
    """Remove a file or folder, if there is one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
