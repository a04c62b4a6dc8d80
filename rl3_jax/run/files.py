"""Writing files so that a crash leaves the old content or the new, never a part; reading them."""

import json
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rl3_jax.errors import ConfigError


def write_atomically(path: Path, content: bytes, *, temporary_folder: Path | None = None) -> None:
    """Replace a file's content at once.

    It is written to a temporary folder on the same disk first: the file's own, if not given.
    """
    # Not from `tempfile`, whose files only their owner may read.
    temporary = (temporary_folder or path.parent) / f".{path.name}.{uuid.uuid4().hex[:12]}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def leftovers(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return what processes that were killed while writing files of these names left in a folder."""
    return [path for name in names for path in folder.glob(f".{name}.*tmp")]


def cache_folder(name: str) -> Path | None:
    """Return `rl3_jax/NAME` in $XDG_CACHE_HOME or ~/.cache; None where there is no home."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # by the XDG specification, such a value does not count
        base = Path(os.path.expanduser("~/.cache"))
    return base / "rl3_jax" / name if base.is_absolute() else None


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; raises a `ConfigError` if it cannot be read."""
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not valid JSON: {error}") from None


def write_json(content: Any, path: Path | None) -> None:
    """Write a JSON file, in a folder that is made if it is missing; nothing if no file is named."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(content) + "\n").encode())


def file_problems(path: Path | None) -> list[str]:
    """Return a message if a file cannot be written; none if none is asked for."""
    if path is not None and path.is_dir():
        return [f"cannot write {path}: it is a folder"]
    return [] if path is None else writing_problems(path)


def writing_problems(path: Path) -> list[str]:
    """Return a message if a file or folder could not be made here, judged by its nearest ancestor."""
    ancestor = next(parent for parent in path.absolute().parents if parent.exists())
    if not ancestor.is_dir():
        return [f"cannot write {path}: {ancestor} is a file; choose another place"]
    if not os.access(ancestor, os.W_OK):
        return [f"cannot write {path}: no permission to write in {ancestor}; choose another place"]
    return []
