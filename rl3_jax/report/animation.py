"""Animations of one trial: panels side by side, one frame a step, as a GIF.

What stays is drawn once; each frame copies that picture and draws only what moves. Drawing everything anew
takes far longer (docs/measurements.md).
"""

import dataclasses
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

DPI = 100
FONT: dict[Any, Any] = {"font.size": 11, "axes.titlesize": 12, "axes.labelsize": 11, "hatch.linewidth": 0.6}
"""Points; at half size the smallest letters are still seven pixels high."""
CAPTION = 13
"""Points of the line of text, unless it is too long for that."""
COLOURS = 255
"""Of the one palette of all frames; the 256th is left to mean `as before`."""
PALETTE_FRAMES = 8
"""Frames, spread over the trial, from which the palette is taken."""
LAST_FRAME = 2.0
"""Seconds for which the last frame stands."""

FIGURE_SPACE = "\u2007"
"""As wide as a digit, so that what follows a number stands still."""
CLOCK = 0.035
"""Height of the clock at the bottom, in pictures."""

Moving = tuple[Sequence[Artist], Callable[[int], None]]
"""The artists of a panel that move, in the order of drawing, and what sets them to a step."""


class Panel(Protocol):
    """One part of a picture: plain arrays over the steps of a trial, and how they are drawn."""

    def draw(self, axes: Axes) -> Moving:
        """Draw what stays and make what moves."""
        ...


@dataclasses.dataclass(frozen=True)
class Clock:
    """How much of the trial is over, with a border at the end of each episode, in a row for each agent."""

    ended: Bool[np.ndarray, "n H"]

    def draw(self, axes: Axes) -> Moving:
        """Draw the whole trial; what is over of it grows, and borders come as episodes end."""
        rows, horizon = self.ended.shape
        axes.set(xlim=(0, horizon), ylim=(rows, 0), xticks=[], yticks=[])
        axes.spines[:].set_visible(True)
        (done,) = axes.barh(rows / 2, 0, height=rows, facecolor="#9db4c8")
        borders = LineCollection([], colors="black", linewidths=1.2)
        axes.add_collection(borders, autolim=False)
        between = [axes.axhline(row, color="black", linewidth=0.8) for row in range(1, rows)]
        ends = [(row, step + 1) for row, step in np.argwhere(self.ended)]

        def update(step: int) -> None:
            done.set_width(step + 1)
            borders.set_segments([[(x, row), (x, row + 1)] for row, x in ends if x <= step + 1])

        return [done, *between, borders], update


@dataclasses.dataclass(frozen=True)
class Scene:
    """An animation before it is drawn.

    Attributes:
      captions: [H] a line of text for each step.
      ended: whether an episode of each of n agents ended with a step.
      columns: one or two panels above each other, by name.
      widths: of the columns, to each other.
      size: width and height, inches of 100 pixels.
    """

    captions: Sequence[str]
    ended: Bool[np.ndarray, "n H"]
    columns: Sequence[Mapping[str, Panel]]
    widths: Sequence[float]
    size: tuple[float, float]

    @property
    def panels(self) -> dict[str, Panel]:
        """All of them by name."""
        return {name: panel for column in self.columns for name, panel in column.items()}


class Stage:
    """A scene on a canvas, which shows one step at a time."""

    def __init__(self, scene: Scene):
        """Draw what stays."""
        # A Figure of its own, not pyplot's: no display, no global state.
        figure = Figure(figsize=scene.size, dpi=DPI, layout="constrained")
        self._canvas = FigureCanvasAgg(figure)
        # The line of text is no part of the layout, which keeps room for it by an empty title.
        figure.suptitle(" ", fontsize=CAPTION)
        caption = figure.text(0.01, 0.99, "", va="top", fontsize=CAPTION)
        size = float(CAPTION)
        for _ in range(3):  # letters do not shrink quite as their size does
            size *= min(1.0, 0.98 * figure.bbox.width / self._width(caption, scene.captions))
            caption.set_fontsize(size)
        names = [list(column) for column in scene.columns]
        rows = (0, -1) if max(map(len, names)) > 1 else (0,)
        mosaic: Any = [[column[row] for column in names] for row in rows]
        axes = figure.subplot_mosaic(mosaic, width_ratios=scene.widths)
        self._artists: list[Artist] = [caption]
        self._updates: list[Callable[[int], object]] = [lambda step: caption.set_text(scene.captions[step])]
        clock = figure.add_axes((0.01, 0.008, 0.98, CLOCK - 0.016))
        figure.get_layout_engine().set(rect=(0.0, CLOCK, 1.0, 1.0 - CLOCK))  # pyright: ignore
        clock.set_in_layout(False)
        for at, panel in [
            (clock, Clock(scene.ended)),
            *((axes[name], panel) for name, panel in scene.panels.items()),
        ]:
            at.spines[["top", "right"]].set_visible(False)
            artists, update = panel.draw(at)
            self._artists += artists
            self._updates.append(update)
        for artist in self._artists:
            artist.set_animated(True)
        self._canvas.draw()
        figure.set_layout_engine("none")
        self._still: Any = self._canvas.copy_from_bbox(figure.bbox)

    def _width(self, caption: Text, lines: Sequence[str]) -> float:
        """Return how wide the widest line is; digits are all as wide, and no sign is wider than +."""
        widths = []
        for line in {re.sub(rf"[\d{FIGURE_SPACE}]", "0", line).replace("-", "+") for line in lines}:
            caption.set_text(line)
            widths.append(caption.get_window_extent(self._canvas.get_renderer()).width)
        return max(1.0, *widths)

    def show(self, step: int) -> Image.Image:
        """Return the picture of a step."""
        self._canvas.restore_region(self._still)
        for update in self._updates:
            update(step)
        for artist in self._artists:
            artist.draw(self._canvas.get_renderer())
        return Image.fromarray(np.asarray(self._canvas.buffer_rgba())[..., :3].copy())


def animate(scene: Scene, steps: Iterable[int], shown: Sequence[int], fps: float) -> bytes:
    """Return a GIF, which repeats, of the steps `shown`; `steps` are the same, wrapped to show progress."""
    each = round(100 / fps) * 10  # milliseconds; GIF counts hundredths of a second
    duration = [each] * (len(shown) - 1) + [round(LAST_FRAME * 1000)]
    buffer = io.BytesIO()
    with rc_context(FONT):
        stage = Stage(scene)
        chosen = np.unique(np.linspace(0, len(shown) - 1, PALETTE_FRAMES).round().astype(int))
        pictures = np.concatenate([np.asarray(stage.show(shown[place])) for place in chosen])
        palette = Image.fromarray(pictures).quantize(COLOURS, method=Image.Quantize.MEDIANCUT)
        frames = (stage.show(step).quantize(palette=palette, dither=Image.Dither.NONE) for step in steps)
        options = {"save_all": True, "append_images": frames, "duration": duration, "loop": 0}
        next(frames).save(buffer, format="GIF", optimize=True, **options)
    return buffer.getvalue()
