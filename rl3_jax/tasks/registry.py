"""The task families by name."""

import dataclasses
from typing import Any

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
      ConfigError: if the name is not valid, or listing every field and value that is not.
    """
    if name not in FAMILIES:
        raise ConfigError(unknown_choice("family", name, list(FAMILIES)))
    fields = [field.name for field in dataclasses.fields(FAMILIES[name])]
    found = [
        unknown_choice(f"field of family {name}", option, fields)
        for option in options
        if option not in fields
    ]
    family = FAMILIES[name](**{option: value for option, value in options.items() if option in fields})
    found += family.problems()
    if found:
        raise ConfigError(found)
    return family
