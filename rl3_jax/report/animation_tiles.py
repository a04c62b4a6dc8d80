"""The panel of an animation that shows the agent on a map of tiles."""

import dataclasses

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

from rl3_jax.picture import FREE, Tiles
from rl3_jax.report.animation import Moving
from rl3_jax.report.animation_panels import CHOSEN, episode_starts, plain


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


@dataclasses.dataclass(frozen=True)
class Walk:
    """The agent on a map of tiles, and its way in this episode.

    Attributes:
      title: of the panel.
      tiles: the map.
      position: [H, 2] row and column before each step.
      ended: [H] whether an episode ended with the step.
    """

    title: str
    tiles: Tiles
    position: np.ndarray
    ended: np.ndarray

    def draw(self, axes: Axes) -> Moving:
        """Draw the map and its legend; the way and the agent move."""
        plain(axes, self.title)
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
        (way,) = axes.plot([], [], color=CHOSEN, linewidth=3, solid_joinstyle="round", alpha=0.9)
        style = {"markeredgecolor": "black", "markeredgewidth": 2.5, "color": CHOSEN}
        (agent,) = axes.plot([], [], "o", markersize=15, **style)
        starts = episode_starts(self.ended)

        def update(step: int) -> None:
            rows, columns = self.position[starts[step] : step + 1].T
            way.set_data(columns, rows)
            agent.set_data(columns[-1:], rows[-1:])

        return [way, agent], update
