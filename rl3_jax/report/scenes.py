"""What is drawn of a recorded trial, as plain arrays; imports matplotlib, which is slow."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from rl3_jax.object_rl import Tiling
from rl3_jax.picture import Arms, Line, Plane, Tiles
from rl3_jax.policies import Distribution, SquashedGaussian
from rl3_jax.report.animation import FIGURE_SPACE, Panel, Scene
from rl3_jax.report.maps import Heat, Paths, Track, Walk
from rl3_jax.report.panels import Bars, Intervals, Return, Returns
from rl3_jax.training.recording import Recording
from rl3_jax.trial import TrialEnv

NO_VALUES, NO_TABLE = "visits (no object-level values)", "visits (values are in no table)"
"""Titles of visits that are shown without values."""
LAYOUTS = {2: ((1.4, 1.0), (8.4, 5.2)), 3: ((1.0, 1.0, 0.85), (9.6, 4.3))}
"""Widths of the columns to each other and size of the picture, inches of 100 pixels, by number of columns."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """A recorded trial and what is needed to read it: the distribution of actions, a name for the caption."""

    env: TrialEnv
    task: Any
    distribution: Distribution
    recording: Recording
    name: str

    @property
    def action_names(self) -> list[str]:
        """Names of the actions, or of the numbers in one: the family's own, or numbers."""
        action = self.recording.action
        count = self.env.num_actions if action.ndim == 1 else action.shape[1]
        return list(self.env.family.action_names) or [str(i) for i in range(count)]

    @property
    def visits(self) -> np.ndarray:
        """[H, S, A] how often each action had been taken in each place before each step."""
        record, env = self.recording, self.env
        assert record.place is not None
        num_places = env.family.num_states or env.object_rl.table.num_states
        taken = np.zeros((len(record.place), num_places, env.num_actions), np.float32)
        taken[np.arange(len(taken)), record.place, record.table_action] = 1.0
        return np.cumsum(taken, axis=0) - taken


def make_scene(trial: Trial) -> Scene:
    """Return the scene of a trial: what its family says, the meta-policy, and the return."""
    columns = _columns(trial)
    columns.append(
        {"policy": _policy(trial), "return": Return(trial.recording.reward, trial.recording.ended)}
    )
    captions = [
        f"{begin}   reward {reward:+.2f}   return {total:+.2f}"
        for begin, reward, total in zip(_steps(trial), trial.recording.reward, _totals(trial), strict=True)
    ]
    return Scene(captions, trial.recording.ended[None], columns, *LAYOUTS[len(columns)])


def make_pair(trials: Sequence[Trial], names: Sequence[str]) -> Scene:
    """Return the scene of two agents on the same task: where each is, and the returns of both."""
    columns: list[Mapping[str, Panel]] = []
    for number, (trial, name) in enumerate(zip(trials, names, strict=True)):
        (first, panel), *rest = _columns(trial)[0].items()
        column = {first: dataclasses.replace(panel, title=name), **dict(rest)}  # pyright: ignore
        columns.append({f"{name} {number}": panel for name, panel in column.items()})
    columns.append({"return": Returns(names, np.stack([trial.recording.reward for trial in trials]))})
    totals = zip(*map(_totals, trials), strict=True)
    captions = [
        f"{begin}   " + "   ".join(f"{name} {total:+.2f}" for name, total in zip(names, each, strict=True))
        for begin, each in zip(_steps(trials[0], episodes=False), totals, strict=True)
    ]
    ended = np.stack([trial.recording.ended for trial in trials])
    return Scene(captions, ended, columns, *LAYOUTS[3])


def _columns(trial: Trial) -> list[Mapping[str, Panel]]:
    """Return what a family says of a trial: where the agent is, and what it knows."""
    record, env = trial.recording, trial.env
    picture = env.family.picture(trial.task, record.inner)
    if isinstance(picture, Arms):
        return [{"values": _arms(trial, picture)}]
    if isinstance(picture, Tiles):
        cells = np.argwhere(np.ones(picture.codes.shape)) if picture.cells is None else picture.cells
        walk = Walk("way in this episode", picture, cells[record.place][:, ::-1], record.ended)
        return [{"walk": walk}, {"values": _map(trial, cells, picture.codes.shape, picture)}]
    if picture is None and env.family.num_states:
        return [{"table": _table(trial)} | ({} if record.q is None else {"values": _here(trial)})]
    place = picture or _seen(record, env.family.observation_names)
    columns: list[Mapping[str, Panel]] = [
        {"track": Track("way in each episode", place, record.ended)}
        if isinstance(place, Line)
        else {"plane": Paths("paths of the episodes", place, record.ended, record.action)}
    ]
    return columns if record.q is None else [*columns, {"values": _tiles(trial)}]


def _steps(trial: Trial, *, episodes: bool = True) -> list[str]:
    """Return how the first line begins at each step."""
    ended = trial.recording.ended
    episode = (np.cumsum(ended) - ended + 1).tolist()
    digits, most = (f"{FIGURE_SPACE}>{len(str(largest))}" for largest in (len(ended), episode[-1]))
    return [
        f"{trial.name}   step {step + 1:{digits}}/{len(ended)}"
        + (f"   episode {episode[step]:{most}}" if episodes else "")
        for step in range(len(ended))
    ]


