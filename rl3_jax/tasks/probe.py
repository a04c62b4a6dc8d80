"""Whether a family does what a trial needs of it: types are checked first, then the numbers of random steps.

What is wrong is told before training compiles, by the name of the class and with the mend.
"""

import inspect
import traceback
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp

from rl3_jax.errors import ConfigError
from rl3_jax.lean_gymnax import spaces
from rl3_jax.tasks.base import ConcreteState, TaskFamily
from rl3_jax.tasks.random_steps import number_problems

PROPERTIES = ("num_states", "num_actions", "episode_length", "coordinate_bounds")
COUNTS = ("num_states", "num_actions")
SPACES = ("action_space", "observation_space")
STEP_RETURNS = ("observation", "state", "reward", "terminated", "info")
"""What `step_env` returns."""


class Failure(Exception):
    """What is wrong with a family, as messages."""

    def __init__(self, *messages: str):
        """Take them."""
        super().__init__(*messages)
        self.messages = list(messages)


def family_problems(family: TaskFamily) -> tuple[str, ...]:
    """Return a message for each way in which a family does not do what a trial needs of it.

    It takes about a second, for the most part to compile; the result is kept.
    """
    try:
        hash(family)
    except TypeError as error:
        return (
            f"{_who(family)} has a field that is not constant ({error}); let its fields be numbers,"
            " strings, or tuples of these",
        )
    return _family_problems(family)


@lru_cache(maxsize=64)
def _family_problems(family: TaskFamily) -> tuple[str, ...]:
    if found := property_problems(family):
        return tuple(found)
    try:
        return tuple(_type_problems(family) or number_problems(family))
    except Failure as failure:
        return tuple(failure.messages)


def property_problems(family: TaskFamily) -> list[str]:
    """Return a message for each property or space of a family that fails; takes almost no time."""
    found: list[str] = []
    for name in (*PROPERTIES, *SPACES):
        try:
            _called(family, name, lambda name=name: _value(family, name))
        except Failure as failure:
            found += failure.messages
    return list(dict.fromkeys(found))


def _value(family: TaskFamily, name: str) -> Any:
    value = getattr(family, name)
    if name in SPACES:
        return value()
    if name in COUNTS and not isinstance(value, int):
        raise Failure(f"{_who(family)}.{name} is {value!r}; it must be a whole number")
    return value


def _called(family: TaskFamily, name: str, call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call of a family's function returns; what it raises becomes a `Failure`."""
    try:
        return call(*arguments)
    except Failure:
        raise
    except ConfigError as error:
        raise Failure(*error.problems) from error
    except NotImplementedError as error:
        raise Failure(_undefined(family, error)) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise Failure(f"{_who(family)}.{name} fails: {reason}{_where(family, error)}") from error


def _who(family: TaskFamily) -> str:
    return type(family).__name__


def _undefined(family: TaskFamily, error: NotImplementedError) -> str:
    """Return the message about a method that a class should have defined."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    owner, missing = frame.f_locals.get("self", family), frame.f_code.co_name
    purpose = (inspect.getdoc(getattr(type(owner), missing, None)) or "").partition("\n")[0]
    said = f" It should do this: {purpose}" if purpose else ""
    return f"{type(owner).__name__} does not define {missing}; define it.{said}"


def _where(family: TaskFamily, error: Exception) -> str:
    """Return the last line of the class's own file that an error came through."""
    own = inspect.getsourcefile(type(family))
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == own]
    return f" ({lines[-1].filename}, line {lines[-1].lineno}: {lines[-1].line})" if lines else ""


