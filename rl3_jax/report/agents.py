"""Who was trained: runs that differ in their seed alone are one agent, with a name of its own."""

import dataclasses
import re
from collections.abc import Mapping, Sequence, Sized
from pathlib import Path
from typing import Any

from rl3_jax.errors import ConfigError

BESIDE_ALGORITHM = ("seed", "log", "run_id", "versions", "device")
"""Fields of `config.json` in which two runs of one algorithm may differ."""
SEED = re.compile(r"[-_. ]*(seed)?[-_. ]*\d+$")
"""How the name of a run folder ends that tells the seed."""

Result = Mapping[str, Any]
"""The content of a result file, or an entry of its `results`."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What is reported together: the run of one seed, or one result file.

    Attributes:
      place: its path, to tell the user.
      results: contents of its result files.
      name, config, metrics: of a run: its name, and the contents of `config.json` and `metrics.jsonl`.
    """

    place: str
    results: Sequence[Result]
    name: str = ""
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    metrics: Sequence[Mapping[str, Any]] = ()

    @property
    def algorithm(self) -> str:
        """What is equal for runs that differ in their seed alone."""
        return str([item for item in self.config.items() if item[0] not in BESIDE_ALGORITHM])

    def is_trained_in(self, header: Result) -> bool:
        """Tell whether the run was trained in the setting of a result file."""
        return all(self.config.get(field) == header[field] for field in ("task", "horizon"))

    def agent_key(self, result: Result) -> str:
        """Return what tells the agent of one of the results apart from others."""
        return self.algorithm if self.config else f"{self.place}: {result['results'][0]['name']}"


@dataclasses.dataclass(frozen=True)
class SeededAgent:
    """Runs of one algorithm, each of another seed, or a result file of an agent; names are unique."""

    name: str
    runs: Sequence[Source]


def in_seeds(seeds: Sized) -> str:
    """Return how many seeds there are, in words."""
    return "1 seed" if len(seeds) == 1 else f"{len(seeds)} seeds"


def label(name: str, seeds: Sized) -> str:
    """Return a name, with the number of seeds if there are several."""
    return name if len(seeds) == 1 else f"{name} ({in_seeds(seeds)})"


def agents_of(sources: Sequence[Source]) -> dict[str, SeededAgent]:
    """Return the agents of some sources by their `agent_key`, runs together that differ in their seed alone.

    Raises:
      ConfigError: if a seed of an algorithm is there twice.
    """
    groups: dict[str, list[tuple[str, Source]]] = {}
    problems = []
    for source in sources:
        if not source.config:
            for result in filter(is_of_agent, source.results):
                groups[source.agent_key(result)] = [(result["results"][0]["name"], source)]
            continue
        seed, members = source.config.get("seed"), groups.setdefault(source.algorithm, [])
        problems += [
            f"{source.place} has the configuration and the seed {seed} of {run.place};"
            " name one of them, or train another with --seed"
            for _, run in members
            if run.config.get("seed") == seed
        ]
        members.append((_run_name(source), source))
    if problems:
        raise ConfigError(problems)
    found: dict[str, SeededAgent] = {}
    short = {key: common_name([name for name, _ in members]) for key, members in groups.items()}
    below = {key: _below(short[key], [source for _, source in members]) for key, members in groups.items()}
    for key, members in groups.items():
        names, runs = zip(*members, strict=True)
        where = [source.place for source in runs]
        # The best first; the last is like no other's.
        apart = f"{' + '.join(dict.fromkeys(names))} of {' + '.join(where)}"
        choices = [short[key], " + ".join(names), common_name(where), apart]
        if _times(short, key) > 1 and _times(below, key) == 1:
            choices = [below[key]]
        taken = {agent.name for agent in found.values()}
        found[key] = SeededAgent(next(name for name in choices if name not in taken), runs)
    return found


def _run_name(run: Source) -> str:
    """Return the name of a run; that of the folder it lies in comes first where its own is the seed alone."""
    return run.name if SEED.sub("", run.name) else f"{Path(run.place).parent.name}-{run.name}".lstrip("-")


def _times(names: Mapping[str, str], key: str) -> int:
    """Return how many have the name of one."""
    return list(names.values()).count(names[key])


def _below(name: str, runs: Sequence[Source]) -> str:
    """Return the name of an agent below that of the folder in which all its runs lie, if it is one."""
    folders = {Path(run.place).parent.name for run in runs if run.config}
    return f"{folders.pop()}/{name}" if len(folders) == 1 else name


def common_name(names: Sequence[str]) -> str:
    """Return the names of runs without the seed at their ends: `rl3` for `rl3-seed0` and `rl3-seed1`."""
    plain = {SEED.sub("", name) for name in names}
    return plain.pop() if len(names) > 1 and len(plain) == 1 and "" not in plain else " + ".join(names)


def is_of_agent(result: Result) -> bool:
    """Tell whether a result file's first entry is of an agent: only those tell how long it had trained."""
    return "iteration" in result
