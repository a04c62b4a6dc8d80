"""What `rl3` says of itself: an overview of its commands, and its version, before JAX is imported."""

import contextlib
import dataclasses
import importlib.metadata
import platform
from typing import Annotated, Any, Union

import tyro
from tyro.conf import subcommand

DESCRIPTION = """Meta-reinforcement learning in JAX: RL³ and RL².

A first agent: `rl3 train mdp-h100-quick`, then `rl3 evaluate` and `rl3 watch` with its folder.

`rl3 COMMAND --help` says more of a command, `rl3 --version` which versions are there, and
`rl3 --tyro-print-completion bash` (zsh, tcsh) prints what completes commands and options in a shell."""
SUMMARIES = {
    "list": "Task families, presets, methods, policies, learners, abstractions and trained agents.",
    "train": "Meta-train an agent.",
    "plan": "Memory and time that training would take.",
    "sweep": "Train candidates that differ in some fields, and compare them.",
    "resume": "Go on with a run that was stopped, or extend it.",
    "evaluate": "Evaluate an agent on held-out tasks.",
    "baselines": "Evaluate classic algorithms on the same tasks.",
    "compare": "Runs beside each other and beside the baselines: a figure and a table.",
    "describe": "Statistics of the tasks of a family.",
    "report": "A page of tables and figures from result files.",
    "watch": "Draw a trial of an agent as an animation.",
    "export": "Write one step of an agent as StableHLO.",
    "push": "Put an agent with its card onto the Hugging Face hub.",
    "doctor": "What runs compute with here, and a self-test.",
}
"""By command, in the order of the help."""


def print_version() -> int:
    """Print the versions of this package, JAX and Python; returns the exit code."""
    own, jax = (importlib.metadata.version(name) for name in ("rl3-jax", "jax"))
    print(f"rl3_jax {own} (jax {jax}, Python {platform.python_version()})")
    return 0


def print_overview() -> int:
    """Print the help of `rl3`, one line for each command; returns the exit code."""
    commands: Any = Union[  # noqa: UP007
        tuple(
            Annotated[dataclasses.make_dataclass(name, []), subcommand(name, description=summary)]
            for name, summary in SUMMARIES.items()
        )
    ]
    with contextlib.suppress(SystemExit):
        tyro.cli(commands, args=["--help"], prog="rl3", description=DESCRIPTION)
    return 0
