"""Who was trained: runs that differ in their seed alone are one agent, with a name of its own."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rl3_jax.errors import ConfigError

BESIDE_ALGORITHM = ("seed", "log", "run_id", "versions", "device")
"""Fields of `config.json` in which two runs of one algorithm may differ."""
SEED = re.compile(r"[-_. ]*(seed)?[-_. ]*\d+$")
"""How the name of a run folder ends that tells the seed."""


@dataclasses.dataclass(frozen=True)
class Source:
    """What is reported together: the run of one seed, or one result file.

    Attributes:
      place: its path, to tell the user.
      results: contents of its result files.
      name: of the run's agent; none if this is not a run.
      config: content of the run's `config.json`.
      metrics: lines of its `metrics.jsonl`.
    """

    place: str
    results: Sequence[Mapping[str, Any]]
    name: str = ""
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    metrics: Sequence[Mapping[str, Any]] = ()

    @property
    def algorithm(self) -> str:
        """What is equal for runs that differ in their seed alone."""
        return str([item for item in self.config.items() if item[0] not in BESIDE_ALGORITHM])

    def is_trained_in(self, header: Mapping[str, Any]) -> bool:
        """Tell whether the run was trained in the setting of a result file."""
        return [self.config.get(field) for field in ("task", "horizon")] == [
            header["task"],
            header["horizon"],
        ]

    def agent_key(self, result: Mapping[str, Any]) -> str:
        """Return what tells the agent of one of the results apart from others."""
        return self.algorithm if self.config else f"{self.place}: {result['results'][0]['name']}"


@dataclasses.dataclass(frozen=True)
class SeededAgent:
    """Runs of one algorithm, of which each has a seed of its own; or who is in a result file of another kind.

    Attributes:
      name: what the names of the runs have in common; no other agent has it.
      runs: of N seeds.
    """

    name: str
    runs: Sequence[Source]

    @property
    def label(self) -> str:
        """The name, with the number of seeds if there are several."""
        return self.name if len(self.runs) == 1 else f"{self.name} ({len(self.runs)} seeds)"


def agents_of(sources: Sequence[Source]) -> dict[str, SeededAgent]:
    """Return the agents of some sources by their `agent_key`, runs together that differ in their seed alone.

    Raises:
      ConfigError: if a seed of an algorithm is there twice.
    """
    groups: dict[str, list[Source]] = {}
    asked: dict[str, str] = {}
    for source in sources:
        if source.config:
            groups.setdefault(source.algorithm, []).append(source)
        for result in source.results:
            if is_of_agent(result) and not source.config:
                groups[source.agent_key(result)] = [source]
                asked[source.agent_key(result)] = result["results"][0]["name"]
    if problems := [problem for runs in groups.values() for problem in _repeated_seeds(runs)]:
        raise ConfigError(problems)
    found: dict[str, SeededAgent] = {}
    for key, runs in groups.items():
        taken = {agent.name for agent in found.values()}
        names = _names(runs, asked.get(key))
        found[key] = SeededAgent(next(name for name in names if name not in taken), runs)
    return found


def is_of_agent(result: Mapping[str, Any]) -> bool:
    """Tell whether a result file's first entry is of an agent: only those tell how long it had trained."""
    return "iteration" in result


def _names(runs: Sequence[Source], asked: str | None) -> Iterator[str]:
    """Yield names of an agent, the best first, the last one like no other's."""
    places = [run.place for run in runs]
    if asked is None:
        names = [run.name for run in runs]
        yield common_name(names)
        yield " + ".join(names)
    else:
        yield asked
    yield common_name(places)
    yield f"{asked or 'agent'} of {' + '.join(places)}"


def _repeated_seeds(runs: Sequence[Source]) -> list[str]:
    """Return a message for each seed of an algorithm that is there twice."""
    by_seed: dict[Any, str] = {}
    problems = []
    for run in runs:
        seed = run.config.get("seed")
        if seed in by_seed:
            problems.append(
                f"{run.place} has the configuration and the seed {seed} of {by_seed[seed]};"
                " name one of them, or train another with --seed"
            )
        by_seed[seed] = run.place
    return problems


def common_name(names: Sequence[str]) -> str:
    """Return the names of runs without the seed at their ends: `rl3` for `rl3-seed0` and `rl3-seed1`."""
    if len(names) == 1:
        return names[0]
    plain = {SEED.sub("", name) for name in names}
    return plain.pop() if len(plain) == 1 and "" not in plain else " + ".join(names)