def _totals(trial: Trial) -> np.ndarray:
    """Return the return so far after each step."""
    return np.cumsum(trial.recording.reward, dtype=np.float64)


def _policy(trial: Trial) -> Panel:
    """Return what the meta-policy was about to do, and what it did."""
    record, distribution, names = trial.recording, trial.distribution, trial.action_names
    if isinstance(distribution, SquashedGaussian):
        mean, log_std = np.split(record.parameters, 2, axis=-1)
        latent = np.stack([mean + side * np.exp(log_std) for side in (-1.0, 0.0, 1.0)])
        spread = np.asarray(distribution.to_env(jnp.asarray(latent)))
        bounds = np.stack([distribution.low, distribution.high], axis=1)
        return Intervals("meta-policy: ± σ, and action", spread, record.action, names, bounds)
    return Bars("meta-policy: probabilities", np.exp(record.parameters), names, record.action)


def _here(trial: Trial) -> Bars:
    """Return the values of the actions in the current state."""
    record, binned = trial.recording, trial.recording.action.ndim > 1
    assert record.q is not None
    return Bars(
        title="values of the current state, × tries",
        heights=record.q,
        names=[str(a) for a in range(trial.env.num_actions)] if binned else trial.action_names,
        chosen=record.table_action,
        counts=record.counts,
        xlabel="bin of the action" if binned else "action",
        top=0.0,
    )


def _arms(trial: Trial, picture: Arms) -> Bars:
    """Return values and pulls of the arms beside their true ones."""
    record = trial.recording
    counts, heights, what = record.counts, record.q, "values"
    if counts is None or heights is None:
        pulled = np.eye(trial.env.num_actions)[record.action]
        paid = pulled * record.reward[:, None]
        counts, what = np.cumsum(pulled, axis=0) - pulled, "mean reward seen"
        heights = (np.cumsum(paid, axis=0) - paid) / np.maximum(counts, 1.0)
    return Bars(
        title=f"{what}, × pulls, true means (lines)",
        heights=heights,
        names=trial.action_names,
        chosen=record.action,
        counts=counts,
        truth=picture.truth,
        xlabel="arm",
    )


def _table(trial: Trial) -> Heat:
    """Return the values of all pairs of states and actions."""
    record, visits = trial.recording, trial.visits
    assert record.place is not None
    title = _untabled(record) or "values of pairs tried, visits"
    values, counts = (x.swapaxes(1, 2) for x in (tried(record.table, visits), visits))
    outline = np.array([[state, 0, 1, trial.env.num_actions] for state in record.place])
    return Heat(title, values, counts, outline, row_names=trial.action_names)


def _map(trial: Trial, cells: np.ndarray, shape: tuple[int, ...], tiles: Tiles | None = None) -> Heat:
    """Return the values of places that are cells of a map, of which `cells` [S, 2] has row and column.

    A cell with several states has the best value of theirs, and the visits of all.
    """
    record, visits = trial.recording, trial.visits
    values, counts = np.full((len(visits), *shape), np.nan), np.zeros((len(visits), *shape))
    best, taken = best_tried(record.table, visits), visits.sum(-1)
    for state, (row, column) in enumerate(cells):
        values[:, row, column] = np.fmax(values[:, row, column], best[:, state])
        counts[:, row, column] += taken[:, state]
    outline = np.pad(cells[record.place][:, ::-1], ((0, 0), (0, 2)), constant_values=1)
    title = _untabled(record) or "values (best action tried), visits"
    return Heat(title, values, counts, outline, tiles)


def _untabled(record: Recording) -> str:
    """Return the title of visits that are shown without values, or nothing."""
    if record.table is not None:
        return ""
    return NO_VALUES if record.q is None else NO_TABLE


def _tiles(trial: Trial) -> Panel:
    """Return the values of the tiles of a plane, if there are some, else of the current state."""
    abstraction = trial.env.abstraction
    if not isinstance(abstraction, Tiling) or len(abstraction.bins) != 2 or trial.recording.table is None:
        return _here(trial)
    x, y = np.indices(abstraction.bins).reshape(2, -1)
    columns, rows = abstraction.bins
    return _map(trial, np.stack([rows - 1 - y, x], axis=1), (rows, columns))


def _seen(record: Recording, names: Sequence[str]) -> Plane | Line:
    """Return the path of the first two numbers that the policy saw, or of the only one."""
    seen = np.asarray(record.observation).reshape(len(record.reward), -1)
    if seen.shape[1] == 1:
        return Line(seen[:, 0], name=names[0] if names else "observation")
    position = seen[:, :2]
    low, high = position.min(0), position.max(0)
    room = 0.1 * np.maximum(high - low, 1e-3)
    first, second, *_ = *names, *(f"observation {number}" for number in range(len(names), 2))
    return Plane(position, np.stack([low - room, high + room], axis=1), names=(first, second))


def best_tried(table: np.ndarray | None, visits: np.ndarray) -> np.ndarray:
    """Return [H, S] the largest value among the actions tried in each place, NaN where there is none.

    Where rewards are negative the largest of all would be that of an action never tried, for long.
    """
    return np.fmax.reduce(tried(table, visits), axis=-1)


def tried(table: np.ndarray | None, visits: np.ndarray) -> np.ndarray:
    """Return [H, S, A] the values of pairs tried, NaN for the others; all NaN without a table."""
    return np.where(visits > 0, np.nan if table is None else table, np.nan)
