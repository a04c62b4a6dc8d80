"""`TrainConfig` as plain data: the content of `config.json`, and back."""

import dataclasses
import inspect
import typing
from typing import Any, TypeVar

from rl3_jax import constraints, plugins
from rl3_jax.errors import ConfigError, problems_of, unknown_choice
from rl3_jax.object_rl import ABSTRACTIONS, LEARNERS, Abstraction, Learner
from rl3_jax.policies import CORES, Core
from rl3_jax.tasks import FAMILIES, TaskFamily
from rl3_jax.training.config import TrainConfig

NAMED: dict[type, tuple[str, dict[str, type]]] = {
    TaskFamily: ("family", FAMILIES),
    Learner: ("learner", LEARNERS),
    Abstraction: ("abstraction", ABSTRACTIONS),
    Core: ("core", CORES),
}
"""Interfaces whose implementations are stored by name: under which key, in which registry."""

Kind = TypeVar("Kind", bound=type[Any])


def register(kind: Kind) -> Kind:
    """Add a task family, learner, abstraction or core of one's own to those known by name; a decorator.

    The class names itself, e.g. `family: ClassVar[str] = "corridor"`. From then on it works like the
    package's own: in configurations, on the command line, in run folders and in agents.

    Raises:
      ConfigError: if it is no frozen dataclass that names itself so, its fields have no defaults, or its
        name is taken.
    """
    homes = [(key, classes) for key, classes in NAMED.values() if isinstance(getattr(kind, key, None), str)]
    if len(homes) != 1:
        keys = ", ".join(key for key, _ in NAMED.values())
        raise ConfigError(f"{kind.__qualname__} must name itself by exactly one class attribute of: {keys}")
    ((key, classes),) = homes
    name = getattr(kind, key)
    if "__dataclass_params__" not in vars(kind) or not vars(kind)["__dataclass_params__"].frozen:
        raise ConfigError(f"{kind.__qualname__} must be a dataclass with frozen=True")
    fields = dataclasses.fields(kind)
    if bare := [x.name for x in fields if x.default is x.default_factory is dataclasses.MISSING]:
        raise ConfigError(f"{kind.__qualname__} needs a default for each field; none has: {', '.join(bare)}")
    home = next(home for home, (other, _) in NAMED.items() if other == key)
    # Of a learner with other names the command line could not tell that it is one.
    if home is not TaskFamily and (unlike := _unlike(kind, home)):
        raise ConfigError(unlike)
    known = classes.get(name)
    if known is not None and not _runs_again(kind, known):
        raise ConfigError(f"{key} {name!r} is {known.__module__}.{known.__qualname__}; choose another name")
    classes[name] = kind
    return kind


def _unlike(kind: type, home: type) -> list[str]:
    """Return a message for each method whose arguments have other names than those of an interface."""
    found = []
    for name, method in vars(home).items():
        own = vars(kind).get(name)
        if name.startswith("_") or not inspect.isfunction(method) or not inspect.isfunction(own):
            continue
        given, expected = (list(inspect.signature(each).parameters) for each in (own, method))
        if given[: len(expected)] != expected:
            found.append(
                f"{kind.__qualname__}.{name} takes ({', '.join(given)}); let its arguments be called"
                f" ({', '.join(expected)}), as {home.__name__}.{name} has them"
            )
    return found


def _runs_again(kind: type, known: type) -> bool:
    """Whether a class is one that is known, of a user's module that runs twice, as in a notebook."""
    modules = (known.__module__, "__main__")
    same = kind.__qualname__ == known.__qualname__ and kind.__module__ in modules
    return same and not kind.__module__.startswith("rl3_jax.")


def to_dict(config: Any) -> dict[str, Any]:
    """Return a configuration as nested dicts of JSON values; a class goes by its registry name.

    E.g. `{"task": {"family": "mdp", "variation": "default", "states": 10, …}, …}`.
    """
    named = {
        key: getattr(config, key)
        for key, classes in NAMED.values()
        if any(isinstance(config, cls) for cls in classes.values())
    }
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            value = to_dict(value)
        named[field.name] = list(value) if isinstance(value, tuple) else value
    return named


def from_dict(data: Any, *, ignore: tuple[str, ...] = (), source: str = "") -> TrainConfig:
    """Return the configuration that `to_dict` gave; a field that is missing has its default.

    Args:
      data: what a JSON file held.
      ignore: keys at the top that are no concern of the configuration.
      source: where it comes from, to be named in each message.

    Raises:
      ConfigError: listing every unknown field, wrong type, unknown name and invalid value.
    """
    problems: list[str] = []
    if isinstance(data, dict):
        data = {key: value for key, value in data.items() if key not in ignore}
    config = _read(TrainConfig, data, "", TrainConfig(), problems)
    problems += constraints.problems(config)
    if problems:
        raise ConfigError([f"{source}: {problem}" if source else problem for problem in problems])
    return config


def config_problems(config: TrainConfig) -> list[str]:
    """Return a message for each problem of a configuration, wrong types included."""
    return problems_of(from_dict, to_dict(config))


def flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the fields of a result of `to_dict` by their dotted names."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return found


def differences(one: Any, other: Any, name: str = "") -> list[str]:
    """Return a line for each dotted field in which two results of `to_dict` differ."""
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return [] if one == other else [f"{name} is {one!r} against {other!r}"]
    return [
        line
        for key in sorted(one.keys() | other.keys())
        for line in differences(one.get(key), other.get(key), f"{name}.{key}".lstrip("."))
    ]


def _read(kind: Any, value: Any, name: str, default: Any, problems: list[str]) -> Any:
    """Convert JSON to the annotated type; `constraints` checks the values."""
    if kind in NAMED:
        return _read_named(kind, value, name, default, problems)
    if dataclasses.is_dataclass(kind):
        return _read_fields(kind, value, name, default, problems)
    if typing.get_origin(kind) is tuple and isinstance(value, (list, tuple)):
        return tuple(_read(typing.get_args(kind)[0], x, name, None, problems) for x in value)
    return float(value) if kind is float and type(value) is int else value


def _read_named(kind: type, value: Any, name: str, default: Any, problems: list[str]) -> Any:
    """Return an instance of the class that the value names."""
    key, classes = NAMED[kind]
    if not isinstance(value, dict) or key not in value:
        choices = ", ".join(sorted(classes))
        problems.append(f"{name} is {value!r}; it must be an object with the key {key!r}, one of: {choices}")
        return default
    fields = {field: content for field, content in value.items() if field != key}
    if value[key] not in tuple(classes):
        plugins.load_installed()
    if value[key] not in tuple(classes):
        unknown = unknown_choice(f"{name}.{key}", str(value[key]), list(classes))
        problems.append(
            f"{unknown}; if it is a plugin's, import that first (--plugin MODULE); if it is a class of your"
            " own, put @rl3_jax.register above it"
        )
        return default
    cls = classes[value[key]]
    return _read_fields(cls, fields, name, cls(), problems)


def _read_fields(cls: Any, value: Any, name: str, default: Any, problems: list[str]) -> Any:
    """Return a dataclass read field by field."""
    if not isinstance(value, dict):
        problems.append(f"{name or 'the configuration'} is {value!r}; it must be an object")
        return default
    prefix = f"{name}." if name else ""
    hints = typing.get_type_hints(cls)
    fields = [field.name for field in dataclasses.fields(cls)]
    problems += [unknown_choice("field", prefix + key, fields) for key in value if key not in fields]
    content = {
        field: _read(hints[field], value[field], prefix + field, getattr(default, field), problems)
        for field in fields
        if field in value
    }
    return dataclasses.replace(default, **content)
