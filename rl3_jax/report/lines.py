"""What all figures look like: colours differ in lightness and lines in dash, to survive greyscale."""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

AGENT_COLOURS = (
    "#003f7d", "#d1495b", "#e8a33d", "#2a9d8f", "#7b2d8b", "#6c757d", "#000000", "#8c4a1f", "#6fa8dc",
)  # fmt: skip
AGENT_DASHES = ("-", "--", "-.", (0, (1, 1)))
BASELINE_COLOUR = "0.45"
BASELINE_MARKERS = ("o", "s", "^", "v", "D", "x", "+")
MOST_OTHERS = 3
"""Baselines drawn beside agents, apart from chance and the clairvoyant: more cannot be told apart."""
SMOOTHING = 0.02
"""Part of a run over which its learning curve is averaged."""

Line = tuple[str, float]
"""A horizontal line: what it is of, and where it is."""


def colours_and_dashes(count: int) -> list[tuple[str, Any]]:
    """Return the looks of some agents."""
    return list(islice(zip(cycle(AGENT_COLOURS), cycle(AGENT_DASHES), strict=False), count))


def baseline_look(marker: str) -> dict[str, Any]:
    """Return the look of a baseline's curve beside agents: thin and grey, told apart by its marker."""
    return {"color": BASELINE_COLOUR, "linewidth": 0.8, "marker": marker, "markersize": 4}


def notable(baselines: Sequence[Line]) -> list[str]:
    """Return the names of chance, the clairvoyant, and the best `MOST_OTHERS` of the other baselines."""
    others = [line for line in baselines if line[0] not in ("random", "clairvoyant")]
    left_out = sorted(others, key=lambda line: -line[1])[MOST_OTHERS:]
    return [line[0] for line in baselines if line not in left_out]


def learning_curve(
    axes: Axes, name: str, steps: Float[np.ndarray, " I"], returns: Float[np.ndarray, "N I"], look: Any
) -> None:
    """Draw the moving mean of returns over environment steps, averaged over seeds.

    The band reaches from the lowest to the highest seed; of a single seed each iteration is drawn, thinly.

    Args:
      axes: where.
      name: for the legend.
      steps: at each of I iterations.
      returns: mean return of an iteration's trials, of N seeds.
      look: colour and dash.
    """
    (num_seeds, num_iterations), (colour, dash) = returns.shape, look
    if not num_iterations:
        return
    window = max(1, round(SMOOTHING * num_iterations))
    smooth = np.stack([np.convolve(one, np.full(window, 1 / window), mode="valid") for one in returns])
    at = steps[window - 1 :] / 1e6
    if num_seeds == 1:
        axes.plot(steps / 1e6, returns[0], color=colour, alpha=0.2, linewidth=0.6)
    else:
        axes.fill_between(at, smooth.min(axis=0), smooth.max(axis=0), color=colour, alpha=0.2, linewidth=0)
    axes.plot(at, smooth.mean(axis=0), color=colour, linestyle=dash, linewidth=2, label=name)


def name_lines(axes: Axes, lines: Sequence[Line]) -> None:
    """Draw horizontal lines, with their names at the right end, moved apart where they would overlap."""
    for _, value in lines:
        axes.axhline(value, color=BASELINE_COLOUR, linewidth=0.8)
    low, high = axes.get_ylim()
    gap = (high - low) * 0.045
    position = -np.inf
    for name, value in sorted(lines, key=lambda line: line[1]):
        position = max(value, position + gap)
        place = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 8, "color": "0.3"}
        axes.annotate(f" {name} {value:.1f}", (1, position), **place)


def tidy(axes: Axes) -> None:
    """Give axes the frame and grid of all figures."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def shared_legend(figure: Figure, panels: Sequence[Axes]) -> None:
    """Draw one legend for all panels below them."""
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    columns = max(1, min(len(handles), 5))
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=columns, frameon=False)
