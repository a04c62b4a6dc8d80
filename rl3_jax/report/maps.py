"""The panels of an animation that show where the agent is, and what it knows of places."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap
from matplotlib.image import AxesImage
from matplotlib.patches import Circle, Patch, Rectangle
from matplotlib.patheffects import withStroke

from rl3_jax.picture import FREE, Line, Plane, Tiles
from rl3_jax.report.animation import Moving
from rl3_jax.report.panels import CHOSEN, INK, borders

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
      values: NaN where there are none yet.
      counts: visits.
      outline: column, row, width and height of the cells of the current state.
      tiles: a map whose tiles without values are drawn here, too, or None.
      row_names: of a table of pairs of actions and states; without them cells are places, and square.
    """

    title: str
    values: Float[np.ndarray, "H R C"]
    counts: Float[np.ndarray, "H R C"]
    outline: Int[np.ndarray, "H 4"]
    tiles: Tiles | None = None
    row_names: Sequence[str] = ()

    def draw(self, axes: Axes) -> Moving:
        """Draw the empty cells, hatched, and the colour bar; values, dots and the outline move."""
        axes.set_title(self.title)
        _, rows, columns = self.values.shape
        style = {"facecolor": "0.96", "edgecolor": "0.75", "hatch": "////", "linewidth": 0}
        axes.add_patch(Rectangle((-0.5, -0.5), columns, rows, **style))
        image = self._image(axes)
        if self.tiles is not None:
            paint(axes, self.tiles, valued=False)
        if self.row_names:
            axes.set_xticks(range(0, columns, -(-columns // 20)))
            axes.set_yticks(range(rows), self.row_names)
            axes.set_xlabel("state")
        else:
            axes.set(xticks=[], yticks=[], anchor="N")
        axes.spines[:].set_visible(True)
        dots = axes.scatter([], [], s=[], facecolor="white", edgecolor="black", linewidth=1.0)
        edge = [withStroke(linewidth=5.0, foreground="black")]
        frame = Rectangle((0, 0), 1, 1, fill=False, edgecolor=CHOSEN, linewidth=2.4, path_effects=edge)
        axes.add_patch(frame)
        most = max(float(self.counts.max()), 1.0)
        largest = LARGEST_DOT * min(1.0, 11 / max(rows, columns)) ** 2

        def update(step: int) -> None:
            image.set_data(np.ma.masked_invalid(self.values[step]))
            visited = np.argwhere(self.counts[step] > 0)
            dots.set_offsets(visited[:, ::-1])
            dots.set_sizes(largest * self.counts[step][tuple(visited.T)] / most)
            x, y, width, height = self.outline[step]
            frame.set_bounds(x - 0.5, y - 0.5, width, height)

        return [image, dots, frame], update

    def _image(self, axes: Axes) -> AxesImage:
        """Return the picture of the values, on one scale over the whole trial, and draw its colour bar."""
        known = self.values[np.isfinite(self.values)]
        low, high = np.percentile(known, SCALE) if known.size else (0.0, 1.0)
        low, high = (low, high) if high > low else (low - 0.5, low + 0.5)
        empty, aspect = np.zeros(self.values.shape[1:]), "auto" if self.row_names else "equal"
        image = axes.imshow(empty, cmap=VALUES, vmin=low, vmax=high, aspect=aspect, interpolation="nearest")
        if known.size and self.row_names:
            axes.figure.colorbar(image, ax=axes, pad=0.03, extend="both")
        elif known.size:  # below, where a map beside it has its legend, so that the two stay level
            below = axes.inset_axes((0.05, -0.11, 0.9, 0.05))
            axes.figure.colorbar(image, cax=below, extend="both", orientation="horizontal")
        return image


@dataclasses.dataclass(frozen=True)
class Walk:
    """The agent on a map of tiles, at a column and a row, and its way in this episode."""

    title: str
    tiles: Tiles
    position: Int[np.ndarray, "H 2"]
    ended: Bool[np.ndarray, " H"]

    def draw(self, axes: Axes) -> Moving:
        """Draw the map and its legend; the way and the agent move."""
        axes.set_title(self.title)
        paint(axes, self.tiles)
        axes.spines[:].set_visible(True)
        present = [self.tiles.kinds[code] for code in np.unique(self.tiles.codes)]
        handles = [
            Patch(facecolor=kind.colour, edgecolor="0.6", hatch=kind.hatch, label=f"{kind.name} {kind.mark}")
            for kind in present
            if kind is not FREE
        ]
        style = {"frameon": False, "handlelength": 1.0, "handletextpad": 0.4, "columnspacing": 1.0}
        axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=3, **style)
        return trace(axes, self.position, self.ended)


@dataclasses.dataclass(frozen=True)
class Paths:
    """Paths in a plane, one an episode; actions are drawn if the plane says how long."""

    title: str
    plane: Plane
    ended: Bool[np.ndarray, " H"]
    action: Shaped[np.ndarray, "H ..."]

    def draw(self, axes: Axes) -> Moving:
        """Draw the goal; earlier paths, body, action, path and agent move."""
        plane = self.plane
        xlabel, ylabel = plane.names
        axes.set(title=self.title, xlim=plane.bounds[0], ylim=plane.bounds[1], xlabel=xlabel, ylabel=ylabel)
        axes.set_aspect("equal", anchor="N")
        axes.grid(alpha=0.3)
        axes.spines[:].set_visible(True)
        if plane.goal is not None:
            style = {"facecolor": "0.85", "edgecolor": INK, "hatch": "///", "linewidth": 1.2}
            axes.add_patch(Circle(tuple(plane.goal), plane.goal_radius, **style))
            axes.plot(*plane.goal, "*", color="black", markersize=18)
        earlier = LineCollection([], colors="0.62", linewidths=1.2)
        axes.add_collection(earlier, autolim=False)
        (body,) = axes.plot([], [], "-o", color="0.35", linewidth=5, markersize=8, solid_capstyle="round")
        (arrow,) = axes.plot([], [], color="black", linewidth=2.4)
        moving, trace_to = trace(axes, plane.position, self.ended)
        episodes = np.split(plane.position, np.flatnonzero(self.ended) + 1)
        number = np.cumsum(self.ended) - self.ended

        def update(step: int) -> None:
            trace_to(step)
            earlier.set_segments(episodes[: number[step]])
            if plane.arrow_length:
                here = plane.position[step]
                arrow.set_data(*np.stack([here, here + plane.arrow_length * self.action[step]]).T)
            if plane.body is not None:
                body.set_data(*plane.body[step].T)

        return [earlier, body, arrow, *moving], update


@dataclasses.dataclass(frozen=True)
class Track:
    """The position on a line over the steps of the trial, with the ends of episodes."""

    title: str
    line: Line
    ended: Bool[np.ndarray, " H"]

    def draw(self, axes: Axes) -> Moving:
        """Draw the goal; earlier episodes, their ends, this one and the agent move."""
        position, line = self.line.position, self.line
        axes.set(title=self.title, xlabel="step", ylabel=line.name)
        known = position if line.goal is None else np.append(position, line.goal)
        room = 0.06 * (np.ptp(known) or 1.0)
        axes.set(xlim=(0, max(len(position), 1)), ylim=(known.min() - room, known.max() + room))
        axes.grid(alpha=0.3)
        if line.goal is not None:
            axes.axhline(line.goal, color=INK, linewidth=2, linestyle=":")
            axes.annotate("goal", (1, line.goal), xycoords=("axes fraction", "data"), ha="right", va="bottom")
        earlier = LineCollection([], colors="0.62", linewidths=1.6)
        axes.add_collection(earlier, autolim=False)
        lines, mark = borders(axes, self.ended)
        points = np.stack([np.arange(len(position)), position], axis=1)
        moving, trace_to = trace(axes, points, self.ended)
        episodes = np.split(points, np.flatnonzero(self.ended) + 1)
        number = np.cumsum(self.ended) - self.ended

        def update(step: int) -> None:
            mark(step)
            trace_to(step)
            earlier.set_segments(episodes[: number[step]])

        return [earlier, *lines, *moving], update


def paint(axes: Axes, tiles: Tiles, *, valued: bool = True) -> None:
    """Draw the tiles and their marks; only those that never have a value, if not `valued`."""
    rows, columns = tiles.codes.shape
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[])
    axes.set_aspect("equal", anchor="N")
    for (row, column), code in np.ndenumerate(tiles.codes):
        kind = tiles.kinds[code]
        if kind.enters and not valued:
            continue
        style = {"facecolor": kind.colour, "edgecolor": "0.6", "linewidth": 0.6, "hatch": kind.hatch}
        axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, **style))
        style = {"ha": "center", "va": "center_baseline", "color": kind.ink, "fontweight": "bold"}
        axes.text(column, row, kind.mark, fontsize=13, **style)


def trace(axes: Axes, position: np.ndarray, ended: np.ndarray) -> Moving:
    """Make the agent, at [H, 2] places, and its path in the current episode."""
    (path,) = axes.plot([], [], color=CHOSEN, linewidth=3, solid_joinstyle="round", alpha=0.9)
    style = {"markeredgecolor": "black", "markeredgewidth": 2.2, "color": CHOSEN}
    (agent,) = axes.plot([], [], "o", markersize=14, **style)
    agent.set(clip_on=False, in_layout=False)  # whole in the outermost cells, too
    starts = episode_starts(ended)

    def update(step: int) -> None:
        path.set_data(*position[starts[step] : step + 1].T)
        agent.set_data(*position[step : step + 1].T)

    return [path, agent], update


def episode_starts(ended: np.ndarray) -> np.ndarray:
    """Return [H] the first step of the episode of each step."""
    first = np.concatenate([[True], ended[:-1]])
    return np.maximum.accumulate(np.where(first, np.arange(len(ended)), 0))
