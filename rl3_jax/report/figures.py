"""Figures from result files; colours differ in lightness and lines in dash, to survive greyscale."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rl3_jax.report.tables import title

AGENT_COLOURS = ("#003f7d", "#d1495b", "#e8a33d", "#2a9d8f", "#7b2d8b", "#6c757d")
AGENT_DASHES = ("-", "--", "-.", (0, (1, 1)))
BASELINE_COLOUR = "0.45"
BASELINE_MARKERS = ("o", "s", "^", "v", "D", "x", "+")
MOST_OTHERS = 3
"""Baselines drawn beside agents, apart from chance and the clairvoyant: more cannot be told apart."""
PRIOR = " (m = "
"""What the name of a baseline with another prior mean contains."""
SMOOTHING = 0.02
"""Part of a run over which its learning curve is averaged."""


def comparison_figure(
    runs: list[dict[str, Any]], baselines: list[dict[str, Any]], header: dict[str, Any], path: Path
) -> None:
    """Draw learning curves and reward curves of agents, with baselines, and save the figure.

    Left: the return of training trials over environment steps (thin: each iteration; thick: moving
    mean), with baselines as lines. Right: mean reward per step over the held-out trials. Of many baselines
    the notable ones are drawn.
    """
    baselines = notable(baselines)
    # A Figure of its own, not pyplot's: no display, no global state.
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = list(zip(range(len(runs)), cycle(AGENT_COLOURS), cycle(AGENT_DASHES), strict=False))
    for run, (_, colour, dash) in zip(runs, styles, strict=True):
        _learning_curve(left, run, colour, dash)
        style = {"color": colour, "linestyle": dash, "linewidth": 2, "label": run["name"]}
        _reward_curve(right, run["result"], header["horizon"], **style)
    for entry, marker in zip(baselines, cycle(BASELINE_MARKERS), strict=False):
        left.axhline(entry["mean_return"], color=BASELINE_COLOUR, linewidth=0.8)
        style = {"color": BASELINE_COLOUR, "linewidth": 0.8, "marker": marker, "markersize": 4}
        _reward_curve(right, entry, header["horizon"], **style)
    _name_lines(left, baselines)
    left.set(xlabel="environment steps (millions)", ylabel="return of a trial", title="Training")
    left.set_xlim(left=0)
    right.set(xlabel="step within the trial", ylabel="mean reward per step")
    right.set_title(f"Held-out trials ({header['num_tasks']} tasks)")
    right.set_xlim(0, header["horizon"])
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    figure.suptitle(title(header))
    handles, labels = right.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 5), frameon=False)
    figure.savefig(path, dpi=150)


def notable(baselines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return chance, the clairvoyant, and the best `MOST_OTHERS` of the other baselines, in their order."""
    others = [entry for entry in baselines if entry["name"] not in ("random", "clairvoyant")]
    left_out = sorted(others, key=lambda entry: -entry["mean_return"])[MOST_OTHERS:]
    return [entry for entry in baselines if entry not in left_out]


def adaptation_figure(results: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the mean reward per step over the trial, a panel for each setting, and save the figure.

    Baselines with another prior mean, such as `psrl (m = 0)`, are left to the tables, to keep it legible.

    Args:
      results: contents of result files of one family.
      path: the file.
    """
    results = [
        {**result, "results": [entry for entry in result["results"] if PRIOR not in entry["name"]]}
        for result in results
    ]
    columns = min(3, len(results))
    rows = math.ceil(len(results) / columns)
    figure = Figure(figsize=(max(4.4 * columns, 7.5), 3.4 * rows + 0.8), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    names = list(dict.fromkeys(entry["name"] for result in results for entry in result["results"]))
    looks = zip(cycle(AGENT_COLOURS), cycle(AGENT_DASHES), cycle(BASELINE_MARKERS), strict=False)
    styles = {
        name: {"color": colour, "linestyle": dash, "marker": marker, "markersize": 4, "linewidth": 1.2}
        for name, (colour, dash, marker) in zip(names, looks, strict=False)
    }
    for result, axes in zip(results, panels, strict=False):
        for entry in result["results"]:
            _reward_curve(axes, entry, result["horizon"], **styles[entry["name"]])
        sizes = (f"{x} = {y}" for x, y in result["task"].items() if x not in ("family", "variation"))
        axes.set_title("\n".join([title(dict(result)), ", ".join(sizes)]), fontsize=9)
        axes.set_xlim(0, result["horizon"])
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    for axes in panels[len(results) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel("mean reward per step")
    for axes in panels[max(0, len(results) - columns) : len(results)]:
        axes.set_xlabel("step within the trial")
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(path, dpi=130)


def _learning_curve(axes: Axes, run: dict[str, Any], colour: str, dash: Any) -> None:
    """Draw the return of each iteration, and its moving mean."""
    steps = np.array([line["steps"] for line in run["metrics"]]) / 1e6
    returns = np.array([line["mean_return"] for line in run["metrics"]])
    if not len(steps):
        return
    axes.plot(steps, returns, color=colour, alpha=0.2, linewidth=0.6)
    window = max(1, round(SMOOTHING * len(steps)))
    mean = np.convolve(returns, np.full(window, 1 / window), mode="valid")
    axes.plot(steps[window - 1 :], mean, color=colour, linestyle=dash, linewidth=2, label=run["name"])


def _reward_curve(axes: Axes, entry: dict[str, Any], horizon: int, **style: Any) -> None:
    """Draw the mean reward per step in each part of the trial, at the middle of the part."""
    curve = np.array(entry["reward_curve"])
    sizes = np.array([len(part) for part in np.array_split(np.arange(horizon), len(curve))])
    middle = np.cumsum(sizes) - sizes / 2
    axes.plot(middle, curve, label=style.pop("label", entry["name"]), **style)


def _name_lines(axes: Axes, baselines: list[dict[str, Any]]) -> None:
    """Write the name of each baseline at the right end of its line, moved apart where they would overlap."""
    low, high = axes.get_ylim()
    gap = (high - low) * 0.045
    position = -np.inf
    for entry in sorted(baselines, key=lambda entry: entry["mean_return"]):
        position = max(entry["mean_return"], position + gap)
        text = f" {entry['name']} {entry['mean_return']:.1f}"
        axes.annotate(
            text, (1, position), xycoords=("axes fraction", "data"), va="center", fontsize=8, color="0.3"
        )
