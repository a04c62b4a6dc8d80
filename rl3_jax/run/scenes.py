"""What is drawn of a recorded trial, as plain arrays; imports matplotlib, which is slow."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rl3_jax.report.animation import Panel, Scene
from rl3_jax.report.animation_maps import Heat, Plane
from rl3_jax.report.animation_panels import Bars
from rl3_jax.report.animation_tiles import FREE, TileKind, Tiles, Walk
from rl3_jax.run.recording import Recording
from rl3_jax.run.scene_panels import (
    BEST_TRIED,
    NO_VALUES,
    Trial,
    action_names,
    best_tried,
    compose,
    current_values,
    state_table,
    state_visits,
    tile_values,
    tried,
)

WIDE, TALL = (9.6, 4.3), (8.4, 5.2)
"""Sizes of pictures, inches of 100 pixels."""

GRIDWORLD_TILES = (
    FREE,
    TileKind("obstacle", "#262626", hatch="xx", enters=False),
    TileKind("water", "#7fb2dd", "≈"),
    TileKind("start", "#e8e8e8", "S"),
    TileKind("goal", "#4a9a55", "★", "white", enters=False),
    TileKind("danger", "#a8281f", "✕", "white", enters=False),
    TileKind("warning", "#ffd75e", "!"),
)
"""How the tiles of gridworld look, by their codes."""
LAKE_TILES = (
    TileKind("start", "#e8e8e8", "S"),
    FREE,
    TileKind("hole", "#3f6f94", "●", "white", enters=False),
    TileKind("goal", "#4a9a55", "★", "white", enters=False),
)
"""How those of a frozen lake look."""
MAZE_TILES = (FREE, GRIDWORLD_TILES[1], LAKE_TILES[3])
"""Open cells, walls and the goal of a maze."""


def make_scene(trial: Trial) -> Scene:
    """Return the scene that fits the family of a trial."""
    make = SCENES.get(trial.env.family.family)
    if make is None:
        make = table_scene if trial.recording.index is not None else vector_scene
    return make(trial)


def bandit_scene(trial: Trial) -> Scene:
    """Return values and pulls of the arms beside their true success probabilities."""
    record = trial.recording
    arms = trial.env.num_actions
    pulls, mean = _pulls(record, arms)
    heights = mean if record.q is None else record.q
    title = "mean reward seen" if record.q is None else "values"
    values = Bars(
        title=f"{title}, × pulls, true probabilities (lines)",
        heights=heights,
        names=action_names(trial),
        limits=(min(0.0, float(heights.min())), max(1.0, float(heights.max()))),
        chosen=record.action,
        counts=pulls if record.counts is None else record.counts,
        truth=trial.task.success_probability,
        xlabel="arm",
    )
    return compose(trial, {"values": values}, [["values", "policy"], ["values", "return"]], (1.4, 1.0), TALL)


def table_scene(trial: Trial) -> Scene:
    """Return the values of all pairs of states and actions, and those of the current state."""
    record = trial.recording
    assert record.index is not None
    visits, values = state_visits(trial), state_table(trial)
    where = record.index.astype(float)
    ones = np.ones_like(where)
    table = Heat(
        title=NO_VALUES if values is None else "values of pairs tried, visits",
        values=tried(values, visits).swapaxes(1, 2),
        counts=visits.swapaxes(1, 2),
        outline=np.stack([where, 0 * ones, ones, trial.env.num_actions * ones], axis=1),
        row_names=action_names(trial),
        xlabel="state",
    )
    mosaic = [["table", "policy"], ["table", "return"]]
    if record.q is None:
        return compose(trial, {"table": table}, mosaic, (1.4, 1.0), TALL)
    panels: dict[str, Panel] = {"table": table, "values": current_values(trial)}
    return compose(trial, panels, [["table", "policy"], ["values", "return"]], (1.4, 1.0), TALL)


def gridworld_scene(trial: Trial) -> Scene:
    """Return the grid, and the values of the cells visited."""
    family: Any = trial.env.family
    side = family.layout.side
    return _grid_scene(trial, Tiles(trial.task.tiles.reshape(side, side), GRIDWORLD_TILES))


def frozen_lake_scene(trial: Trial) -> Scene:
    """Return the lake, and the values of the tiles visited."""
    return _grid_scene(trial, Tiles(trial.task.params.desc, LAKE_TILES))


def maze_scene(trial: Trial) -> Scene:
    """Return the maze, and the values of the cells visited."""
    family: Any = trial.env.family
    cells = family.cells
    codes = np.ones(cells.max(axis=0) + 2, np.int32)
    codes[tuple(cells.T)] = 0
    codes[tuple(trial.task.fields["goal"])] = 2
    return _grid_scene(trial, Tiles(codes, MAZE_TILES), cells)


def vector_scene(trial: Trial) -> Scene:
    """Return the path of the first two numbers of the state, and the values of the current one."""
    position = _first_two(np.asarray(trial.recording.observation))
    low, high = position.min(0), position.max(0)
    room = 0.1 * np.maximum(high - low, 1e-3)
    return _plane_scene(trial, position, bounds=np.stack([low - room, high + room], axis=1))


def point_robot_scene(trial: Trial) -> Scene:
    """Return paths, goal, and the values of the tiles."""
    position = trial.recording.inner.wrapped.pos
    bounds = np.array(trial.env.family.coordinate_bounds)
    bounds = np.stack(
        [np.minimum(bounds[:, 0], position.min(0)), np.maximum(bounds[:, 1], position.max(0))], 1
    )
    radius = max(float(trial.task.params.goal_radius), 0.0)
    goal, arrow = trial.task.fields["goal"], 3.0 * trial.recording.action
    return _plane_scene(trial, position, bounds=bounds, goal=goal, goal_radius=radius, arrow=arrow)


def reacher_scene(trial: Trial) -> Scene:
    """Return the arm, the paths of its tip, and the values of the current state."""
    angles, lengths = trial.recording.inner.wrapped.angles, trial.task.params.link_lengths
    links = lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    joints = np.concatenate([np.zeros_like(links[:, :1]), np.cumsum(links, axis=1)], axis=1)
    reach = 1.1 * lengths.sum()
    options = {"goal": trial.task.fields["goal_xy"], "bounds": np.array([[-reach, reach]] * 2)}
    return _plane_scene(trial, joints[:, -1], body=joints, **options)


SCENES: dict[str, Callable[[Trial], Scene]] = {
    "bandit": bandit_scene,
    "mdp": table_scene,
    "gridworld": gridworld_scene,
    "frozen-lake": frozen_lake_scene,
    "four-rooms": maze_scene,
    "meta-maze": maze_scene,
    "point-robot": point_robot_scene,
    "reacher": reacher_scene,
}
"""How the trial of a family is drawn; families of integer states that are not here are drawn as `mdp`."""


def _grid_scene(trial: Trial, tiles: Tiles, cells: np.ndarray | None = None) -> Scene:
    """Return a map and the values of its cells.

    Args:
      trial: the trial.
      tiles: the map.
      cells: [S, 2] row and column of each integer state; if not given, they are numbered row by row.
    """
    record = trial.recording
    assert record.index is not None
    shape = tiles.codes.shape
    cells = np.argwhere(np.ones(shape)) if cells is None else cells
    position = cells[record.index]
    visits, table = state_visits(trial), state_table(trial)
    values, counts = np.full((len(position), *shape), np.nan), np.zeros((len(position), *shape))
    values[:, cells[:, 0], cells[:, 1]] = best_tried(table, visits)
    counts[:, cells[:, 0], cells[:, 1]] = visits.sum(-1)
    ones = np.ones(len(position))
    heat = Heat(
        title=NO_VALUES if table is None else BEST_TRIED,
        values=values,
        counts=counts,
        outline=np.stack([position[:, 1], position[:, 0], ones, ones], axis=1),
        square=True,
        tiles=tiles,
    )
    walk = Walk("way in this episode", tiles, position, record.ended)
    mosaic = [["walk", "values", "policy"], ["walk", "values", "return"]]
    return compose(trial, {"walk": walk, "values": heat}, mosaic, (1.0, 1.0, 0.85), WIDE)


def _plane_scene(trial: Trial, position: np.ndarray, **options: Any) -> Scene:
    """Return paths in a plane, beside the values of tiles if those cover it, else of the current state."""
    plane = Plane("paths of the episodes", position, trial.recording.ended, **options)
    values = tile_values(trial, position)
    if values is None and trial.recording.q is not None:
        values = current_values(trial)
    if values is None:
        return compose(trial, {"plane": plane}, [["plane", "policy"], ["plane", "return"]], (1.3, 1.0), TALL)
    mosaic = [["plane", "values", "policy"], ["plane", "values", "return"]]
    return compose(trial, {"plane": plane, "values": values}, mosaic, (1.0, 1.0, 0.85), WIDE)


def _pulls(record: Recording, arms: int) -> tuple[np.ndarray, np.ndarray]:
    """Return [H, A] how often each arm had been pulled before each step, and the mean of what it paid."""
    pulled = np.eye(arms)[record.action]
    pulls = np.cumsum(pulled, axis=0) - pulled
    paid = pulled * record.reward[:, None]
    return pulls, (np.cumsum(paid, axis=0) - paid) / np.maximum(pulls, 1.0)


def _first_two(rows: np.ndarray) -> np.ndarray:
    """Return [H, 2] the first two numbers of each row; the second is 0 where there is one."""
    rows = rows.reshape(len(rows), -1)[:, :2]
    return np.pad(rows, ((0, 0), (0, 2 - rows.shape[1])))
