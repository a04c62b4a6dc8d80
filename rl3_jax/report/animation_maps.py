"""The panels of an animation that show values as colours, and paths in a plane."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.image import AxesImage
from matplotlib.patches import Circle, Rectangle

from rl3_jax import picture
from rl3_jax.report.animation import Moving
from rl3_jax.report.animation_panels import CHOSEN, INK, episode_starts, plain
from rl3_jax.report.animation_tiles import paint

VALUES = ListedColormap(colormaps["cividis"](np.linspace(0.25, 1.0, 256)), "values")
"""Lightness grows from end to end, for all kinds of colour vision; it starts well above that of obstacles."""
SCALE = (2.0, 98.0)
"""Percentiles of all values shown at the ends of the colour map: the first guesses lie far off the rest."""
LARGEST_DOT = 110.0
"""Area of the dot of the largest count, square points, where a cell has a side of 30 pixels."""


@dataclasses.dataclass(frozen=True)
class Heat:
    """Values of cells as they grow, with the visits as dots whose area is their number.

    Attributes:
      title: of the panel.
      values: [H, R, C], NaN where there are none yet.
      counts: [H, R, C] visits.
      outline: [H, 4] column, row, width and height of the cells of the current state.
      square: whether cells are square, as places are.
      tiles: a map whose tiles without values are drawn here, too, or None.
      row_names: [R] or none.
      xlabel: of the columns.
    """

    title: str
    values: np.ndarray
    counts: np.ndarray
    outline: np.ndarray
    square: bool = False
    tiles: picture.Tiles | None = None
    row_names: Sequence[str] = ()
    xlabel: str = ""

    def draw(self, axes: Axes) -> Moving:
        """Draw the empty cells, hatched, and the colour bar; values, dots and the outline move."""
        plain(axes, self.title)
        _, rows, columns = self.values.shape
        style = {"facecolor": "0.96", "edgecolor": "0.75", "hatch": "////", "linewidth": 0}
        axes.add_patch(Rectangle((-0.5, -0.5), columns, rows, **style))
        image = self._image(axes)
        if self.tiles is not None:
            paint(axes, self.tiles, valued=False)
        if self.square:
            axes.set(xticks=[], yticks=[], anchor="N")
        else:
            every = -(-columns // 20)
            axes.set_xticks(range(0, columns, every))
            axes.set_yticks(range(rows), self.row_names or [str(row) for row in range(rows)])
            axes.set_xlabel(self.xlabel)
        axes.spines[:].set_visible(True)
        dots = axes.scatter([], [], s=[], facecolor="white", edgecolor="black", linewidth=1.0)
        # The cells of the current state, in a colour with a dark edge.
        frames = [
            Rectangle((0, 0), 1, 1, fill=False, edgecolor=colour, linewidth=width)
            for colour, width in (("black", 5.0), (CHOSEN, 2.4))
        ]
        for frame in frames:
            axes.add_patch(frame)
        most = max(float(self.counts.max()), 1.0)
        largest = LARGEST_DOT * min(1.0, 11 / max(rows, columns)) ** 2

        def update(step: int) -> None:
            image.set_data(np.ma.masked_invalid(self.values[step]))
            visited = np.argwhere(self.counts[step] > 0)
            dots.set_offsets(visited[:, ::-1])
            dots.set_sizes(largest * self.counts[step][tuple(visited.T)] / most)
            x, y, width, height = self.outline[step]
            for frame in frames:
                frame.set_bounds(x - 0.5, y - 0.5, width, height)

        return [image, dots, *frames], update

    def _image(self, axes: Axes) -> AxesImage:
        """Return the picture of the values, on one scale over the whole trial, and draw its colour bar."""
        known = self.values[np.isfinite(self.values)]
        low, high = np.percentile(known, SCALE) if known.size else (0.0, 1.0)
        low, high = (low, high) if high > low else (low - 0.5, low + 0.5)
        aspect = "equal" if self.square else "auto"
        empty = np.zeros(self.values.shape[1:])
        image = axes.imshow(empty, cmap=VALUES, vmin=low, vmax=high, aspect=aspect, interpolation="nearest")
        if not known.size:
            return image
        if self.square:  # below, where a map beside it has its legend, so that the two stay level
            below = axes.inset_axes((0.05, -0.11, 0.9, 0.05))
            axes.figure.colorbar(image, cax=below, extend="both", orientation="horizontal")
        else:
            axes.figure.colorbar(image, ax=axes, pad=0.03, extend="both")
        return image


@dataclasses.dataclass(frozen=True)
class Paths:
    """Paths in a plane, one an episode.

    Attributes:
      title: of the panel.
      plane: what is in it.
      ended: [H] whether an episode ended with the step.
      action: [H, 2], drawn if the plane says how long.
    """

    title: str
    plane: picture.Plane
    ended: np.ndarray
    action: np.ndarray

    def draw(self, axes: Axes) -> Moving:
        """Draw the goal; paths, body, action and agent move."""
        plain(axes, self.title)
        axes.set(xlim=self.plane.bounds[0], ylim=self.plane.bounds[1])
        axes.set_aspect("equal", anchor="N")
        axes.grid(alpha=0.3)
        axes.spines[:].set_visible(True)
        self._draw_goal(axes)
        earlier = LineCollection([], colors="0.62", linewidths=1.2)
        axes.add_collection(earlier, autolim=False)
        (path,) = axes.plot([], [], color=INK, linewidth=2.4)
        (body,) = axes.plot([], [], "-o", color="0.35", linewidth=5, markersize=8, solid_capstyle="round")
        (arrow,) = axes.plot([], [], color="black", linewidth=2.4)
        style = {"markeredgecolor": "black", "markeredgewidth": 2, "color": CHOSEN}
        (agent,) = axes.plot([], [], "o", markersize=12, **style)
        starts = episode_starts(self.ended)
        episodes = np.split(self.plane.position, np.flatnonzero(self.ended) + 1)
        number = np.cumsum(self.ended) - self.ended

        def update(step: int) -> None:
            here = self.plane.position[step]
            earlier.set_segments(episodes[: number[step]])
            path.set_data(*self.plane.position[starts[step] : step + 1].T)
            agent.set_data(here[:1], here[1:])
            if self.plane.arrow_length:
                arrow.set_data(*np.stack([here, here + self.plane.arrow_length * self.action[step]]).T)
            if self.plane.body is not None:
                body.set_data(*self.plane.body[step].T)

        return [earlier, path, body, arrow, agent], update

    def _draw_goal(self, axes: Axes) -> None:
        """Draw the goal, if there is one."""
        goal, radius = self.plane.goal, self.plane.goal_radius
        if goal is None:
            return
        if radius:
            style = {"facecolor": "0.85", "edgecolor": INK, "hatch": "///", "linewidth": 1.2}
            axes.add_patch(Circle((goal[0], goal[1]), radius, **style))
        axes.plot(*goal, "*", color="black", markersize=18)
