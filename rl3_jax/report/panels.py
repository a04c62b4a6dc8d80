"""The panels of an animation that fit every task: bars, intervals, the return so far."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patheffects import withStroke

from rl3_jax.report.animation import Moving

INK = "#12263a"
"""Lines and outlines."""
FILL = "#9db4c8"
"""Bars; much lighter than ink, in greyscale too."""
CHOSEN = "#e07b00"
"""What the agent does; between the two in lightness, and outlined in black."""
MOST_NAMES = 12
"""More bars than this are numbered in steps, and carry no counts."""
MOST_EPISODES = 40
"""Beyond so many, the ends of episodes would hide the curve."""


@dataclasses.dataclass(frozen=True)
class Bars:
    """One bar an action.

    Attributes:
      chosen: the bar that stands out.
      counts: numbers in a row above the bars, if there is room, or None.
      truth: heights marked by a line, or None.
      top: the axis, the same in all frames, ends there or higher.
    """

    title: str
    heights: Float[np.ndarray, "H n"]
    names: Sequence[str]
    chosen: Int[np.ndarray, " H"]
    counts: Float[np.ndarray, "H n"] | None = None
    truth: Float[np.ndarray, " n"] | None = None
    xlabel: str = "action"
    top: float = 1.0

    def draw(self, axes: Axes) -> Moving:
        """Draw axes, names and true heights; bars and counts move."""
        axes.set_title(self.title)
        num = len(self.names)
        every = -(-num // MOST_NAMES)
        axes.set_xticks(range(0, num, every), self.names[::every])
        axes.tick_params(axis="x", length=0)
        axes.set(xlim=(-0.6, num - 0.4), xlabel=self.xlabel)
        counts = self.counts if every == 1 else None
        low, high = min(0.0, float(self.heights.min())), max(self.top, float(self.heights.max()))
        unit = high - low or 1.0
        room = 0.04 if counts is None else 0.16
        axes.set_ylim(low - (low < 0) * room * unit, low + (1.0 + room) * unit)
        axes.axhline(0.0, color=INK, linewidth=0.8)
        bars = axes.bar(range(num), np.zeros(num), width=0.7, edgecolor=INK).patches
        texts = [
            axes.text(x, low + 1.05 * unit, "", ha="center", va="bottom")
            for x in range(0 if counts is None else num)
        ]
        lines = []
        if self.truth is not None:
            ends = np.arange(num) - 0.45, np.arange(num) + 0.45
            edge = [withStroke(linewidth=5.0, foreground="white")]
            lines = [axes.hlines(self.truth, *ends, color="black", linewidth=2.4, path_effects=edge)]

        def update(step: int) -> None:
            for x, (bar, height) in enumerate(zip(bars, self.heights[step], strict=True)):
                chosen = x == self.chosen[step]
                bar.set(height=height, facecolor=CHOSEN if chosen else FILL, linewidth=2.2 if chosen else 0.8)
            for text, count in zip(texts, () if counts is None else counts[step], strict=True):
                text.set_text(f"×{count:.0f}")

        return [*bars, *lines, *texts], update


@dataclasses.dataclass(frozen=True)
class Intervals:
    """A vector action: for each number the policy's middle and spread, and what it drew.

    Attributes:
      spread: middle less a standard deviation, middle, and middle and a standard deviation.
      bounds: of the actions.
    """

    title: str
    spread: Float[np.ndarray, "3 H n"]
    action: Float[np.ndarray, "H n"]
    names: Sequence[str]
    bounds: Float[np.ndarray, "n 2"]

    def draw(self, axes: Axes) -> Moving:
        """Draw the axes; a box from −σ to +σ, its middle and the action move."""
        axes.set_title(self.title)
        at = np.arange(len(self.names))
        axes.set_yticks(at, self.names)
        axes.tick_params(axis="y", length=0)
        low, high = self.bounds.min(), self.bounds.max()
        room = 0.06 * (high - low)
        axes.set(xlim=(low - room, high + room), ylim=(len(at) - 0.4, -0.6))
        for x in self.bounds.T:
            axes.vlines(x, at - 0.45, at + 0.45, color=INK, linewidth=1)
        boxes = axes.barh(at, 0, height=0.5, facecolor=FILL, edgecolor=INK, linewidth=0.8).patches
        (middles,) = axes.plot([], [], "|", color=INK, markersize=22, markeredgewidth=2.4)
        (actions,) = axes.plot([], [], "D", color=CHOSEN, markersize=9, markeredgecolor="black")

        def update(step: int) -> None:
            left, middle, right = self.spread[:, step]
            for y, box in enumerate(boxes):
                box.set(x=left[y], width=right[y] - left[y])
            middles.set_data(middle, at)
            actions.set_data(self.action[step], at)

        return [*boxes, middles, actions], update


@dataclasses.dataclass(frozen=True)
class Return:
    """The sum of rewards over the trial so far, with the ends of episodes."""

    reward: Float[np.ndarray, " H"]
    ended: Bool[np.ndarray, " H"]

    def draw(self, axes: Axes) -> Moving:
        """Draw the axes; the curve grows, and lines at ends of episodes come as they happen."""
        curve = np.cumsum([0.0, *self.reward])
        axes.set_title("return so far" + (" (lines: episodes)" if len(_ends(self.ended)) else ""))
        low, high = curve.min(), curve.max()
        room = 0.06 * (high - low or 1.0)
        axes.set(xlim=(0, max(len(self.reward), 1)), ylim=(low - room, high + room), xlabel="step")
        axes.grid(alpha=0.3)
        lines, mark = borders(axes, self.ended)
        (line,) = axes.plot([], [], color=INK, linewidth=2)
        (head,) = axes.plot([], [], "o", color=CHOSEN, markersize=7, markeredgecolor="black")

        def update(step: int) -> None:
            done = step + 1
            mark(step)
            line.set_data(range(done + 1), curve[: done + 1])
            head.set_data([done], [curve[done]])

        return [*lines, line, head], update


@dataclasses.dataclass(frozen=True)
class Returns:
    """The sums of rewards of two agents over the trial so far."""

    names: Sequence[str]
    rewards: Float[np.ndarray, "2 H"]

    def draw(self, axes: Axes) -> Moving:
        """Draw axes and legend; the curves grow."""
        curves = np.cumsum(np.pad(self.rewards, ((0, 0), (1, 0))), axis=1)
        axes.set_title("return so far")
        low, high = curves.min(), curves.max()
        room = 0.06 * (high - low or 1.0)
        axes.set(xlim=(0, curves.shape[1] - 1), ylim=(low - room, high + room), xlabel="step")
        axes.grid(alpha=0.3)
        lines = [
            axes.plot([], [], linewidth=2.4, label=name, color=colour, linestyle=style)[0]
            for name, colour, style in zip(self.names, (INK, CHOSEN), ("-", "--"), strict=True)
        ]
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)

        def update(step: int) -> None:
            for line, curve in zip(lines, curves, strict=True):
                line.set_data(range(step + 2), curve[: step + 2])

        return lines, update


def borders(axes: Axes, ended: Bool[np.ndarray, " H"]) -> Moving:
    """Make the lines at ends of episodes, over a horizontal axis of steps; each comes as its episode ends."""
    ends = _ends(ended)
    lines = LineCollection([], colors="0.45", linewidths=1.2, linestyles=(0, (4, 2)))
    lines.set_transform(axes.get_xaxis_transform())
    axes.add_collection(lines, autolim=False)

    def update(step: int) -> None:
        lines.set_segments([[(x, 0.0), (x, 1.0)] for x in ends[ends <= step + 1]])

    return [lines], update


def _ends(ended: Bool[np.ndarray, " H"]) -> Int[np.ndarray, " E"]:
    """Return after how many steps episodes ended; nothing if they are too many to be drawn."""
    ends = np.flatnonzero(ended) + 1
    return ends if len(ends) <= MOST_EPISODES else ends[:0]
