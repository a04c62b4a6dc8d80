"""The figures of pages and comparisons: learning curves of agents, and what all earn within a trial."""

import math
from collections.abc import Callable, Mapping, Sequence, Sized
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rl3_jax.report import statistics
from rl3_jax.report.agents import SeededAgent, in_seeds
from rl3_jax.report.gather import Setting
from rl3_jax.report.looks import BASELINE_COLOUR, Looks, beside_agents, looks_of, shown

LEGEND_LINE, LEGEND_CHARACTER = 0.75, 0.08
"""Widths in a legend, inches: of a line with the gaps about it, and of a character."""
SMOOTHING = 0.02
"""Part of a run over which its learning curve is averaged."""

SPENT = {
    "steps": ("environment steps (millions)", 1e6),
    "wall_seconds": ("minutes of training", 60.0),
}
"""What a run spends, by its field in `metrics.jsonl`: in words, and the divisor."""

Curve = tuple[Float[np.ndarray, " G"], Float[np.ndarray, " G"], Float[np.ndarray, " G"]]
"""Where the points of a curve are, the points, and half of the interval about each."""


def learning_figure(
    agents: Sequence[SeededAgent], settings: Sequence[Setting], looks: Looks, path: Path
) -> None:
    """Draw the return of training trials over steps and over time, for each setting of training."""
    figure, panels = _panels(len(settings) * len(SPENT))
    pairs = [(setting, spent) for setting in settings for spent in SPENT]
    _share(panels, y=[setting.title + str(setting.sizes) for setting, _ in pairs])
    for axes, (setting, spent) in zip(panels, pairs, strict=True):
        trained = [agent for agent in agents if agent.runs[0].is_trained_in(setting.header)]
        _learning_panel(axes, trained, setting, looks, spent)
        _entitle(axes, setting)
    _finish(figure, panels, path)


def adaptation_figure(settings: Sequence[Setting], looks: Looks, path: Path) -> None:
    """Draw the reward per episode over the episodes of a trial, a panel for each setting.

    Bands are intervals of 95 % over tasks, and over seeds where there are several. Panels of tasks of one
    size share the axis of rewards, and those of trials of one length that of episodes.
    """
    figure, panels = _panels(len(settings))
    sizes = [str(setting.sizes) for setting in settings]
    lengths = [f"{size} {setting.header['horizon']}" for size, setting in zip(sizes, settings, strict=True)]
    _share(panels, x=lengths, y=sizes)
    looks = beside_agents(looks) if any(setting.agents for setting in settings) else looks
    for axes, setting in zip(panels, settings, strict=True):
        _trial_panel(axes, setting, looks, "adaptation", combined_adaptation)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set(xlabel="episode within the trial", ylabel="reward per episode")
        _entitle(axes, setting)
    _finish(figure, panels, path)


def comparison_figure(agents: Sequence[SeededAgent], setting: Setting, file: Path | BytesIO) -> None:
    """Draw learning curves on the left, and on the right the mean reward per step over held-out trials."""
    figure, (left, right) = _panels(2)
    looks, horizon = beside_agents(looks_of(agents, [setting])), setting.header["horizon"]
    _learning_panel(left, agents, setting, looks)
    left.set_title("Training")
    _trial_panel(right, setting, looks, "reward_curve", lambda curves: _reward_curve(curves[0], horizon))
    right.set_title(f"Held-out trials ({setting.header['num_tasks']} tasks)")
    right.set(xlabel="step within the trial", ylabel="mean reward per step", xlim=(0, horizon))
    figure.suptitle(setting.title)
    _finish(figure, [left, right], file)


def combined_adaptation(curves: Sequence[Mapping[str, Any]]) -> Curve:
    """Return the adaptation curve of several seeds on the same tasks: episode, mean, half of its interval.

    `curves` has the `adaptation` of each of N results. The variance of the mean is that over tasks, which all
    seeds share, and 1/N of that between seeds; the interval of 95 % is Student's, as in `statistics`. The
    curve ends with the seed that completed the fewest episodes.
    """
    middles = [_middles(np.array(curve["episodes"], float)) for curve in curves]
    at = middles[min(range(len(curves)), key=lambda i: max(curves[i]["episodes"], default=0))]
    if not len(at):
        return at, at, at
    # With more than 25 episodes the groups of two seeds may differ; then the curves are read between points.
    means, errors, counts = (
        np.stack([np.interp(at, x, curve[field]) for x, curve in zip(middles, curves, strict=True)])
        for field in ("mean", "standard_error", "num_tasks")
    )
    over_tasks = (errors**2).mean(axis=0)
    between = means.var(axis=0, ddof=1) / len(curves) if len(curves) > 1 else np.zeros_like(at)
    parts = [(over_tasks, counts.mean(axis=0) - 1.0), (between, max(1, len(curves) - 1))]
    half = np.sqrt(over_tasks + between) * statistics.quantile(parts)
    return at, means.mean(axis=0), half


def _middles(last: Float[np.ndarray, " G"]) -> Float[np.ndarray, " G"]:
    """Return the middle of each of some groups of consecutive numbers from 1, given the last of each."""
    return (np.concatenate([[0.0], last])[:-1] + 1.0 + last) / 2.0


