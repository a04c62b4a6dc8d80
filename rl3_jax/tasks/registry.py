"""The task families by name."""

import dataclasses
import typing
from typing import Any

from rl3_jax.errors import ConfigError, unknown_choice, wrong_scalar
from rl3_jax.tasks.bandit import Bandit
from rl3_jax.tasks.base import TaskFamily
from rl3_jax.tasks.four_rooms import FourRoomsTasks
from rl3_jax.tasks.frozen_lake import FrozenLakes
from rl3_jax.tasks.gridworld import Gridworld
from rl3_jax.tasks.mdp import RandomMdp
from rl3_jax.tasks.meta_maze import MetaMazes
from rl3_jax.tasks.point_robot import PointRobots
from rl3_jax.tasks.reacher import Reachers

FAMILIES: dict[str, type[TaskFamily]] = {
    family.family: family
    for family in (
        Bandit,
        RandomMdp,
        Gridworld,
        FrozenLakes,
        FourRoomsTasks,
        MetaMazes,
        PointRobots,
        Reachers,
    )
}


def make_family(name: str, **options: Any) -> TaskFamily:
    """Return the family of that name, configured by its fields, e.g. `make_family("bandit", num_arms=10)`.

    Raises:
      ConfigError: if the name is not valid, or listing every field, type and value that is not.
    """
    if name not in FAMILIES:
        raise ConfigError(unknown_choice("family", name, list(FAMILIES)))
    cls = FAMILIES[name]
    kinds, fields = typing.get_type_hints(cls), [field.name for field in dataclasses.fields(cls)]
    found, valid = [], {}
    for option, value in options.items():
        if option not in fields:
            found.append(unknown_choice(f"field of family {name}", option, fields))
        elif message := _wrong_type(kinds[option], value):
            found.append(f"{option} is {value!r}; {message}")
        else:
            valid[option] = tuple(value) if isinstance(value, list) else value
    family = cls(**valid)
    found += family.problems()
    if found:
        raise ConfigError(found)
    return family


def _wrong_type(kind: Any, value: Any) -> str:
    """Return what is wrong with the type of a field's value, or nothing."""
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, (list, tuple)):
            return "it must be a list"
        element = typing.get_args(kind)[0]
        return next((f"in it, {message}" for x in value if (message := _wrong_type(element, x))), "")
    return wrong_scalar(kind, value) if kind in (bool, int, float, str) else ""
