"""gymnax, without the plotting libraries that it imports, until something is plotted.

Importing gymnax alone takes longer than all else of this package, JAX included: some of its environments
import seaborn and pyplot to draw themselves. Modules that import from gymnax come after this one.
"""

import contextlib
import importlib
import sys
import types
from collections.abc import Iterator, Sequence
from typing import Any


class _Later(types.ModuleType):
    """Stands for a module, which is imported once one of its names is asked for."""

    def __getattr__(self, name: str) -> Any:
        _forget(self)
        return getattr(importlib.import_module(self.__name__), name)


def _forget(module: types.ModuleType) -> None:
    """Let the next import find the module that this one stands for."""
    if sys.modules.get(module.__name__) is module:
        del sys.modules[module.__name__]


@contextlib.contextmanager
def _importing_later(names: Sequence[str]) -> Iterator[None]:
    """Give what is imported meanwhile a stand-in for each of these modules that is not imported yet."""
    modules = {name: _Later(name) for name in names if name not in sys.modules}
    sys.modules.update(modules)
    try:
        yield
    finally:
        for module in modules.values():
            _forget(module)


with _importing_later(("matplotlib.pyplot", "seaborn")):
    from gymnax.environments import environment, spaces

__all__ = ["environment", "spaces"]