def _reward_curve(means: Sequence[float], horizon: int) -> Curve:
    """Return the mean reward per step in each part of the trial, at the middle of the part."""
    lengths = np.array([len(part) for part in np.array_split(np.arange(horizon), len(means))])
    return np.cumsum(lengths) - lengths / 2, np.array(means), np.zeros(len(means))


def _panels(count: int) -> tuple[Figure, Sequence[Axes]]:
    """Return a figure with some panels, two in a row."""
    columns, rows = min(2, count), math.ceil(count / 2)
    # A Figure of its own, not pyplot's: no display, no global state.
    figure = Figure(figsize=(max(5.5 * columns, 7.5), 3.8 * rows + 0.8), layout="constrained")
    return figure, [figure.add_subplot(rows, columns, number + 1) for number in range(count)]


def _entitle(axes: Axes, setting: Setting) -> None:
    """Write above a panel which setting it is of."""
    axes.set_title(f"{setting.title}\n{', '.join(setting.sizes)}".strip(), fontsize=9)


def _share(panels: Sequence[Axes], **groups: Sequence[str]) -> None:
    """Let the panels of a group, for `x` and for `y` named one by one, have that axis in common."""
    for axis, names in groups.items():
        first = dict(reversed([*zip(names, panels, strict=True)]))
        for name, axes in zip(names, panels, strict=True):
            if axes is not first[name]:
                getattr(axes, f"share{axis}")(first[name])


def _counted(name: str, seeds: Sized) -> str:
    """Return the name of an agent in a legend."""
    return f"{name} ({in_seeds(seeds)})"


def _learning_panel(
    axes: Axes, agents: Sequence[SeededAgent], setting: Setting, looks: Looks, spent: str = "steps"
) -> None:
    """Draw learning curves; horizontal lines are the notable baselines' mean returns on held-out tasks.

    `spent`, of `SPENT`, is what they are drawn over.
    """
    for agent in agents:
        _learning_curve(axes, agent, looks[agent.name, True], spent)
    lines = [entry for entry in shown(setting) if not entry.is_agent]
    for entry in lines:
        axes.axhline(entry.mean_return, color=BASELINE_COLOUR, linewidth=0.8)
    low, high = axes.get_ylim()
    position, text = -np.inf, {"va": "center", "fontsize": 8, "color": "0.3"}
    # Names stand at the right end, moved apart where they would overlap.
    for entry in sorted(lines, key=lambda entry: entry.mean_return):
        position = max(entry.mean_return, position + 0.045 * (high - low))
        place = {"xy": (1, position), "xycoords": ("axes fraction", "data")}
        axes.annotate(f" {entry.name} {entry.mean_return:.1f}", **place, **text)
    axes.set(xlabel=SPENT[spent][0], ylabel="return of a training trial")


def _learning_curve(axes: Axes, agent: SeededAgent, style: Mapping[str, Any], spent: str) -> None:
    """Draw the moving mean of an agent's returns, averaged over seeds, as far as all seeds have trained.

    The band reaches from the lowest to the highest seed; of a single seed each iteration is drawn, thinly.
    """
    length, colour = min(len(run.metrics) for run in agent.runs), style["color"]
    if not length:
        return
    places, returns = (
        np.array([[line[field] for line in run.metrics[:length]] for run in agent.runs], float)
        for field in (spent, "mean_return")
    )
    place = places.mean(axis=0) / SPENT[spent][1]
    window = max(1, round(SMOOTHING * length))
    smooth = np.stack([np.convolve(one, np.full(window, 1 / window), mode="valid") for one in returns])
    at = place[window - 1 :]
    if len(returns) == 1:
        axes.plot(place, returns[0], color=colour, alpha=0.2, linewidth=0.6)
    else:
        axes.fill_between(at, smooth.min(axis=0), smooth.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    line = {name: style[name] for name in ("color", "linestyle", "linewidth")}
    axes.plot(at, smooth.mean(axis=0), label=_counted(agent.name, agent.runs), **line)


def _trial_panel(
    axes: Axes, setting: Setting, looks: Looks, field: str, curve: Callable[[Sequence[Any]], Curve]
) -> None:
    """Draw a curve of each entry, with its interval, made of one field of its results."""
    for entry in shown(setting):
        style = looks[entry.name, entry.is_agent]
        at, mean, half = curve([result[field] for result in entry.results])
        name = _counted(entry.name, entry.results) if entry.is_agent else entry.name
        axes.plot(at, mean, label=name, **style)
        axes.fill_between(at, mean - half, mean + half, color=style["color"], alpha=0.15, linewidth=0)


def _finish(figure: Figure, panels: Sequence[Axes], file: Path | BytesIO) -> None:
    """Give all panels their grid, draw one legend below them, and write the figure."""
    handles: dict[str, Any] = {}
    for axes in panels:
        # Only now: of axes in common all panels decide how far they reach.
        axes.set_xlim(left=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        lines, names = axes.get_legend_handles_labels()
        handles |= dict(zip(names, lines, strict=True))
    longest = LEGEND_LINE + LEGEND_CHARACTER * max(map(len, handles), default=0)
    columns = max(1, min(len(handles), int(figure.get_figwidth() / longest)))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns, frameon=False)
    figure.savefig(file, dpi=150)
