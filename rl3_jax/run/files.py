"""Writing files so that a crash leaves the old content or the new, never a part."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, temporary_folder: Path | None = None) -> None:
    """Replace a file's content at once.

    Args:
      path: the file.
      content: its new content.
      temporary_folder: where the content is written first, on the same disk; the file's own folder
        if not given.
    """
    temporary = (temporary_folder or path.parent) / f".{path.name}.tmp"
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def writing_problems(path: Path) -> list[str]:
    """Return a message if a file or folder could not be made here, judged by its nearest ancestor."""
    ancestor = next(parent for parent in path.absolute().parents if parent.exists())
    if not ancestor.is_dir():
        return [f"cannot write {path}: {ancestor} is a file; choose another place"]
    if not os.access(ancestor, os.W_OK):
        return [f"cannot write {path}: no permission to write in {ancestor}; choose another place"]
    return []
