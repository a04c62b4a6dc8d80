"""The command line `rl3`: reading the arguments, and exit codes."""

import dataclasses
import functools
import itertools
import operator
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from tyro.conf import subcommand
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from rl3_jax.errors import ConfigError, NonFiniteError, unknown_choice
from rl3_jax.presets import PRESETS, choose, method_name, name_problems
from rl3_jax.run.commands import COMMANDS, Command, Train
from rl3_jax.run.folder import read_config_file
from rl3_jax.run.signals import Interrupted
from rl3_jax.training.serialise import NAMED, to_dict

HELP_PRESET = "mdp-h100-quick"
"""Its values are the ones that `rl3 train --help` shows without a preset."""

REGISTRY_KEYS = [key for key, _ in NAMED.values()]
"""What `to_dict` adds to the fields."""

REGISTRY = ConstructorRegistry()


@REGISTRY.struct_rule
def _by_default(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Tell tyro that a field of an interface has the arguments of the class that its default has."""
    if info.type not in NAMED or not dataclasses.is_dataclass(info.default):
        return None
    kind = Annotated[type(info.default), tyro.conf.arg(name="")]
    field = StructFieldSpec(name="value", type=kind, default=info.default)  # pyright: ignore[reportArgumentType]
    return StructConstructorSpec(instantiate=lambda value: value, fields=(field,))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 for a run that failed, 2 for a mistake in the arguments."""
    console = Console(stderr=True)
    try:
        command = parse(list(sys.argv[1:] if arguments is None else arguments))
        command.run()
    except ConfigError as error:
        for problem in error.problems:
            console.print("[red]error:[/red]", end=" ")
            console.print(problem, markup=False, highlight=False, soft_wrap=True)
        return 2
    except NonFiniteError as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    except Interrupted as stop:
        console.print(str(stop), markup=False, highlight=False, soft_wrap=True)
        return 128 + stop.signum
    except KeyboardInterrupt:
        return 130
    return 0


def parse(arguments: list[str]) -> Command:
    """Return the command that was typed, checked.

    Raises:
      ConfigError: listing every problem of the arguments.
      SystemExit: after printing help (0), or tyro's message on a value of the wrong type (2).
    """
    arguments = arguments or ["--help"]
    if not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        raise ConfigError(unknown_choice("command", arguments[0], list(COMMANDS)))
    default, problems = _train_default(arguments[1:] if arguments[0] == "train" else [HELP_PRESET])
    try:
        with REGISTRY:
            command, left = tyro.cli(
                _command_type(default),
                args=arguments,
                prog="rl3",
                description="Meta-reinforcement learning in JAX: RL³ and RL².",
                return_unknown_args=True,
            )
    except SystemExit as stop:
        if stop.code and problems:
            raise ConfigError(problems) from None
        raise
    # With an unknown preset the family is not known, nor what arguments it has.
    problems += [] if problems else _unknown_arguments(command, left)
    problems += getattr(command, "problems", list)()
    if problems:
        raise ConfigError(problems)
    return command


def _command_type(train: Train) -> Any:
    """Return the union of all commands, of which `train` has defaults."""
    types = [
        Annotated[kind, subcommand(name, default=train) if kind is Train else subcommand(name)]
        for name, kind in COMMANDS.items()
    ]
    return functools.reduce(operator.or_, types)


def _train_default(arguments: list[str]) -> tuple[Train, list[str]]:
    """Return `train` with the values of the preset or file, method, policy and learner that were typed.

    They decide which arguments there are and what their defaults are, so they are looked for before
    the rest is parsed.

    Returns:
      The defaults, and a message for each name that is not valid.
    """
    preset = arguments[0] if arguments and not arguments[0].startswith("-") else None
    names = {name: _typed(arguments, f"--{name}") for name in ("method", "policy", "learner")}
    problems = name_problems(preset=preset, **names)
    config = PRESETS.get(preset or HELP_PRESET, PRESETS[HELP_PRESET])
    file = _typed(arguments, "--config")
    if preset is None and file is None and not {"-h", "--help"} & set(arguments):
        problems.append(f"name a preset first, or give --config FILE; presets: {', '.join(PRESETS)}")
    if preset is not None and file is not None:
        problems.append(f"give either the preset {preset} or --config {file}, not both")
    if file is not None:
        try:
            config = read_config_file(Path(file))
        except ConfigError as error:
            problems += error.problems
    if not problems:
        config = choose(config, **names)
    default = Train(
        preset=preset or "",
        settings=config,
        method=method_name(config),
        policy=config.policy.core.core,
        learner=config.learner.learner,
    )
    return default, problems


def _typed(arguments: list[str], flag: str) -> str | None:
    """Return the last value that was given to a flag."""
    values = [after for before, after in itertools.pairwise(arguments) if before == flag]
    values += [text.partition("=")[2] for text in arguments if text.startswith(f"{flag}=")]
    return values[-1] if values else None


def _unknown_arguments(command: Command, left: list[str]) -> list[str]:
    """Return a message for each argument that the command does not have."""
    flags = _flags(command)
    found = []
    for before, text in zip(["", *left], left, strict=False):
        flag = text.partition("=")[0]
        group = flag.rpartition(".")[0]
        if flag.startswith("--"):
            near = [known for known in flags if known.rpartition(".")[0] == group] or flags
            found.append(unknown_choice("argument", flag, near))
        elif not before.startswith("--"):
            found.append(f"unexpected argument {text!r}; see `rl3 --help`")
    return found


def _flags(command: Command) -> list[str]:
    """Return the names of all optional arguments of a command."""
    flags = []
    for field in dataclasses.fields(command):
        if field.name == "settings":
            flags += _setting_flags(to_dict(getattr(command, field.name)), "")
        elif field.default is not dataclasses.MISSING:  # the others are told by their position
            flags.append(f"--{field.name}")
    return [flag.replace("_", "-") for flag in flags]


def _setting_flags(settings: dict[str, Any], prefix: str) -> list[str]:
    """Return the names of the arguments that stand for a configuration's fields."""
    flags = []
    for name, value in settings.items():
        if isinstance(value, dict):
            flags += _setting_flags(value, f"{prefix}{name}.")
        elif name not in REGISTRY_KEYS:
            flags.append(f"--{prefix}{name}")
    return flags


if __name__ == "__main__":
    sys.exit(main())
