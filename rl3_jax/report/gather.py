"""Bringing results on the same tasks together (design, section 8): agents of several seeds, and baselines."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from rl3_jax.errors import ConfigError
from rl3_jax.report import statistics
from rl3_jax.report.agents import Result, SeededAgent, Source, agents_of, is_of_agent, label
from rl3_jax.report.mismatches import Member, mismatches, sizes_of

OF_AN_AGENT = ("results", "differences", "iteration", "greedy")
"""Fields of a result file that are not of the setting."""
ROUNDING = 1e-3
"""By how much the returns of two results may differ that count as the same; files have four decimals."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """What an agent or a baseline earned in one setting: entries of result files, one a seed.

    Attributes:
      name: unique among the entries of a setting.
      results: one a seed.
      is_agent: whether it is an agent's.
      is_trained_here: whether it was trained in this very setting; None if that is not known.
      agent: its agent, with the runs that `results` are of.
    """

    name: str
    results: Sequence[Result]
    is_agent: bool = False
    is_trained_here: bool | None = None
    agent: SeededAgent | None = None

    @property
    def label(self) -> str:
        """The name, with the number of seeds if there are several."""
        return label(self.name, self.results)

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
    """All entries on the same tasks, in trials of the same length; `header` is what their files share."""

    header: Result
    agents: Sequence[Entry]
    baselines: Sequence[Entry]
    notes: Sequence[str] = ()

    @property
    def title(self) -> str:
        """What was measured, e.g. `mdp, H = 100`; variations other than the base one are named."""
        variation = "" if self.header["variation"] == "default" else f" ({self.header['variation']})"
        return f"{self.header['family']}{variation}, H = {self.header['horizon']}"

    @property
    def sizes(self) -> list[str]:
        """The sizes of the family, e.g. `num_arms = 5`."""
        return list(sizes_of(self.header).values())

    @property
    def ranked(self) -> list[Entry]:
        """All entries, the best first."""
        return sorted([*self.agents, *self.baselines], key=lambda entry: -entry.mean_return)

    @property
    def compares(self) -> bool:
        """Whether there is an agent, and another entry beside it."""
        return bool(self.agents) and len(self.agents) + len(self.baselines) > 1


def exceeds(entry: Result, other: Result) -> dict[str, Any]:
    """Return by how much one entry's mean return exceeds another's on the same tasks.

    Fields: `name` of the other; `mean`, `standard_error` and the `interval` of 95 % of the paired difference.
    """
    found = statistics.difference(*(np.asarray([x["returns"]], dtype=float) for x in (entry, other)))
    return {
        "name": other["name"],
        "mean": found.value,
        "standard_error": found.standard_error,
        "interval": [found.low, found.high],
    }


def settings_of(sources: Sequence[Source]) -> list[Setting]:
    """Return one setting for each family, variation, sizes and horizon, with all that was measured there.

    Baselines, which stand beside each run, are taken once.

    Raises:
      ConfigError: if results of one setting are not on the same tasks, the seeds of an agent were evaluated
        after different numbers of iterations, or one is there twice.
    """
    agents = agents_of(sources)
    groups: dict[str, list[Member]] = {}
    for source in sources:
        for result in source.results:
            setting = str([result[field] for field in ("family", "variation", "task", "horizon")])
            groups.setdefault(setting, []).append((source, result))
    if problems := [problem for members in groups.values() for problem in mismatches(members)]:
        raise ConfigError(problems)
    found = []
    for members in groups.values():
        header = {name: value for name, value in members[0][1].items() if name not in OF_AN_AGENT}
        found.append(Setting(header, _agents(members, agents), *_baselines(members)))
    return sorted(found, key=lambda setting: _order(setting.header))


def _agents(members: Sequence[Member], agents: Mapping[str, SeededAgent]) -> list[Entry]:
    """Return the entries of the agents in one setting, runs before other files that they have not noted."""
    groups: dict[tuple[str, str], list[Member]] = {}
    noted = []
    for source, result in sorted(members, key=lambda member: not member[0].config):
        if not is_of_agent(result) or (not source.config and result["results"][0]["returns"] in noted):
            continue
        noted.append(result["results"][0]["returns"])
        # The entry of a file of its own is named so already.
        greedy = " (greedy)" if result.get("greedy") and source.config else ""
        groups.setdefault((source.agent_key(result), greedy), []).append((source, result))
    named = [(agents[key].name, greedy, runs) for (key, greedy), runs in groups.items()]
    if problems := [problem for name, greedy, runs in named for problem in _unequal(name + greedy, runs)]:
        raise ConfigError(problems)
    found = []
    for name, greedy, runs in named:
        (source, result), *_ = runs
        trained_here = source.is_trained_in(result) if source.config else None
        results, seeds = [result["results"][0] for _, result in runs], [source for source, _ in runs]
        found.append(Entry(name + greedy, results, True, trained_here, SeededAgent(name, seeds)))
    return found


def _baselines(members: Sequence[Member]) -> tuple[list[Entry], list[str]]:
    """Return the first entry of each baseline, and a note for each other that is not the same."""
    found: dict[str, tuple[str, Result]] = {}
    notes = []
    for source, result in members:
        for entry in result["results"][1 if is_of_agent(result) else 0 :]:
            place, first = found.setdefault(entry["name"], (source.place, entry))
            if np.allclose(first["returns"], entry["returns"], rtol=0.0, atol=ROUNDING):
                continue
            notes.append(
                f"{entry['name']} returns {first['mean_return']:.2f} in {place}, which is shown, and"
                f" {entry['mean_return']:.2f} in {source.place}: they are of different versions."
            )
    return [Entry(name, [entry]) for name, (_, entry) in found.items()], notes


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


def _order(header: Result) -> tuple[Any, ...]:
    """Return what settings are sorted by; sizes of a task are numbers."""
    sizes = [value for value in header["task"].values() if isinstance(value, int | float)]
    return header["family"], header["variation"], header["horizon"], sizes, str(header["task"])
