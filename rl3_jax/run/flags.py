"""The optional arguments of the commands by name."""

import dataclasses
from typing import Any

from rl3_jax.object_rl import ABSTRACTIONS, LEARNERS
from rl3_jax.policies import CORES
from rl3_jax.presets import choose
from rl3_jax.run.commands import COMMANDS, Command
from rl3_jax.tasks import FAMILIES
from rl3_jax.training import TrainConfig
from rl3_jax.training.serialise import NAMED, to_dict

REGISTRY_KEYS = [key for key, _ in NAMED.values()]
"""What `to_dict` adds to the fields."""


def any_flags() -> dict[str, Any]:
    """Return the optional arguments of all commands, for every family, policy, learner and abstraction."""
    base = TrainConfig()
    configs = [dataclasses.replace(base, task=family()) for family in FAMILIES.values()]
    configs += [choose(base, method=None, policy=name, learner=None) for name in CORES]
    configs += [choose(base, method=None, policy=None, learner=name) for name in LEARNERS]
    configs += [dataclasses.replace(base, abstraction=abstraction()) for abstraction in ABSTRACTIONS.values()]
    return {
        flag: value
        for config in configs
        for command in COMMANDS.values()
        for flag, value in flags_of(command, config).items()
    }


def flags_of(command: type[Command], settings: TrainConfig) -> dict[str, Any]:
    """Return the names of all optional arguments of a command, with a value of each."""
    flags = {}
    for field in dataclasses.fields(command):
        if field.name == "settings":
            flags |= _setting_flags(to_dict(settings))
        elif field.default is not dataclasses.MISSING:  # the others are told by their position
            flags[f"--{field.name}"] = field.default
    return {flag.replace("_", "-"): value for flag, value in flags.items()}


def _setting_flags(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the arguments that stand for a configuration's fields."""
    flags = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            flags |= _setting_flags(value, f"{prefix}{name}.")
        elif name not in REGISTRY_KEYS:
            flags[f"--{prefix}{name}"] = value
    return flags
