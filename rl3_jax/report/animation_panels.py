"""The panels of an animation that fit every task: bars, intervals, the return so far."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle

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
      title: of the panel.
      heights: [H, n].
      names: [n] of the bars.
      limits: of the heights, the same in all frames.
      chosen: [H] the bar that stands out, or None.
      counts: [H, n] numbers in a row above the bars, or None.
      truth: [n] heights marked by a line, or None.
      xlabel: of the bars.
    """

    title: str
    heights: np.ndarray
    names: Sequence[str]
    limits: tuple[float, float]
    chosen: np.ndarray | None = None
    counts: np.ndarray | None = None
    truth: np.ndarray | None = None
    xlabel: str = ""

    def draw(self, axes: Axes) -> Moving:
        """Draw axes and names; bars move."""
        num = len(self.names)
        plain(axes, self.title)
        every = -(-num // MOST_NAMES)
        axes.set_xticks(range(0, num, every), self.names[::every])
        axes.tick_params(axis="x", length=0)
        axes.set_xlim(-0.6, num - 0.4)
        axes.set_xlabel(self.xlabel)
        low, high = self.limits if self.limits[1] > self.limits[0] else (self.limits[0], self.limits[0] + 1.0)
        room = 0.16 if self._shows_counts else 0.04
        axes.set_ylim(low - (low < 0) * room * (high - low), high + room * (high - low))
        axes.axhline(0.0, color=INK, linewidth=0.8)
        bars = axes.bar(range(num), np.zeros(num), width=0.7, color=FILL, edgecolor=INK).patches
        lines = self._truth_lines(axes)
        texts = [
            axes.text(x, high + 0.05 * (high - low), "", ha="center", va="bottom")
            for x in range(num if self._shows_counts else 0)
        ]

        def update(step: int) -> None:
            for bar, height in zip(bars, self.heights[step], strict=True):
                bar.set_height(height)
                bar.set(facecolor=FILL, linewidth=0.8)
            if self.chosen is not None:
                bars[int(self.chosen[step])].set(facecolor=CHOSEN, linewidth=2.2)
            for x, text in enumerate(texts):
                text.set_text("" if self.counts is None else f"×{self.counts[step, x]:.0f}")

        return [*bars, *lines, *texts], update

    @property
    def _shows_counts(self) -> bool:
        """Whether there are counts, and room for them."""
        return self.counts is not None and len(self.names) <= MOST_NAMES

    def _truth_lines(self, axes: Axes) -> list[LineCollection]:
        """Return a dark line with a light edge at each true height."""
        if self.truth is None:
            return []
        ends = [[(x - 0.45, y), (x + 0.45, y)] for x, y in enumerate(self.truth)]
        lines = [
            LineCollection(ends, colors=colour, linewidths=width)
            for colour, width in (("white", 5.0), ("black", 2.4))
        ]
        for line in lines:
            axes.add_collection(line, autolim=False)
        return lines


@dataclasses.dataclass(frozen=True)
class Intervals:
    """A vector action: for each number the policy's middle and spread, and what it drew.

    Attributes:
      title: of the panel.
      low: [H, n] middle less a standard deviation, as the environment takes it.
      middle: [H, n].
      high: [H, n] middle and a standard deviation.
      action: [H, n].
      names: [n].
      bounds: [n, 2] of the actions.
    """

    title: str
    low: np.ndarray
    middle: np.ndarray
    high: np.ndarray
    action: np.ndarray
    names: Sequence[str]
    bounds: np.ndarray

    def draw(self, axes: Axes) -> Moving:
        """Draw the axes; a box from −σ to +σ, its middle and the action move."""
        num = len(self.names)
        plain(axes, self.title)
        axes.set_yticks(range(num), self.names)
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(num - 0.4, -0.6)
        low, high = self.bounds[:, 0].min(), self.bounds[:, 1].max()
        axes.set_xlim(low - 0.06 * (high - low), high + 0.06 * (high - low))
        for x in self.bounds.T:
            axes.vlines(x, np.arange(num) - 0.45, np.arange(num) + 0.45, color=INK, linewidth=1)
        style = {"facecolor": FILL, "edgecolor": INK, "linewidth": 0.8}
        boxes = [Rectangle((0, y - 0.25), 0, 0.5, **style) for y in range(num)]
        for box in boxes:
            axes.add_patch(box)
        (middles,) = axes.plot([], [], "|", color=INK, markersize=22, markeredgewidth=2.4)
        (actions,) = axes.plot([], [], "D", color=CHOSEN, markersize=9, markeredgecolor="black")

        def update(step: int) -> None:
            for box, left, right in zip(boxes, self.low[step], self.high[step], strict=True):
                box.set_x(left)
                box.set_width(right - left)
            middles.set_data(self.middle[step], range(num))
            actions.set_data(self.action[step], range(num))

        return [*boxes, middles, actions], update


@dataclasses.dataclass(frozen=True)
class Return:
    """The sum of rewards over the trial so far, with the ends of episodes.

    Attributes:
      reward: [H].
      ended: [H] whether an episode ended with the step.
    """

    reward: np.ndarray
    ended: np.ndarray

    def draw(self, axes: Axes) -> Moving:
        """Draw the axes; the curve grows, and lines at ends of episodes come as they happen."""
        curve = np.concatenate([[0.0], np.cumsum(self.reward, dtype=np.float64)])
        times = np.arange(len(curve))
        few = self.ended.sum() <= MOST_EPISODES
        ends = np.flatnonzero(self.ended) + 1 if few else np.zeros(0, int)
        plain(axes, "return so far" + (" (lines: episodes)" if len(ends) else ""))
        axes.set_xlim(0, max(len(self.reward), 1))
        low, high = curve.min(), curve.max()
        room = 0.06 * (high - low or 1.0)
        axes.set_ylim(low - room, high + room)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        lines = LineCollection([], colors="0.45", linewidths=1.2, linestyles=(0, (4, 2)))
        axes.add_collection(lines, autolim=False)
        (line,) = axes.plot([], [], color=INK, linewidth=2)
        (head,) = axes.plot([], [], "o", color=CHOSEN, markersize=7, markeredgecolor="black")

        def update(step: int) -> None:
            done = step + 1
            lines.set_segments([[(x, low - room), (x, high + room)] for x in ends[ends <= done]])
            line.set_data(times[: done + 1], curve[: done + 1])
            head.set_data([done], [curve[done]])

        return [lines, line, head], update


def plain(axes: Axes, title: str) -> None:
    """Give a panel its title and take away what no panel needs."""
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)


def episode_starts(ended: np.ndarray) -> np.ndarray:
    """Return [H] the first step of the episode of each step."""
    steps = np.arange(len(ended))
    first = np.concatenate([[True], ended[:-1]])
    return np.maximum.accumulate(np.where(first, steps, 0))
