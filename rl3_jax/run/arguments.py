"""What the arguments of several commands have in common."""

import dataclasses
import functools
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from rl3_jax.errors import ConfigError
from rl3_jax.run import hub
from rl3_jax.run.agent import LoadedAgent, agent_of, load_agent, named
from rl3_jax.run.shipped import shipped_folder


def one_of(choices: Any) -> str:
    """Return the help text of an argument with these choices."""
    return "one of: " + ", ".join(choices)


def optional(metavar: str, text: str) -> Any:
    """Return the description of an argument that may be left out, for a reason the text gives."""
    return arg(metavar=metavar, help=text, help_behavior_hint="")


JsonFile = Annotated[Path | None, optional("FILE", "write the result to this file, too")]
NumTasks = Annotated[int, arg(metavar="N", help="held-out tasks")]
AgentName = Annotated[
    str | None,
    optional("NAME", "in place of DIR an agent of rl3 list, or hf:OWNER/NAME of the Hugging Face hub"),
]
Seed = Annotated[int, arg(metavar="S", help="names the held-out tasks, the same for agents and baselines")]


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

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        return []

    def run(self) -> None:
        """Do what the command is for, with arguments that are valid."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnDevices(Shared):
    """Arguments of every command that trains on several devices, of one process or more."""

    devices: Annotated[
        int | None, optional("N", "how many share the trials of an iteration; as many as can, if not given")
    ] = None
    deterministic: Annotated[
        bool, arg(help="on GPUs, take operations that have the same result each time, at some cost in speed")
    ] = False
    coordinator: Annotated[
        str | None,
        optional("HOST:PORT", "of the first process, if several hosts train; auto where JAX finds out"),
    ] = None
    num_processes: Annotated[int | None, optional("N", "of the run, on all hosts")] = None
    process_id: Annotated[int | None, optional("I", "of this process; 0 is the first")] = None


@dataclasses.dataclass(frozen=True)
class OfAgent(Shared):
    """Arguments of every command that takes a trained agent."""

    dir: Annotated[Positional[Path | None], optional("DIR", "run folder")] = None
    agent: AgentName = None

    @functools.cached_property
    def source(self) -> str | Path | LoadedAgent:
        """The run folder, or an agent that has a name, of which nothing is written; looked for once.

        Raises a `ConfigError` if it is not clear which of them is meant, or there is no such agent.
        """
        if self.agent is None and self.dir is not None:
            return named(self.dir)
        if self.agent is None or self.dir is not None:
            raise ConfigError("name either a run folder or --agent NAME; `rl3 list` shows the agents")
        return load_agent(self.agent if hub.is_name(self.agent) else shipped_folder(self.agent))

    @functools.cached_property
    def loaded(self) -> LoadedAgent:
        """The agent, read once; a `ConfigError` if it cannot be read."""
        return agent_of(self.source)
