"""The type checker that tests run the package under: beartype, with jaxtyping's shapes and dtypes."""

import typing

from beartype import beartype


def check(function):
    """Return the function with its annotations checked at each call.

    Constructors are left alone: JAX rebuilds a pytree with whatever stands in for its leaves (batch
    axes, shardings, None), so the fields of a dataclass need not hold what they are annotated with.
    """
    if "__init__" in function.__name__:
        return function
    for hint in getattr(function, "__annotations__", {}).values():
        _make_checkable(hint)
    return beartype(function)


def _make_checkable(hint):
    """Let protocols be checked: for an object's attributes, not their types."""
    if isinstance(hint, type) and getattr(hint, "_is_protocol", False):
        typing.runtime_checkable(hint)
    for part in typing.get_args(hint):
        _make_checkable(part)
