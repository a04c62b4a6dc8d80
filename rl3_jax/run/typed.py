"""What to type for a configuration: the arguments with which `rl3 train` makes it of a preset."""

from typing import Any

from rl3_jax.presets import PRESETS, choose, names_of
from rl3_jax.training import TrainConfig, serialise

CLASSES = tuple(key for key, _ in serialise.NAMED.values())
"""Fields of a configuration's dict that name a class."""


def train_arguments(config: TrainConfig) -> list[str] | None:
    """Return the fewest arguments of `rl3 train` for a configuration, its seed aside; None if there are none.

    There are none where no preset has its task family, or a class that no name chooses.
    """
    found = (_of_preset(preset, config) for preset in PRESETS)
    return min((arguments for arguments in found if arguments is not None), key=len, default=None)


def _of_preset(preset: str, config: TrainConfig) -> list[str] | None:
    """Return the arguments that make a preset the configuration, or None if none do."""
    base = PRESETS[preset]
    wanted, given = names_of(config), names_of(base)
    names = {what: None if wanted[what] in ("custom", given[what]) else wanted[what] for what in wanted}
    # Method and learner bring theirs.
    brought = choose(base, **names | {"abstraction": None}).abstraction.abstraction
    names["abstraction"] = None if brought == wanted["abstraction"] else wanted["abstraction"]
    has, wants = (serialise.flat(serialise.to_dict(x)) for x in (choose(base, **names), config))
    changed = [field for field in wants if field != "seed" and wants[field] != has.get(field)]
    if has.keys() != wants.keys() or any(field.split(".")[-1] in CLASSES for field in changed):
        return None
    named = [text for what, name in names.items() if name is not None for text in (f"--{what}", name)]
    return [preset, *named, *(text for field in changed for text in _argument(field, wants[field]))]


def _argument(field: str, value: Any) -> list[str]:
    """Return a field's argument as the command line has it."""
    *parts, last = field.replace("_", "-").split(".")
    if isinstance(value, bool):
        return ["--" + ".".join([*parts, last if value else f"no-{last}"])]
    values = value if isinstance(value, list) else [value]
    return ["--" + ".".join([*parts, last]), *map(str, values)]
