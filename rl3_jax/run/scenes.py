"""What is drawn of a recorded trial, as plain arrays; imports matplotlib, which is slow."""

import numpy as np

from rl3_jax.picture import Arms, Plane, Tiles
from rl3_jax.report.animation import Panel, Scene
from rl3_jax.report.animation_maps import Heat, Paths
from rl3_jax.report.animation_panels import Bars
from rl3_jax.report.animation_tiles import Walk
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


def make_scene(trial: Trial) -> Scene:
    """Return the scene of a trial, made of what its family says."""
    picture = trial.env.family.picture(trial.task, trial.recording.inner)
    if isinstance(picture, Arms):
        return _arms_scene(trial, picture)
    if isinstance(picture, Tiles):
        return _grid_scene(trial, picture)
    if isinstance(picture, Plane):
        return _plane_scene(trial, picture)
    return _table_scene(trial) if trial.recording.index is not None else _vector_scene(trial)


def _arms_scene(trial: Trial, picture: Arms) -> Scene:
    """Return values and pulls of the arms beside their true ones."""
    record = trial.recording
    arms = trial.env.num_actions
    pulls, mean = _pulls(record, arms)
    heights = mean if record.q is None else record.q
    title = "mean reward seen" if record.q is None else "values"
    values = Bars(
        title=f"{title}, × pulls, true means (lines)",
        heights=heights,
        names=action_names(trial),
        limits=(min(0.0, float(heights.min())), max(1.0, float(heights.max()))),
        chosen=record.action,
        counts=pulls if record.counts is None else record.counts,
        truth=picture.truth,
        xlabel="arm",
    )
    return compose(trial, {"values": values}, [["values", "policy"], ["values", "return"]], (1.4, 1.0), TALL)


def _table_scene(trial: Trial) -> Scene:
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


def _vector_scene(trial: Trial) -> Scene:
    """Return the path of the first two numbers of the state, and the values of the current one."""
    position = _first_two(np.asarray(trial.recording.observation))
    low, high = position.min(0), position.max(0)
    room = 0.1 * np.maximum(high - low, 1e-3)
    return _plane_scene(trial, Plane(position, np.stack([low - room, high + room], axis=1)))


def _grid_scene(trial: Trial, tiles: Tiles) -> Scene:
    """Return a map and the values of its cells."""
    record = trial.recording
    assert record.index is not None
    shape = tiles.codes.shape
    cells = np.argwhere(np.ones(shape)) if tiles.cells is None else tiles.cells
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


def _plane_scene(trial: Trial, picture: Plane) -> Scene:
    """Return paths in a plane, beside the values of tiles if those cover it, else of the current state."""
    plane = Paths("paths of the episodes", picture, trial.recording.ended, trial.recording.action)
    values = tile_values(trial, picture.position)
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
