"""The task families by name."""

import dataclasses
from typing import Any

from rl3_jax.constraints import problems
from rl3_jax.errors import ConfigError, unknown_choice
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
    fields = [field.name for field in dataclasses.fields(cls)]
    unknown = [option for option in options if option not in fields]
    found = [unknown_choice(f"field of family {name}", option, fields) for option in unknown]
    valid: dict[str, Any] = {
        option: tuple(value) if isinstance(value, list) and isinstance(getattr(cls, option), tuple) else value
        for option, value in options.items()
        if option in fields
    }
    family = cls(**valid)
    if found := found + problems(family):
        raise ConfigError(found)
    return family
