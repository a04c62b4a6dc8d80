"""The command line `rl3`: reading the arguments, and exit codes."""

import dataclasses
import functools
import itertools
import operator
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from tyro.conf import subcommand
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from rl3_jax import plugins
from rl3_jax.errors import ConfigError, NonFiniteError
from rl3_jax.presets import PRESETS, choose, method_name, name_problems
from rl3_jax.run.commands import COMMANDS, Command, Plan, Train
from rl3_jax.run.compile_cache import compile_cache
from rl3_jax.run.folder import config_file_problems, read_config_file
from rl3_jax.run.signals import Interrupted
from rl3_jax.training.serialise import NAMED

HELP_PRESET = "mdp-h100-quick"
"""Its values are the ones that `rl3 train --help` shows without a preset."""

CONFIGURED: dict[str, type[Train]] = {"train": Train, "plan": Plan}
"""Commands whose arguments are the fields of a configuration."""

REGISTRY = ConstructorRegistry()


@REGISTRY.struct_rule
def _by_default(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Tell tyro that a field of an interface has the arguments of the class that its default has."""
    if info.type not in NAMED or not dataclasses.is_dataclass(info.default):
        return None
    kind: Any = Annotated[type(info.default), tyro.conf.arg(name="")]
    field = StructFieldSpec(name="value", type=kind, default=info.default)
    return StructConstructorSpec(instantiate=lambda value: value, fields=(field,))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0, 1 for a run that failed, 2 for a mistake in the arguments."""
    try:
        try:
            return _run(list(sys.argv[1:] if arguments is None else arguments))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Nobody reads any more, as after `| head`; Python's own last flush then has nothing to complain of.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE


def _run(arguments: list[str]) -> int:
    """Run a command; returns the exit code."""
    console = Console(stderr=True)
    try:
        command = parse(arguments)
        with compile_cache(command.compile_cache):
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
      ConfigError: listing every problem of arguments that tyro could read.
      SystemExit: after tyro's help (0), or its message about an argument that it cannot read (2).
    """
    arguments = arguments or ["--help"]
    _load_plugins(arguments)
    preset = next((text for text in arguments[1:] if text in PRESETS), None)
    command = _read(arguments, preset)
    if isinstance(command, Train) and command.preset != preset and command.preset in PRESETS:
        command = _read(arguments, command.preset)  # the first such name was the value of an option
    if problems := getattr(command, "problems", list)():
        raise ConfigError(problems)
    return command


def _read(arguments: list[str], preset: str | None) -> Command:
    """Return what tyro makes of the arguments if those of `train` have a preset's defaults."""
    train = _train_default(arguments, preset)
    shared = {field.name: getattr(train, field.name) for field in dataclasses.fields(train)}
    defaults = {name: kind(**shared) for name, kind in CONFIGURED.items()}
    types = [
        Annotated[kind, subcommand(name, default=defaults[name]) if name in defaults else subcommand(name)]
        for name, kind in COMMANDS.items()
    ]
    commands: Any = functools.reduce(operator.or_, types)
    description = "Meta-reinforcement learning in JAX: RL³ and RL²."
    with REGISTRY:
        return tyro.cli(commands, args=arguments, prog="rl3", description=description)


def _train_default(arguments: list[str], preset: str | None) -> Train:
    """Return `train` with the values of the preset or file, method, policy and learner that were typed.

    They decide which arguments there are and what their defaults are, so they are looked for before the rest
    is read. Names that are not valid, or a file that cannot be read, are left to `Train.problems`.
    """
    config = PRESETS.get(preset or HELP_PRESET, PRESETS[HELP_PRESET])
    if (file := _typed(arguments, "--config")) and not config_file_problems(file):
        config = read_config_file(Path(file))
    names = {what: _typed(arguments, f"--{what}") for what in ("method", "policy", "learner")}
    config = choose(
        config, **{what: None if name_problems(**{what: name}) else name for what, name in names.items()}
    )
    return Train(
        preset=preset or "",
        settings=config,
        method=method_name(config),
        policy=config.policy.core.core,
        learner=config.learner.learner,
    )


def _load_plugins(arguments: list[str]) -> None:
    """Import the plugins that are installed, and those named by `--plugin`, also from this folder.

    Which names and arguments there are depends on them.
    """
    plugins.load_installed()
    if modules := _typed(arguments, "--plugin"):
        if "" not in sys.path:
            sys.path.append("")
        for module in modules.split(","):
            plugins.load(module)


def _typed(arguments: list[str], option: str) -> str | None:
    """Return the value that was typed for an option, or None."""
    for text, following in itertools.pairwise([*arguments, ""]):
        name, equals, value = text.partition("=")
        if name == option:
            return value if equals else following
    return None


if __name__ == "__main__":
    sys.exit(main())
