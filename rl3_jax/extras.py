"""What an installation has only if its extra was asked for."""

import importlib
import importlib.util
from typing import Any

from rl3_jax.errors import ConfigError


def is_installed(module: str) -> bool:
    """Whether there is a module; nothing but the package around it is imported."""
    package = module.partition(".")[0]
    return importlib.util.find_spec(package) is not None and importlib.util.find_spec(module) is not None


def extra_problems(who: str, module: str, extra: str) -> list[str]:
    """Return a message if whoever needs a module lacks the extra that brings it."""
    if is_installed(module):
        return []
    return [f"{who} needs an extra that is not installed: pip install 'rl3-jax[{extra}]'"]


def load_extra(who: str, module: str, extra: str) -> Any:
    """Return the module of an extra; raises a `ConfigError` if it is not installed."""
    if found := extra_problems(who, module, extra):
        raise ConfigError(found)
    return importlib.import_module(module)
