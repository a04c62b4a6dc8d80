"""Modules of the user's own that add families, learners, abstractions, cores or presets by name."""

import functools
import importlib
import importlib.metadata

from rl3_jax.errors import ConfigError

GROUP = "rl3_jax.plugins"
"""Entry points of this group name the modules that installed packages bring."""


def load(module: str) -> None:
    """Import a module, which registers what it brings (`rl3_jax.register`, `rl3_jax.PRESETS`).

    Raises a `ConfigError` if it cannot be imported.
    """
    try:
        importlib.import_module(module)
    except ConfigError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"plugin {module} cannot be imported: {reason}") from error


@functools.cache
def load_installed() -> None:
    """Load the modules that installed packages name as plugins, once."""
    for point in importlib.metadata.entry_points(group=GROUP):
        load(point.module)
