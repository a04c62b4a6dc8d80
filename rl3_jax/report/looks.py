"""The looks of lines, the same in all figures of a report.

Colours differ in lightness and lines in dash, to survive greyscale.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from rl3_jax.baselines import plain_name
from rl3_jax.report.agents import SeededAgent
from rl3_jax.report.gather import Entry, Setting

COLOURS = (
    "#003f7d", "#d1495b", "#e8a33d", "#2a9d8f", "#7b2d8b", "#6c757d", "#000000", "#8c4a1f", "#6fa8dc",
)  # fmt: skip
DASHES = ("-", "--", "-.", (0, (1, 1)))
BASELINE_COLOUR = "0.45"
MARKERS = ("o", "s", "^", "v", "D", "x", "+", "<", ">", "P", "*", "X")
MOST_OTHERS = 3
"""Baselines drawn beside agents, apart from chance and the clairvoyant: more cannot be told apart."""

Looks: TypeAlias = Mapping[tuple[str, bool], Mapping[str, Any]]
"""The looks of lines by name and whether it is an agent's."""


def looks_of(agents: Sequence[SeededAgent], settings: Sequence[Setting]) -> Looks:
    """Return the looks of everything in a report.

    A colour stands for a method and core, e.g. `rl3-gru`, in all families and sizes, whose agents differ in
    dash; or for an agent's name, where several of one method and core were trained in one setting.
    """
    colours = _colour_names(agents)
    named = [(agent.name, colours[agent.name], _first(agent)["family"]) for agent in agents]
    named += [
        (
            entry.name,
            colours.get(entry.agent.name if entry.agent else entry.name, entry.name),
            x.header["family"],
        )
        for x in settings
        for entry in x.agents
    ]
    found: dict[tuple[str, bool], dict[str, Any]] = {}
    places: dict[str, int] = {}
    alike: Counter[tuple[str, str]] = Counter()
    for name, colour, family in named:
        if (name, True) not in found:
            place = places.setdefault(colour, len(places))
            line = {"color": COLOURS[place % len(COLOURS)], "linestyle": _dash(place + alike[family, colour])}
            found[name, True] = line | {"marker": _marker(len(found)), "linewidth": 2.0, "markersize": 3}
            alike[family, colour] += 1
    drawn = (entry.name for setting in settings for entry in shown(setting) if not entry.is_agent)
    for place, name in enumerate(dict.fromkeys(drawn)):
        line = {"color": COLOURS[place % len(COLOURS)], "linestyle": _dash(place)}
        found[name, False] = line | {"marker": _marker(place), "linewidth": 1.2, "markersize": 3}
    return found


def beside_agents(looks: Looks) -> Looks:
    """Return the looks with thin grey baselines, told apart by their markers."""
    grey = {"color": BASELINE_COLOUR, "linestyle": "-", "linewidth": 0.8, "markersize": 4}
    return {key: look if key[1] else {**look, **grey} for key, look in looks.items()}


def notable(baselines: Sequence[Entry]) -> list[Entry]:
    """Return chance, the clairvoyant, and the best `MOST_OTHERS` of the other baselines."""
    others = [entry for entry in baselines if entry.name not in ("random", "clairvoyant")]
    left_out = sorted(others, key=lambda entry: -entry.mean_return)[MOST_OTHERS:]
    return [entry for entry in baselines if entry not in left_out]


def shown(setting: Setting) -> list[Entry]:
    """Return the entries that are drawn: beside agents only notable baselines, with the usual prior mean."""
    baselines = [entry for entry in setting.baselines if entry.name == plain_name(entry.name)]
    return [*setting.agents, *notable(baselines)] if setting.agents else baselines


def _colour_names(agents: Sequence[SeededAgent]) -> dict[str, str]:
    """Return what the colour of each agent stands for."""
    kinds = {agent.name: _first(agent)["results"][0]["name"].partition(" (")[0] for agent in agents}
    trained = Counter((kinds[agent.name], _trained_in(agent)) for agent in agents)
    varied = {kind for (kind, _), number in trained.items() if number > 1}
    return {name: name.rpartition("/")[2] if kind in varied else kind for name, kind in kinds.items()}


def _trained_in(agent: SeededAgent) -> str:
    """Return the setting that an agent was trained in, or, if that is not known, evaluated in first."""
    known = agent.runs[0].config or _first(agent)
    return str([known[field] for field in ("task", "horizon")])


def _first(agent: SeededAgent) -> Mapping[str, Any]:
    """Return the first result file of an agent."""
    return agent.runs[0].results[0]


def _dash(place: int) -> Any:
    return DASHES[place % len(DASHES)]


def _marker(place: int) -> str:
    return MARKERS[place % len(MARKERS)]
