"""The command line `rl3`: reading the arguments, and exit codes."""

import argparse
import contextlib
import dataclasses
import io
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Union

import jax
import tyro
from rich.console import Console
from tyro.conf import subcommand
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from rl3_jax import plugins
from rl3_jax.errors import ConfigError, NonFiniteError, problems_of
from rl3_jax.presets import CHOSEN_BY_NAME, PRESETS, choose, name_problems, names_of
from rl3_jax.run import hosts
from rl3_jax.run.arguments import Shared
from rl3_jax.run.commands import COMMANDS, Configured
from rl3_jax.run.folder import read_config_file
from rl3_jax.run.program_cache import compile_cache
from rl3_jax.run.signals import Interrupted, ending_soon
from rl3_jax.streams import printing, tell
from rl3_jax.training.serialise import NAMED
from rl3_jax.trial import METHODS

HELP_PRESET = "mdp-h100-quick"
"""Its values are the ones that `rl3 train --help` shows without a preset."""

CONFIGURED = {name: kind for name, kind in COMMANDS.items() if issubclass(kind, Configured)}
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
    """Run a command; returns the exit code: 0, 1 if a run or a disk failed, 2 for a mistake."""
    return printing(lambda: _run(list(sys.argv[1:] if arguments is None else arguments)))


def _run(arguments: list[str]) -> int:
    try:
        command = parse(arguments)
        with ending_soon(), compile_cache(command.compile_cache):
            command.run()
    except ConfigError as error:
        for problem in error.problems:
            tell(problem)
        return 2
    except NonFiniteError as error:
        tell(str(error))
        return 1
    except Interrupted as stop:
        tell(str(stop), error=False)
        return 128 + stop.signum
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if hosts.alone():
            raise
        if not _is_of_the_runtime(error) and not isinstance(error, OSError):
            Console(stderr=True).print_exception()
        reason = str(error).partition("\n")[0]
        tell(f"stopped: {reason}. If another process was lost, rl3 resume goes on from the last checkpoint")
        os._exit(1)  # at a usual end, JAX would wait for the process that is lost
    return 0


def _is_of_the_runtime(error: Exception) -> bool:
    """Whether XLA found that something failed; of its errors JAX makes a ValueError at times."""
    return isinstance(error, jax.errors.JaxRuntimeError) or bool(re.match(r"[A-Z_]+: ", str(error)))


def parse(arguments: list[str]) -> Shared:
    """Return the command that was typed, checked.

    Raises:
      ConfigError: listing every problem of arguments that tyro could read, or the names that it could not
        read the rest for.
      SystemExit: after tyro's help (0), or its message about an argument that it cannot read (2).
    """
    arguments = arguments or ["--help"]
    with hosts.together():
        _load_plugins(arguments)
        command = _read(arguments)
        if problems := command.problems():
            raise ConfigError(problems)
    return command


def _read(arguments: list[str]) -> Shared:
    """Return what tyro makes of the arguments, those of `train` with the defaults of the preset in them.

    A preset's name may also be the value of an option: the one is right that is then read as the preset.
    """
    if arguments[0] not in CONFIGURED:
        return _read_with(arguments, None)
    candidates = [text for text in dict.fromkeys(arguments[1:]) if text in PRESETS]
    for preset in (*candidates, None):
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                command = _read_with(arguments, preset)
        except SystemExit as stop:
            if not stop.code:  # after help
                raise
        else:
            if preset is None or getattr(command, "preset", None) == preset:
                return command
    # Which arguments there are depends on these names, so they come first.
    word = arguments[1] if len(arguments) > 1 and not arguments[1].startswith("-") else None
    names, file, _ = _typed(arguments)
    problems = name_problems(preset=word, **names)
    if file is not None:
        problems += problems_of(read_config_file, file)
    if problems:
        raise ConfigError(problems)
    return _read_with(arguments, candidates[0] if candidates else None)


def _read_with(arguments: list[str], preset: str | None) -> Shared:
    """Return what tyro makes of the arguments if those of `train` have a preset's defaults.

    The file and the names of parts that were typed are looked for before: they decide which arguments there
    are, and their defaults. Those that are not valid `Configured.naming_problems` reports.
    """
    names, file, _ = _typed(arguments)
    config = PRESETS[preset or HELP_PRESET]
    if file is not None and not problems_of(read_config_file, file):
        config = read_config_file(file)
    valid = {what: None if name_problems(**{what: name}) else name for what, name in names.items()}
    config = choose(config, **valid)
    chosen: dict[str, Any] = names_of(config)
    if chosen["method"] not in METHODS:
        chosen["method"] = ""
    defaults = {name: kind(preset="", settings=config, **chosen) for name, kind in CONFIGURED.items()}
    typed, *rest = arguments
    with REGISTRY:
        # Of the command alone that was typed, so that what tyro proposes for a wrong option is of that one.
        if typed in COMMANDS:
            kind, default = COMMANDS[typed], defaults.get(typed, tyro.MISSING_NONPROP)
            command: Any = tyro.cli(kind, args=rest, prog=f"rl3 {typed}", default=default)
            return command
        commands: Any = Union[  # noqa: UP007
            tuple(
                Annotated[kind, subcommand(name, default=defaults.get(name, tyro.MISSING_NONPROP))]
                for name, kind in COMMANDS.items()
            )
        ]
        description = "Meta-reinforcement learning in JAX: RL³ and RL²."
        return tyro.cli(commands, args=arguments, prog="rl3", description=description)


def _load_plugins(arguments: list[str]) -> None:
    """Import the plugins that are installed, and those named by `--plugin`, also from this folder.

    Which names and arguments there are depends on them.
    """
    plugins.load_installed()
    *_, modules = _typed(arguments)
    if modules and "" not in sys.path:
        sys.path.append("")
    plugins.named[:] = modules
    for module in modules:
        plugins.load(module)


def _typed(arguments: list[str]) -> tuple[dict[str, str | None], Path | None, list[str]]:
    """Return the names of parts that were typed, each as typed last; the file; the plugins."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for name in (*CHOSEN_BY_NAME, "config"):
        parser.add_argument(f"--{name}", nargs="?")
    parser.add_argument("--plugin", nargs="?", action="append", default=[])
    found = vars(parser.parse_known_args([text for text in arguments if text != "--"])[0])
    modules = [module for text in found["plugin"] if text is not None for module in text.split(",")]
    file = Path(found["config"]) if found["config"] else None
    return {name: found[name] for name in CHOSEN_BY_NAME}, file, modules
