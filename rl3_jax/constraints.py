"""What a field of a configuration may hold, declared beside it and checked here.

For example:

    trials: Count = 328
    discount: Annotated[float, Ge(0), Lt(1)] = 0.95
    every: Annotated[int, Ge(0), "0 for never"] = 50

A whole number without an upper bound of its own must fit into 32 bits, which those of compiled programs have.
"""

import dataclasses
import functools
import inspect
import math
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from rl3_jax.errors import unknown_choice

Count = Annotated[int, Ge(1)]
Natural = Annotated[int, Ge(0)]
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]


@dataclasses.dataclass(frozen=True)
class Among:
    """One of the strings in an attribute, of this name, of the configuration's class."""

    attribute: str


_SCALARS = {bool: "true or false", str: "a string", int: "a whole number", float: "a finite number"}
_CHECKS = {
    Ge: lambda value, bound: value >= bound.ge,
    Gt: lambda value, bound: value > bound.gt,
    Le: lambda value, bound: value <= bound.le,
    Lt: lambda value, bound: value < bound.lt,
}


def problems(config: Any, name: str = "") -> list[str]:
    """Return a message for each value of a configuration, held by a field `name`, that is not valid.

    Dataclasses inside are checked too. Where all fields of one are right and it has a method `conflicts`,
    the messages of that follow: what spans fields. Of anything but a dataclass nothing else is known.
    """
    found, prefix = [], f"{name}." if name else ""
    hints = _hints(type(config))
    for field in dataclasses.fields(config) if dataclasses.is_dataclass(config) else ():
        hint = _with_choices(config, hints[field.name])
        found += _field_problems(hint, getattr(config, field.name), prefix + field.name)
    return found or getattr(config, "conflicts", list)()


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    """Return the annotation of each field; where a subclass annotates one again, its constraints stay."""
    hints = {}
    for base in reversed(cls.__mro__):
        for field, hint in typing.get_type_hints(base, include_extras=True).items():
            if _constrained(hint) or not _constrained(hints.get(field)):
                hints[field] = hint
    return hints


def _constrained(hint: Any) -> bool:
    """Tell whether an annotation, or a part of it, has constraints."""
    return typing.get_origin(hint) is Annotated or any(map(_constrained, typing.get_args(hint)))


def _with_choices(config: Any, hint: Any) -> Any:
    """Return an annotation, or the `Literal` that its `Among` stands for."""
    for constraint in getattr(hint, "__metadata__", ()):
        if isinstance(constraint, Among):
            return Literal[getattr(config, constraint.attribute)]
    return hint


def _field_problems(hint: Any, value: Any, name: str) -> Iterator[str]:
    """Yield a message for each thing about a value that its annotation rules out."""
    if inspect.isclass(hint) and hint not in (*_SCALARS, Any):
        if isinstance(value, hint) and not isinstance(value, type):
            yield from problems(value, name)
        else:
            yield f"{name} is {value!r}; it must be a {hint.__name__}"
        return
    kind, *constraints = typing.get_args(hint) if typing.get_origin(hint) is Annotated else (hint,)
    if typing.get_origin(kind) is Literal:
        if value not in typing.get_args(kind):
            yield unknown_choice(name, str(value), [str(choice) for choice in typing.get_args(kind)])
    elif typing.get_origin(kind) is tuple:
        if not isinstance(value, tuple):
            yield f"{name} is {value!r}; it must be a {'tuple' if isinstance(value, list) else 'list'}"
            return
        kinds = typing.get_args(kind)
        for index, element in enumerate(value):
            element_kind = kinds[0] if kinds[-1] is Ellipsis else kinds[index]
            yield from _field_problems(element_kind, element, f"{name}[{index}]")
    elif message := (
        _wrong_scalar(kind, value)
        or _out_of_bounds(constraints, value)
        or _too_large(kind, constraints, value)
    ):
        yield f"{name} is {value!r}; {message}"


def _too_large(kind: Any, constraints: list[Any], value: Any) -> str:
    """Return what a whole number must be if compiled programs cannot hold it, or nothing."""
    if kind is not int or value < 2**31 or any(isinstance(bound, Le | Lt) for bound in constraints):
        return ""
    return f"it must be below {2**31}, as whole numbers in compiled programs have 32 bits"


def _wrong_scalar(kind: Any, value: Any) -> str:
    """Return what is wrong with a bool, int, float or string, or nothing; of other kinds nothing is known."""
    if kind not in _SCALARS:
        return ""
    if kind in (int, float) and (isinstance(value, bool) or not isinstance(value, (int, float))):
        return "it must be a number"
    fits = math.isfinite(value) if kind is float else isinstance(value, kind)
    return "" if fits else f"it must be {_SCALARS[kind]}"


def _out_of_bounds(constraints: list[Any], value: Any) -> str:
    """Return what a number must be, if it breaks one of the constraints; strings among them are notes."""
    bounds = {type(bound): bound for bound in constraints if type(bound) in _CHECKS}
    if all(_CHECKS[kind](value, bound) for kind, bound in bounds.items()):
        return ""
    if Ge in bounds and Le in bounds:
        words = f"between {bounds[Ge].ge} and {bounds[Le].le}"
    else:
        names = {Ge: "at least {0.ge}", Gt: "above {0.gt}", Le: "at most {0.le}", Lt: "below {0.lt}"}
        words = " and ".join(names[kind].format(bound) for kind, bound in bounds.items())
    notes = [f" ({note})" for note in constraints if isinstance(note, str)]
    return f"it must be {words}{''.join(notes)}"
