"""The task families by name."""

import dataclasses
from typing import Any

from rl3_jax.constraints import problems
from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.tasks.base import TaskFamily
from rl3_jax.tasks.classic_control import CartPoles, Pendulums
from rl3_jax.tasks.climbing import Acrobots, MountainCars
from rl3_jax.tasks.continuous import PointRobots, Reachers
from rl3_jax.tasks.frozen_lake import FrozenLakes
from rl3_jax.tasks.gridworld import Gridworld
from rl3_jax.tasks.mazes import FourRoomsTasks, MetaMazes
from rl3_jax.tasks.navix_rooms import NavixRooms
from rl3_jax.tasks.tabular import Bandit, RandomMdp
from rl3_jax.tasks.xland import XLandTasks

FAMILIES: dict[str, type[TaskFamily]] = {
    kind.family: kind
    for kind in (
        Bandit,
        RandomMdp,
        Gridworld,
        FrozenLakes,
        FourRoomsTasks,
        MetaMazes,
        PointRobots,
        Reachers,
        CartPoles,
        MountainCars,
        Acrobots,
        Pendulums,
        XLandTasks,
        NavixRooms,
    )
}


def make_family(name: str, **options: Any) -> TaskFamily:
    """Return the family of that name, configured by its fields, e.g. `make_family("bandit", num_arms=10)`.

    Raises:
      ConfigError: if the name is not valid, or listing every field, type and value that is not.
    """
    if name not in FAMILIES:
        raise ConfigError(unknown_choice("family", name, list(FAMILIES)))
    kind = FAMILIES[name]
    fields = [field.name for field in dataclasses.fields(kind)]
    found, valid = [], {}
    for option, value in options.items():
        if option not in fields:
            found.append(unknown_choice(f"field of family {name}", option, fields))
        else:
            is_tuple = isinstance(value, list) and isinstance(getattr(kind, option), tuple)
            valid[option] = tuple(value) if is_tuple else value
    family = kind(**valid)
    if found := found + problems(family):
        raise ConfigError(found)
    return family