def _type_problems(family: TaskFamily) -> list[str]:
    """Return a message for each function that returns what it should not; nothing is computed."""
    who, key = _who(family), jax.random.key(0)
    for name in SPACES:
        if not isinstance(space := getattr(family, name)(), spaces.Discrete | spaces.Box):
            raise Failure(f"{who}.{name} is {type(space).__name__}; let it be a Discrete or a Box")
    space = family.action_space()
    action = jax.ShapeDtypeStruct(space.shape, space.dtype)

    def shapes(name: str, *arguments: Any) -> Any:
        return _called(family, name, jax.eval_shape, getattr(family, name), *arguments)

    task = shapes("sample_task", key)
    observation, state = _unpacked(family, "reset_env", ("observation", "state"), shapes, key, task)
    stepped = _unpacked(family, "step_env", STEP_RETURNS, shapes, key, state, action, task)
    seen, entered, reward, terminated, _ = stepped
    found = [
        f"{who}.step_env returns {what} of {_form(leaf)}, but a trial takes one of {form}; convert it"
        for what, leaf, form in (
            ("a reward", reward, "float32[]"),
            ("`terminated`", terminated, "bool[]"),
        )
        if _form(leaf) != form
    ]
    found += _differences(family, "state", state, entered)
    found += _differences(family, "observation", observation, seen)
    shown = family.observation_space()
    if not hasattr(observation, "shape"):
        raise Failure(
            f"{who}.reset_env returns an observation that is {_form(observation)}; return one array"
        )
    if observation.shape != tuple(shown.shape):
        found.append(
            f"{who}.reset_env returns an observation of {_form(observation)}, but the shape of"
            f" observation_space is {tuple(shown.shape)}; make them the same"
        )
    for name in ("get_obs", "is_truncated"):
        shapes(name, state, task)
    counted = shapes("table_action", action)
    if counted.shape or not jnp.issubdtype(counted.dtype, jnp.integer):
        found.append(f"{who}.table_action returns {_form(counted)}; return one integer")
    return found + _place_problems(family, shapes("concrete", state, task))


def _unpacked(
    family: TaskFamily, name: str, parts: tuple[str, ...], shapes: Callable, *arguments: Any
) -> Any:
    """Return the shapes of all that a function returns, which must be so many parts."""
    found = shapes(name, *arguments)
    if not isinstance(found, tuple) or len(found) != len(parts):
        count = f"{len(found)} values" if isinstance(found, tuple) else "one value"
        raise Failure(f"{_who(family)}.{name} returns {count}; return {', '.join(parts)}")
    return found


def _form(leaf: Any) -> str:
    """Return type and shape of an array, as JAX writes them, or of what kind something else is."""
    if not hasattr(leaf, "shape"):
        return f"a {type(leaf).__name__}"
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def _differences(family: TaskFamily, what: str, first: Any, later: Any) -> list[str]:
    """Return a message for each part of which `step_env` returns another type or shape than `reset_env`."""
    who = _who(family)
    if jax.tree.structure(first) != jax.tree.structure(later):
        return [f"{who}.step_env returns a {what} of other parts than reset_env; return the same ones"]
    return [
        f"{who}.step_env returns the {what}{jax.tree_util.keystr(path)} as {_form(new)}, but reset_env as"
        f" {_form(old)}; return both with one type and shape"
        for (path, old), new in zip(
            jax.tree_util.tree_leaves_with_path(first), jax.tree.leaves(later), strict=True
        )
        if _form(old) != _form(new)
    ]


def _place_problems(family: TaskFamily, at: Any) -> list[str]:
    """Return a message if what `concrete` returns does not fit the states that a family says it has."""
    who, bounds = _who(family), family.coordinate_bounds
    if not isinstance(at, ConcreteState):
        return [f"{who}.concrete returns {type(at).__name__}; return a ConcreteState"]
    if (at.index is not None) != (family.num_states > 0):
        has = "none" if at.index is None else "one"
        return [
            f"{who}.num_states is {family.num_states}, but concrete returns {has} as the index of a state;"
            " states that are integers need both, vectors neither"
        ]
    if at.index is not None and (at.index.shape or not jnp.issubdtype(at.index.dtype, jnp.integer)):
        return [f"{who}.concrete returns {_form(at.index)} as the index of a state; return one integer"]
    if at.coordinates is not None and at.coordinates.shape != (len(bounds),):
        return [
            f"{who}.concrete returns {_form(at.coordinates)} as coordinates, but coordinate_bounds has"
            f" {len(bounds)} pairs; give one of each for a coordinate"
        ]
    return []
