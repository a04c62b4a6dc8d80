"""Modules of the user's own that add families, learners, abstractions, cores or presets by name."""

import functools
import importlib
import importlib.metadata

from rl3_jax.errors import ConfigError

GROUP = "rl3_jax.plugins"
"""Entry points of this group name the modules that installed packages bring."""


named: list[str] = []
"""The modules that were named on the command line, and so have to be named for each command."""


def option() -> str:
    """Return what a command needs to find the same plugins, e.g. ` --plugin a,b`; nothing without any."""
    return f" --plugin {','.join(dict.fromkeys(named))}" if named else ""


def load(module: str) -> None:
    """Import a module, which registers what it brings (`rl3_jax.register`, `rl3_jax.PRESETS`).

    Raises a `ConfigError` if it cannot be imported.
    """
    if module.endswith(".py"):
        raise ConfigError(f"plugin {module} is a file; name the module, {module.removesuffix('.py')}")
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
