"""The task families by name."""

import dataclasses
from typing import Any

from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.tasks.bandit import Bandit
from rl3_jax.tasks.base import TaskFamily
from rl3_jax.tasks.mdp import RandomMdp

FAMILIES: dict[str, type[TaskFamily]] = {family.family: family for family in (Bandit, RandomMdp)}


def make_family(name: str, **options: Any) -> TaskFamily:
    """Return the family of that name, configured by its fields, e.g. `make_family("bandit", num_arms=10)`.

    Raises:
      ConfigError: if the name, a field or a value of one is not valid.
    """
    if name not in FAMILIES:
        raise ConfigError(unknown_choice("family", name, list(FAMILIES)))
    fields = [field.name for field in dataclasses.fields(FAMILIES[name])]
    unknown = [
        unknown_choice(f"field of family {name}", option, fields)
        for option in options
        if option not in fields
    ]
    if unknown:
        raise ConfigError(unknown)
    family = FAMILIES[name](**options)
    if found := family.problems():
        raise ConfigError(found)
    return family
