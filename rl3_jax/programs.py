"""Compiled functions of which a process keeps a few programs, not all that it ever ran."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Generic, ParamSpec, TypeVar

import jax

MOST_PROGRAMS = 8
"""How many programs of one function are kept: one takes 10 to 60 MB, and is compiled again if need be."""

P = ParamSpec("P")
R = TypeVar("R")


def jit_of_few(
    static_argnames: Sequence[str], donate_argnames: Sequence[str] = ()
) -> Callable[[Callable[P, R]], "FewPrograms[P, R]"]:
    """Compile a function as `jax.jit` does, which would keep every program until the process ends."""
    return lambda function: FewPrograms(function, tuple(static_argnames), tuple(donate_argnames))


class FewPrograms(Generic[P, R]):
    """A function compiled for the values of some arguments; the program used least recently is let go.

    Programs differ in the values of the static arguments and in the structure of the others, which a compiled
    program takes in the order of the signature.
    """

    def __init__(self, function: Callable[P, R], static: tuple[str, ...], donated: tuple[str, ...]):
        """Take the function, and the names of static and of donated arguments."""
        functools.update_wrapper(self, function)
        self._function, self._static, self._donated = function, static, donated
        self._signature = inspect.signature(function)
        self.program = functools.lru_cache(maxsize=MOST_PROGRAMS)(self._program)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return what the function returns."""
        program, rest = self.prepare(*args, **kwargs)
        return program(*rest)

    def trace(self, *args: Any, **kwargs: Any) -> jax.stages.Traced:
        """Return the function traced for arguments, or for their shapes."""
        program, rest = self.prepare(*args, **kwargs)
        return program.trace(*rest)

    def prepare(self, *args: Any, **kwargs: Any) -> tuple[Any, list[Any]]:
        """Return the program of these arguments, and those that it takes."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        static = tuple(bound.arguments.pop(name) for name in self._static)
        rest = list(bound.arguments.values())
        return self.program(static, jax.tree.structure(rest)), rest

    def _program(self, static: tuple[Any, ...], structure: Any) -> Any:
        del structure
        function: Callable[..., R] = self._function
        names = [name for name in self._signature.parameters if name not in self._static]

        @functools.wraps(function)
        def of_the_rest(*rest: Any) -> R:
            return function(**dict(zip((*self._static, *names), (*static, *rest), strict=True)))

        del of_the_rest.__wrapped__  # whose signature JAX would take for this one's
        return jax.jit(of_the_rest, donate_argnums=[names.index(name) for name in self._donated])
