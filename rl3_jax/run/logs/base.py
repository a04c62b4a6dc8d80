"""What a log is: where the numbers and pictures of a run go, beside `metrics.jsonl`."""

import abc
from typing import Any, ClassVar

from rl3_jax.presets import method_name
from rl3_jax.run.digests import digest
from rl3_jax.run.files import read_json, write_json
from rl3_jax.run.folder import RunFolder, RunRecord
from rl3_jax.training import TrainConfig, serialise

Numbers = dict[str, float | int]
"""Numbers of an iteration by name."""
PROJECT = "rl3-jax"
"""Where services put runs, unless the environment names another project."""


class Log(abc.ABC):
    """The log of one run, open while the run trains. A class of its own for each service.

    Whatever a method raises, training goes on without this log, after one warning.
    """

    module: ClassVar[str]
    """What the extra of the log's name brings; imported only by runs that have this log."""

    @classmethod
    def problems(cls) -> list[str]:
        """Return a message for each reason why no run can have this log now; the module is there."""
        return []

    @abc.abstractmethod
    def __init__(self, folder: RunFolder, record: RunRecord, iteration: int):
        """Open it for a run of which so many iterations are done, and write the configuration."""

    @abc.abstractmethod
    def scalars(self, iteration: int, values: Numbers) -> None:
        """Write the numbers of an iteration."""

    @abc.abstractmethod
    def picture(self, iteration: int, name: str, content: bytes) -> None:
        """Write a picture, the content of a PNG or GIF file."""

    @abc.abstractmethod
    def close(self, *, failed: bool) -> None:
        """Write what is left; `failed` tells whether an error ended the run."""


def is_gif(content: bytes) -> bool:
    """Whether the content of a picture's file is a GIF, and so may move."""
    return content.startswith(b"GIF8")


def group_name(config: TrainConfig) -> str:
    """Return what is equal for runs that differ in their seed alone."""
    rest = {name: value for name, value in serialise.to_dict(config).items() if name != "seed"}
    return f"{config.env.name}-{method_name(config)}-{config.policy.core.core}-{digest(rest, {})[:8]}"


def recall(folder: RunFolder, name: str) -> dict[str, Any]:
    """Return by what a service knows a run that it has a log of already; nothing of a new run."""
    return _known(folder).get(name, {})


def remember(folder: RunFolder, name: str, known_by: dict[str, Any]) -> None:
    """Note by what a service knows a run, so that the run goes on there after a resume."""
    write_json(_known(folder) | {name: known_by}, folder.logs)


def _known(folder: RunFolder) -> dict[str, dict[str, Any]]:
    """Return by what each service knows a run, as far as it does."""
    return read_json(folder.logs) if folder.logs.exists() else {}
