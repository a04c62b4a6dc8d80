"""What the arguments of several commands have in common."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from rl3_jax.run.files import write_atomically, writing_problems
from rl3_jax.run.tables import print_result


def one_of(choices: Any) -> str:
    """Return the help text of an argument with these choices."""
    return "one of: " + ", ".join(choices)


def optional(metavar: str, text: str) -> Any:
    """Return the description of an argument that may be left out, for a reason the text gives."""
    return arg(metavar=metavar, help=text, help_behavior_hint="")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shared:
    """Arguments of every command."""

    compile_cache: Annotated[
        bool, arg(help="keep compiled programs on disk for the next start, in ~/.cache/rl3_jax")
    ] = True
    plugin: Annotated[
        str | None,
        optional(
            "MODULE", "of yours, imported first: it adds families, cores, learners or presets; A,B for two"
        ),
    ] = None


RunDir = Annotated[Positional[Path], arg(metavar="DIR", help="run folder")]
JsonFile = Annotated[Path | None, optional("FILE", "write the result to this file, too")]
NumTasks = Annotated[int, arg(metavar="N", help="held-out tasks")]
Seed = Annotated[int, arg(metavar="S", help="names the held-out tasks, the same for agents and baselines")]


def json_problems(path: Path | None) -> list[str]:
    """Return a message if a result file cannot be written."""
    if path is None:
        return []
    return [f"cannot write {path}: it is a folder"] if path.is_dir() else writing_problems(path)


def show(result: dict[str, Any], path: Path | None) -> None:
    """Print a result file's content as a table, and write it if asked to."""
    print_result(result)
    write_json(result, path)


def write_json(result: Any, path: Path | None) -> None:
    """Write a result as JSON, if asked to."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, (json.dumps(result) + "\n").encode())
