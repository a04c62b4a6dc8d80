"""Bringing results together: runs that differ in their seed alone, and results on the same tasks."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from rl3_jax.errors import ConfigError
from rl3_jax.report.results import mismatches

BESIDE_ALGORITHM = ("seed", "log", "run_id", "versions", "device")
"""Fields of `config.json` in which two runs of one algorithm may differ."""
OF_AN_AGENT = ("results", "differences", "iteration", "greedy")
"""Fields of a result file that are not of the setting."""
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
        if not self.config:
            return self.place
        return str([item for item in self.config.items() if item[0] not in BESIDE_ALGORITHM])

    def is_trained_in(self, header: Mapping[str, Any]) -> bool:
        """Tell whether the run was trained in the setting of a result file."""
        return [self.config.get(field) for field in ("task", "horizon")] == [
            header["task"],
            header["horizon"],
        ]


Member = tuple[Source, Mapping[str, Any]]
"""The content of a result file, and where it comes from."""


@dataclasses.dataclass(frozen=True)
class Agent:
    """Runs of one algorithm, of which each has a seed of its own.

    Attributes:
      name: what the names of the runs have in common.
      runs: of N seeds.
    """

    name: str
    runs: Sequence[Source]


@dataclasses.dataclass(frozen=True)
class Entry:
    """What an agent or a baseline earned in one setting.

    Attributes:
      name: its name.
      results: entries of result files, one a seed.
      is_agent: whether it was trained.
      is_trained_here: whether it was trained in this very setting.
    """

    name: str
    results: Sequence[Mapping[str, Any]]
    is_agent: bool = False
    is_trained_here: bool = False

    @property
    def label(self) -> str:
        """The name, with the number of seeds if there are several."""
        return self.name if len(self.results) == 1 else f"{self.name} ({self.seeds})"

    @property
    def seeds(self) -> str:
        """How many seeds there are, in words."""
        return "1 seed" if len(self.results) == 1 else f"{len(self.results)} seeds"

    @property
    def returns(self) -> Float[np.ndarray, "N B"]:
        """Return of each seed on each task."""
        return np.asarray([result["returns"] for result in self.results], dtype=float)

    @property
    def mean_return(self) -> float:
        """Mean over seeds and tasks."""
        return float(np.mean([result["mean_return"] for result in self.results]))


@dataclasses.dataclass(frozen=True)
class Setting:
    """All entries that met the same tasks in trials of the same length.

    Attributes:
      header: the fields of a result file that they share.
      entries: agents first, then baselines.
    """

    header: Mapping[str, Any]
    entries: Sequence[Entry]

    @property
    def agents(self) -> list[Entry]:
        """What was trained."""
        return [entry for entry in self.entries if entry.is_agent]

    @property
    def baselines(self) -> list[Entry]:
        """What was not."""
        return [entry for entry in self.entries if not entry.is_agent]


def agents_of(sources: Sequence[Source]) -> list[Agent]:
    """Return the runs among some sources, those together that differ in their seed alone.

    Raises:
      ConfigError: if a seed of an algorithm is there twice.
    """
    groups: dict[str, list[Source]] = {}
    for source in sources:
        if source.config:
            groups.setdefault(source.algorithm, []).append(source)
    problems = []
    for runs in groups.values():
        by_seed: dict[Any, str] = {}
        for run in runs:
            seed = run.config.get("seed")
            if seed in by_seed:
                problems.append(
                    f"{run.place} has the configuration and the seed {seed} of {by_seed[seed]};"
                    " name one of them, or train another with --seed"
                )
            by_seed[seed] = run.place
    if problems:
        raise ConfigError(problems)
    return [Agent(common_name([run.name for run in runs]), runs) for runs in groups.values()]


def common_name(names: Sequence[str]) -> str:
    """Return the names of runs without the seed at their ends: `rl3` for `rl3-seed0` and `rl3-seed1`."""
    if len(names) == 1:
        return names[0]
    plain = {SEED.sub("", name) for name in names}
    return plain.pop() if len(plain) == 1 and "" not in plain else " + ".join(names)


def settings_of(sources: Sequence[Source]) -> list[Setting]:
    """Return one setting for each family, variation, sizes and horizon, with all that was measured there.

    Of entries with the same name and returns one is kept, as baselines stand beside each run.

    Raises:
      ConfigError: if results of one setting are not on the same tasks, the seeds of an agent were evaluated
        after different numbers of iterations, or one is there twice.
    """
    agent_of = {run.place: agent for agent in agents_of(sources) for run in agent.runs}
    groups: dict[str, list[Member]] = {}
    for source in sources:
        for result in source.results:
            setting = str([result[field] for field in ("family", "variation", "task", "horizon")])
            groups.setdefault(setting, []).append((source, result))
    problems = []
    for members in groups.values():
        problems += mismatches([(source.place, result) for source, result in members])
    if problems:
        raise ConfigError(problems)
    found = [_setting(members, agent_of) for members in groups.values()]
    return sorted(found, key=lambda setting: _order(setting.header))


def _setting(members: Sequence[Member], agent_of: Mapping[str, Agent]) -> Setting:
    """Return what was measured in one setting.

    Raises:
      ConfigError: if the seeds of an agent were evaluated after different numbers of iterations.
    """
    header = {name: value for name, value in members[0][1].items() if name not in OF_AN_AGENT}
    agents: dict[str, list[Member]] = {}
    baselines: dict[tuple, Mapping[str, Any]] = {}
    for source, result in members:
        others = list(result["results"])
        if "iteration" in result:
            greedy = " (greedy)" if result.get("greedy") and source.config else ""
            name = agent_of[source.place].name if source.config else others[0]["name"]
            agents.setdefault(name + greedy, []).append((source, result))
            others = others[1:]
        for entry in others:
            baselines.setdefault((entry["name"], tuple(entry["returns"])), entry)
    if problems := [problem for name, runs in agents.items() for problem in _unequal(name, runs)]:
        raise ConfigError(problems)
    entries = [
        Entry(name, [result["results"][0] for _, result in runs], True, runs[0][0].is_trained_in(header))
        for name, runs in agents.items()
    ]
    return Setting(header, entries + [Entry(entry["name"], [entry]) for entry in baselines.values()])


def _unequal(name: str, runs: Sequence[Member]) -> list[str]:
    """Return a message if an agent's seeds had not trained equally long when they were evaluated."""
    iterations = {source.place: result["iteration"] for source, result in runs}
    if len(set(iterations.values())) == 1:
        return []
    found = ", ".join(f"{place} after {number}" for place, number in iterations.items())
    return [
        f"seeds of {name} were evaluated after different numbers of iterations ({found});"
        " train them equally long with `rl3 resume`, and evaluate them again"
    ]


def _order(header: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what settings are sorted by; sizes of a task are numbers."""
    sizes = [value for value in header["task"].values() if isinstance(value, int | float)]
    return header["family"], header["variation"], header["horizon"], sizes, str(header["task"])
