"""The command line `rl3`: reading the arguments, and exit codes."""

import contextlib
import dataclasses
import functools
import io
import itertools
import operator
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console
from tyro.conf import subcommand
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from rl3_jax import plugins
from rl3_jax.errors import ConfigError, NonFiniteError, unknown_choice
from rl3_jax.presets import PRESETS, choose, method_name, name_problems
from rl3_jax.run.commands import COMMANDS, Command, Plan, Train
from rl3_jax.run.compile_cache import compile_cache
from rl3_jax.run.flags import any_flags, flags_of
from rl3_jax.run.folder import read_config_file
from rl3_jax.run.signals import Interrupted
from rl3_jax.training.serialise import NAMED

HELP_PRESET = "mdp-h100-quick"
"""Its values are the ones that `rl3 train --help` shows without a preset."""

CONFIGURED: dict[str, type[Train]] = {"train": Train, "plan": Plan}
"""Commands whose arguments are the fields of a configuration."""

HELP = ("-h", "--help")

Option = list[str]
"""An argument that starts with dashes, and the value, or values of a list, that follow it."""

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
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
    except SystemExit:
        if _reader_gone():
            return 128 + signal.SIGPIPE
        raise
    return 128 + signal.SIGPIPE if _reader_gone() else code


def _reader_gone() -> bool:
    """Tell whether nobody reads the output any more, as after `| head`."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return True
    return False


def _drop_output() -> None:
    """Send the rest of the output nowhere, or Python would complain at its last flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
      ConfigError: listing every problem of the arguments; tyro has printed each value of the wrong type.
      SystemExit: after printing help (0), or tyro's message if that is all that is wrong (2).
    """
    arguments = arguments or ["--help"]
    _load_plugins(arguments)
    name = arguments[0]
    if name not in COMMANDS and not name.startswith("-"):
        raise ConfigError(unknown_choice("command", name, list(COMMANDS)))
    words, options = _split(arguments[1:])
    configured = name in CONFIGURED
    default, problems = _train_default(words, options) if configured else _train_default([HELP_PRESET], [])
    read = functools.partial(_read, default, [name, *words])
    if name not in COMMANDS or not set(arguments).isdisjoint(HELP):
        read(options)  # prints help, or that a command is missing
        raise SystemExit(2)
    flags = flags_of(COMMANDS[name], default.settings)
    # With an unknown name it is not known which arguments there are; those that no family has are wrong.
    problems += _unknown_arguments(options, any_flags() if problems else flags)
    options = [option for option in options if option[0] in _forms(flags)]
    result = read(options, quiet=True)
    mistyped = result is None
    if mistyped and read([]):
        options = [option for option in options if read([option])]
        result = read(options)
    if result is not None:
        command, left = result
        problems += [f"unexpected argument {text!r}; see `rl3 {name} --help`" for text in left]
        problems += getattr(command, "problems", list)()
    if problems:
        raise ConfigError(problems)
    if result is None or mistyped:
        raise SystemExit(2)
    return result[0]


def _load_plugins(arguments: list[str]) -> None:
    """Import the plugins that are installed, and those named by `--plugin`, also from this folder.

    Which names and arguments there are depends on them.
    """
    plugins.load_installed()
    if not any(text.startswith("--plugin") for text in arguments):
        return
    named = [values[0] for flag, *values in _split(arguments[1:])[1] if flag == "--plugin" and values]
    if "" not in sys.path:
        sys.path.append("")
    for module in itertools.chain.from_iterable(modules.split(",") for modules in named):
        plugins.load(module)


def _read(
    train: Train, words: list[str], options: list[Option], *, quiet: bool = False
) -> tuple[Command, list[str]] | None:
    """Return the command and the words that are too many; None if tyro refused, and said why.

    Raises:
      SystemExit: after printing help.
    """
    try:
        with REGISTRY, contextlib.redirect_stderr(io.StringIO()) if quiet else contextlib.nullcontext():
            return tyro.cli(
                _command_type(train),
                args=[*words, *itertools.chain(*options)],
                prog="rl3",
                description="Meta-reinforcement learning in JAX: RL³ and RL².",
                return_unknown_args=True,
            )
    except BrokenPipeError:
        _drop_output()
        raise SystemExit(128 + signal.SIGPIPE) from None
    except SystemExit as stop:
        if not stop.code:
            raise
        return None


def _command_type(train: Train) -> Any:
    """Return the union of all commands, of which some have the defaults of `train`."""
    shared = {field.name: getattr(train, field.name) for field in dataclasses.fields(train)}
    defaults = {name: kind(**shared) for name, kind in CONFIGURED.items()}
    types = [
        Annotated[kind, subcommand(name, default=defaults[name]) if name in defaults else subcommand(name)]
        for name, kind in COMMANDS.items()
    ]
    return functools.reduce(operator.or_, types)


def _split(arguments: list[str]) -> tuple[list[str], list[Option]]:
    """Return the arguments that stand alone, such as the preset, and the options, in any order typed."""
    words: list[str] = []
    options: list[Option] = []
    known = any_flags()
    switches = {form for flag, value in known.items() if isinstance(value, bool) for form in _forms([flag])}
    lists = {flag for flag, value in known.items() if isinstance(value, (list, tuple))}
    waiting = False  # for a value of the last option
    for text in arguments:
        if text.startswith("--") or text in HELP or (text.startswith("-") and not waiting):
            flag, equals, value = text.partition("=")
            options.append([flag.replace("_", "-"), value] if equals else [flag.replace("_", "-")])
            waiting = not equals and options[-1][0] not in {*switches, *HELP}
        elif waiting:
            options[-1].append(text)
            waiting = options[-1][0] in lists
        else:
            words.append(text)
    return words, options


def _train_default(words: list[str], options: list[Option]) -> tuple[Train, list[str]]:
    """Return `train` with the values of the preset or file, method, policy and learner that were typed.

    They decide which arguments there are and what their defaults are, so they are looked for before
    the rest is parsed.

    Returns:
      The defaults, and a message for each name that is not valid.
    """
    preset = words[0] if words else None
    typed = {option[0]: option[1] for option in options if len(option) > 1}
    names = {name: typed.get(f"--{name}") for name in ("method", "policy", "learner")}
    problems = name_problems(preset=preset, **names)
    config = PRESETS.get(preset or HELP_PRESET, PRESETS[HELP_PRESET])
    file = typed.get("--config")
    if preset is None and file is None:
        problems.append(f"name a preset, or give --config FILE; presets: {', '.join(PRESETS)}")
    if preset is not None and file is not None:
        problems.append(f"give either the preset {preset} or --config {file}, not both")
    if file is not None:
        try:
            config = read_config_file(Path(file))
        except ConfigError as error:
            problems += error.problems
    config = choose(
        config, **{what: None if name_problems(**{what: name}) else name for what, name in names.items()}
    )
    default = Train(
        preset=preset or "",
        settings=config,
        method=method_name(config),
        policy=config.policy.core.core,
        learner=config.learner.learner,
    )
    return default, problems


def _unknown_arguments(options: list[Option], flags: Iterable[str]) -> list[str]:
    """Return a message for each option that is not among the known ones."""
    found = []
    for flag in (option[0] for option in options if option[0] not in _forms(flags)):
        group = flag.rpartition(".")[0]
        near = [known for known in flags if known.rpartition(".")[0] == group] or list(flags)
        found.append(unknown_choice("argument", flag, near))
    return found


def _forms(flags: Iterable[str]) -> set[str]:
    """Return the ways to write some flags: a switch `--part.field` is also `--part.no-field`."""
    parts = [flag.removeprefix("--").rpartition(".") for flag in flags]
    return {*flags, *(f"--{group}{dot}no-{field}" for group, dot, field in parts)}


if __name__ == "__main__":
    sys.exit(main())
