"""The figure that sets agents beside each other and beside baselines."""

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
from rl3_jax.report.tables import title


def comparison_figure(
    runs: list[dict[str, Any]], baselines: list[dict[str, Any]], header: dict[str, Any], path: Path
) -> None:
    """Draw learning curves and reward curves of agents, with baselines, and save the figure.

    Left: the return of training trials over environment steps (thin: each iteration; thick: moving
    mean), with baselines as lines. Right: mean reward per step over the held-out trials. Of many baselines
    the notable ones are drawn.
    """
    shown = notable([(entry["name"], entry["mean_return"]) for entry in baselines])
    baselines = [entry for entry in baselines if entry["name"] in shown]
    # A Figure of its own, not pyplot's: no display, no global state.
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for run, look in zip(runs, colours_and_dashes(len(runs)), strict=True):
        steps, returns = (
            np.array([line[field] for line in run["metrics"]], float) for field in ("steps", "mean_return")
        )
        learning_curve(left, run["name"], steps, returns[None], look)
        style = {"color": look[0], "linestyle": look[1], "linewidth": 2, "label": run["name"]}
        _reward_curve(right, run["result"], header["horizon"], **style)
    for entry, marker in zip(baselines, cycle(BASELINE_MARKERS), strict=False):
        _reward_curve(right, entry, header["horizon"], **baseline_look(marker), label=entry["name"])
    name_lines(left, [(entry["name"], entry["mean_return"]) for entry in baselines])
    left.set(xlabel="environment steps (millions)", ylabel="return of a trial", title="Training")
    left.set_xlim(left=0)
    right.set(xlabel="step within the trial", ylabel="mean reward per step")
    right.set_title(f"Held-out trials ({header['num_tasks']} tasks)")
    right.set_xlim(0, header["horizon"])
    for axes in (left, right):
        tidy(axes)
    figure.suptitle(title(header))
    shared_legend(figure, [right])
    figure.savefig(path, dpi=150)


def _reward_curve(axes: Axes, entry: Mapping[str, Any], horizon: int, **style: Any) -> None:
    """Draw the mean reward per step in each part of the trial, at the middle of the part."""
    curve = np.array(entry["reward_curve"])
    sizes = np.array([len(part) for part in np.array_split(np.arange(horizon), len(curve))])
    axes.plot(np.cumsum(sizes) - sizes / 2, curve, **style)
