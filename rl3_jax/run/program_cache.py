"""Keeping compiled programs on disk, so that a second start need not compile (JAX's persistent cache)."""

import contextlib
import contextvars
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache as jax_cache

from rl3_jax.run.files import cache_folder

LEAST_SECONDS = 0.1
"""Programs that compile faster are not kept: a second start is no faster with them (docs/measurements.md)."""
MOST_BYTES = 1024**3
"""Beyond this, the programs that were used least recently go. It has room for thousands, on a CPU
(docs/measurements.md)."""

_decided: contextvars.ContextVar[bool] = contextvars.ContextVar("decided", default=False)


@contextlib.contextmanager
def compile_cache(enabled: bool = True) -> Iterator[None]:
    """Keep compiled programs on disk, or do not, in a `with` block; an outer block decides for those inside.

    The folder is `rl3_jax/compiled` in $XDG_CACHE_HOME or ~/.cache; it may be deleted at any time. A user who
    has set JAX's own cache (e.g. JAX_COMPILATION_CACHE_DIR), or switched it off, keeps that; but if not
    enabled, all is compiled afresh. After the block, JAX's configuration is as before.
    """
    if _decided.get():
        yield
        return
    settings = _settings(enabled)  # may raise a warning, before anything is decided
    before = {name: getattr(jax.config, name) for name in settings}
    token = _decided.set(True)
    try:
        _configure(settings)
        yield
    finally:
        _configure(before)
        _decided.reset(token)


def _configure(settings: dict[str, Any]) -> None:
    """Change JAX's configuration, and let go of the cache that JAX may have opened under the old one."""
    for name, value in settings.items():
        jax.config.update(name, value)
    if settings:
        jax_cache.reset_cache()


def prune(folder: Path, most_bytes: int) -> None:
    """Remove what was used least recently, until the rest fits.

    JAX could do so itself, but a process that is killed while it does leaves a folder that JAX cannot clean.
    """
    files, total = [], 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # other processes remove files, too
            if path.is_file():
                stat = path.stat()
                files.append((max(stat.st_atime, stat.st_mtime), stat.st_size, path))
    for _, size, path in sorted(files, reverse=True):
        total += size
        if total > most_bytes:
            path.unlink(missing_ok=True)


def _settings(enabled: bool) -> dict[str, Any]:
    config: Any = jax.config
    if not enabled:
        return {"jax_enable_compilation_cache": False}
    if config.jax_compilation_cache_dir or not config.jax_enable_compilation_cache:
        return {}
    folder, problem = cache_folder("compiled"), ""
    try:
        if folder is None:
            problem = "there is no home folder"
        else:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # who writes here, runs code as this user
            prune(folder, MOST_BYTES)
            if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
                problem = f"no permission to write in {folder}"
    except OSError as error:
        problem = f"{error.strerror}: {folder}"
    if problem:
        problem += "; set XDG_CACHE_HOME to another folder"
        warnings.warn(f"compiled programs are not kept for the next start: {problem}", stacklevel=2)
        return {}
    return {
        "jax_compilation_cache_dir": str(folder),
        "jax_persistent_cache_min_compile_time_secs": LEAST_SECONDS,
    }
