"""Agents on the Hugging Face hub: their names, and fetching their files."""

import contextlib
import importlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rl3_jax.errors import ConfigError
from rl3_jax.extras import load_extra

MODULE = "huggingface_hub"
PREFIX = "hf:"
"""How the name of an agent on the hub begins: `hf:OWNER/NAME`, or `hf:OWNER/NAME@REVISION`."""
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


def is_name(source: object) -> bool:
    """Whether this names an agent on the hub."""
    return str(source).startswith(PREFIX)


def library() -> Any:
    """Return the module that speaks with the hub; raises a `ConfigError` if its extra is not installed."""
    return load_extra("an agent on a hub", MODULE, "hub")


def repository_problems(repository: str) -> list[str]:
    """Return a message if this is not the name of a repository."""
    if REPOSITORY.fullmatch(repository):
        return []
    return [f"{repository!r} is no name on the hub; give OWNER/NAME"]


def download(name: str, files: Sequence[str]) -> Path:
    """Return a folder with these files of a repository, as far as it has them; they are kept in a cache.

    Raises a `ConfigError` if the repository cannot be read.
    """
    hub, (repository, _, revision) = library(), name.removeprefix(PREFIX).partition("@")
    if problems := repository_problems(repository):
        raise ConfigError([f"{name}: {problem}" for problem in problems])
    with asking(f"cannot read {name}"):
        return Path(hub.snapshot_download(repository, revision=revision or None, allow_patterns=list(files)))


@contextlib.contextmanager
def asking(doing: str) -> Iterator[None]:
    """Turn what the hub, or the network, refuses into a `ConfigError` that says what was being done."""
    errors = importlib.import_module(f"{MODULE}.errors")
    try:
        yield
    except ConfigError:
        raise
    except errors.RepositoryNotFoundError:
        why = "there is no such repository, or it is not open to you"
        raise ConfigError(f"{doing}: {why}; check the name, or log in: `hf auth login`") from None
    except errors.RevisionNotFoundError:
        raise ConfigError(f"{doing}: the repository has no such revision") from None
    except Exception as error:  # of many kinds: of a network, of a cache on disk, of the service
        raise ConfigError(f"{doing}: {said(error)}") from error


def said(error: Exception) -> str:
    """Return the first line of what an error says, with its kind."""
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
