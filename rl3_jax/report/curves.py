"""The figures of a page: learning curves of agents, and how all adapt over the episodes of a trial."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rl3_jax.report import statistics
from rl3_jax.report.agents import SeededAgent
from rl3_jax.report.gather import Entry, Setting
from rl3_jax.report.lines import (
    BASELINE_MARKERS,
    baseline_look,
    colours_and_dashes,
    learning_curve,
    name_lines,
    notable,
    shared_legend,
    tidy,
)
from rl3_jax.report.sections import sizes
from rl3_jax.report.tables import title

PRIOR = " (m = "
"""What the name of a baseline with another prior mean contains."""


def learning_figure(
    agents: Sequence[SeededAgent], settings: Sequence[Setting], names: Sequence[str], path: Path
) -> None:
    """Draw the return of training trials over environment steps, a panel for each setting.

    Lines are moving means over iterations, averaged over seeds; bands reach from the lowest to the highest
    seed. The notable baselines are horizontal lines, at their mean return on held-out tasks.

    Args:
      agents: with their runs.
      settings: those in which they were trained.
      names: of all agents of the family, which decide their looks.
      path: the file.
    """
    figure, panels = _panels(len(settings), most=2, width=5.6, height=3.8)
    looks = dict(zip(names, colours_and_dashes(len(names)), strict=True))
    for setting, axes in zip(settings, panels, strict=False):
        trained = [agent for agent in agents if agent.runs[0].is_trained_in(setting.header)]
        for agent in trained:
            learning_curve(axes, agent.label, *_curves(agent), looks[agent.name])
        lines = [(entry.name, entry.mean_return) for entry in setting.baselines if PRIOR not in entry.name]
        shown = notable(lines)
        name_lines(axes, [line for line in lines if line[0] in shown])
        axes.set(xlabel="environment steps (millions)", ylabel="return of a training trial")
        axes.set_title(_panel_title(setting), fontsize=9)
        axes.set_xlim(left=0)
        tidy(axes)
    shared_legend(figure, panels)
    figure.savefig(path, dpi=130)


def adaptation_figure(settings: Sequence[Setting], names: Sequence[str], path: Path) -> None:
    """Draw the reward per episode over the episodes of a trial, a panel for each setting.

    Bands are intervals of 95 % over tasks, and over seeds where there are several. Beside agents only the
    notable baselines are drawn, in grey; those with another prior mean are left to the tables.

    Args:
      settings: of one family.
      names: of its agents, which decide their looks.
      path: the file.
    """
    figure, panels = _panels(len(settings), most=3, width=4.4, height=3.4)
    shown = [_shown(setting) for setting in settings]
    others = dict.fromkeys(x.name for entries in shown for x in entries if not x.is_agent)
    styles = _styles(names, list(others))
    for setting, entries, axes in zip(settings, shown, panels, strict=False):
        for entry in entries:
            _adaptation_curve(axes, entry, styles[entry.name, entry.is_agent])
        axes.set_title(_panel_title(setting), fontsize=9)
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("episode within the trial")
        axes.set_ylabel("reward per episode")
        tidy(axes)
    shared_legend(figure, panels)
    figure.savefig(path, dpi=130)


def _panels(count: int, *, most: int, width: float, height: float) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with some panels, at most so many in a row; sizes in inches."""
    columns = min(most, count)
    rows = math.ceil(count / columns)
    # A Figure of its own, not pyplot's: no display, no global state.
    figure = Figure(figsize=(max(width * columns, 7.5), height * rows + 0.8), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, panels[:count]


def _panel_title(setting: Setting) -> str:
    """Return the heading of a panel."""
    return "\n".join([title(dict(setting.header)), ", ".join(sizes(setting.header))]).strip()


def _curves(agent: SeededAgent) -> tuple[Float[np.ndarray, " I"], Float[np.ndarray, "N I"]]:
    """Return the steps of the iterations that all seeds have made, and the return of each seed then."""
    length = min(len(run.metrics) for run in agent.runs)
    steps, *returns = (
        np.array([line[field] for line in run.metrics[:length]], float)
        for run, field in [(agent.runs[0], "steps"), *((run, "mean_return") for run in agent.runs)]
    )
    return steps, np.stack(returns)


def _shown(setting: Setting) -> list[Entry]:
    """Return the entries that are drawn."""
    baselines = [entry for entry in setting.baselines if PRIOR not in entry.name]
    if not setting.agents:
        return baselines
    names = notable([(entry.name, entry.mean_return) for entry in baselines])
    return [*setting.agents, *(entry for entry in baselines if entry.name in names)]


def _styles(agents: Sequence[str], baselines: Sequence[str]) -> dict[tuple[str, bool], dict[str, Any]]:
    """Return the looks of lines by name and whether it is an agent's: baselines are grey beside agents."""
    styles: dict[tuple[str, bool], dict[str, Any]] = {}
    markers = cycle(BASELINE_MARKERS)
    coloured = agents or baselines
    for name, (colour, dash) in zip(coloured, colours_and_dashes(len(coloured)), strict=True):
        line = {"color": colour, "linestyle": dash, "linewidth": 2.0 if agents else 1.2}
        styles[name, bool(agents)] = line | {"marker": next(markers), "markersize": 3}
    for name in baselines if agents else ():
        styles[name, False] = baseline_look(next(markers))
    return styles


def _adaptation_curve(axes: Axes, entry: Entry, style: dict[str, Any]) -> None:
    """Draw the reward per episode with its interval, at the middle of each group of episodes."""
    middle, mean, half = combined_adaptation([result["adaptation"] for result in entry.results])
    axes.plot(middle, mean, label=entry.name, **style)
    axes.fill_between(middle, mean - half, mean + half, color=style["color"], alpha=0.15, linewidth=0)


def combined_adaptation(
    curves: Sequence[Mapping[str, Any]],
) -> tuple[Float[np.ndarray, " G"], Float[np.ndarray, " G"], Float[np.ndarray, " G"]]:
    """Return the adaptation curve of several seeds on the same tasks: episode, mean, half of its interval.

    The variance of the mean is that over tasks, which all seeds share, and 1/N of that between seeds; the
    interval of 95 % is Student's, as in `statistics`. Seeds that completed more episodes than another are
    taken up to where that one ends.

    Args:
      curves: the `adaptation` of each of N results.
    """
    middles = [_middles(curve) for curve in curves]
    shortest = min(range(len(curves)), key=lambda i: max(curves[i]["episodes"], default=0))
    at = middles[shortest]
    if not len(at):
        return at, at, at
    # With more than 25 episodes the groups of two seeds may differ; then the curves are read between points.
    means, errors, counts = (
        np.stack([np.interp(at, x, curve[field]) for x, curve in zip(middles, curves, strict=True)])
        for field in ("mean", "standard_error", "num_tasks")
    )
    over_tasks = (errors**2).mean(axis=0)
    between = means.var(axis=0, ddof=1) / len(curves) if len(curves) > 1 else np.zeros_like(at)
    half = statistics.student_half_width(
        [(over_tasks, counts.mean(axis=0) - 1.0), (between, max(1, len(curves) - 1))]
    )
    return at, means.mean(axis=0), half


def _middles(curve: Mapping[str, Any]) -> Float[np.ndarray, " G"]:
    """Return the episode in the middle of each group of an adaptation curve."""
    last = np.array(curve["episodes"], float)
    return (np.concatenate([[0.0], last])[:-1] + 1.0 + last) / 2.0
