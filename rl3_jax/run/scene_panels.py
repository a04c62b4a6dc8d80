"""The panels of a recorded trial that more than one family has, as plain arrays."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from rl3_jax.object_rl import Tiling
from rl3_jax.policies import Distribution, SquashedGaussian
from rl3_jax.report.animation import Panel, Scene
from rl3_jax.report.animation_maps import Heat
from rl3_jax.report.animation_panels import Bars, Intervals, Return
from rl3_jax.run.recording import Recording
from rl3_jax.trial import TrialEnv

BEST_TRIED = "values (best action tried), visits"
NO_VALUES = "visits (no object-level values)"
"""Titles."""
FIGURE_SPACE = "\u2007"
"""As wide as a digit, so that what follows a number stands still."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """A recorded trial and what is needed to read it.

    Attributes:
      env: the trial.
      task: its task.
      distribution: of the actions.
      recording: what happened.
      name: of family, variation, agent and task, for the caption.
    """

    env: TrialEnv
    task: Any
    distribution: Distribution
    recording: Recording
    name: str


def current_values(trial: Trial) -> Bars:
    """Return the values of the actions in the current state."""
    record = trial.recording
    assert record.q is not None
    binned = record.action.ndim > 1
    return Bars(
        title="values of the current state, × tries",
        heights=record.q,
        names=[str(a) for a in range(trial.env.num_actions)] if binned else action_names(trial),
        limits=(min(0.0, float(record.q.min())), max(0.0, float(record.q.max()))),
        chosen=None if binned else record.action,
        counts=record.counts,
        xlabel="bin of the action" if binned else "action",
    )


def _policy(trial: Trial) -> Panel:
    """Return what the meta-policy was about to do, and what it did."""
    record, distribution = trial.recording, trial.distribution
    if isinstance(distribution, SquashedGaussian):
        mean, log_std = np.split(record.parameters, 2, axis=-1)
        low, middle, high = (
            np.asarray(distribution.to_env(jnp.asarray(mean + side * np.exp(log_std))))
            for side in (-1.0, 0.0, 1.0)
        )
        return Intervals(
            title="meta-policy: ± σ, and action",
            low=low,
            middle=middle,
            high=high,
            action=record.action,
            names=action_names(trial),
            bounds=np.stack([distribution.low, distribution.high], axis=1),
        )
    return Bars(
        title="meta-policy: probabilities",
        heights=np.exp(record.parameters),
        names=action_names(trial),
        limits=(0.0, 1.0),
        chosen=record.action,
        xlabel="action",
    )


def compose(
    trial: Trial,
    panels: dict[str, Panel],
    mosaic: list[list[str]],
    widths: tuple[float, ...],
    size: tuple[float, float],
) -> Scene:
    """Return a scene with the panels that each has, the meta-policy's and the return's."""
    record = trial.recording
    always = {"policy": _policy(trial), "return": Return(record.reward, record.ended)}
    return Scene(_captions(trial), panels | always, mosaic, widths, size)


def _captions(trial: Trial) -> list[str]:
    """Return what the first line says at each step."""
    record = trial.recording
    horizon = len(record.reward)
    episode = (np.cumsum(record.ended) - record.ended + 1).tolist()
    total = np.cumsum(record.reward, dtype=np.float64)
    digits, most = len(str(horizon)), len(str(episode[-1]))
    return [
        f"{trial.name}   step {_number(step + 1, digits)}/{horizon}   episode {_number(episode[step], most)}"
        f"   reward {record.reward[step]:+.2f}   return {total[step]:+.2f}"
        for step in range(horizon)
    ]


def _number(value: int, digits: int) -> str:
    """Return a whole number in a fixed width."""
    return str(value).rjust(digits).replace(" ", FIGURE_SPACE)


def action_names(trial: Trial) -> list[str]:
    """Return the names of the actions, or of the numbers in one: the family's own, or numbers."""
    action = trial.recording.action
    count = trial.env.num_actions if action.ndim == 1 else action.shape[1]
    return list(trial.env.family.action_names) or [str(i) for i in range(count)]


def tile_values(trial: Trial, position: np.ndarray) -> Heat | None:
    """Return the values of the tiles of a plane, if there are some."""
    env, record = trial.env, trial.recording
    abstraction = env.abstraction
    if not isinstance(abstraction, Tiling) or len(abstraction.bins) != 2 or record.table is None:
        return None
    assert record.visits is not None
    low, high = np.array(env.family.coordinate_bounds).T
    bins = np.array(abstraction.bins)
    place = np.clip(np.floor(bins * (position - low) / (high - low)), 0, bins - 1)
    ones = np.ones(len(place))
    return Heat(
        title=BEST_TRIED,
        values=_as_plane(best_tried(record.table, record.visits), abstraction.bins),
        counts=_as_plane(record.visits.sum(-1), abstraction.bins),
        outline=np.stack([place[:, 0], bins[1] - 1 - place[:, 1], ones, ones], axis=1),
        square=True,
    )


def _as_plane(tiles: np.ndarray, bins: tuple[int, ...]) -> np.ndarray:
    """Return [H, y, x] the numbers of [H, S] tiles, with y upward."""
    return tiles.reshape(-1, *bins).swapaxes(1, 2)[:, ::-1]


def state_visits(trial: Trial) -> np.ndarray:
    """Return [H, S, A] how often each action had been taken in each integer state before each step."""
    record = trial.recording
    if record.visits is not None and not isinstance(trial.env.abstraction, Tiling):
        return record.visits
    assert record.index is not None
    visits = np.zeros((len(record.index), trial.env.family.num_states, trial.env.num_actions), np.float32)
    # Vectors are counted by state alone, as if they all were action 0.
    visits[np.arange(len(visits)), record.index, record.action if record.action.ndim == 1 else 0] = 1.0
    return np.cumsum(visits, axis=0) - visits


def state_table(trial: Trial) -> np.ndarray | None:
    """Return [H, S, A] the values in each integer state, if object-level RL has them."""
    return None if isinstance(trial.env.abstraction, Tiling) else trial.recording.table


def best_tried(table: np.ndarray | None, visits: np.ndarray) -> np.ndarray:
    """Return [H, S] the largest value among the actions tried in each state, NaN where there is none.

    Where rewards are negative the largest of all would be that of an action never tried, for long.
    """
    best = np.max(tried(table, visits), axis=-1, initial=-np.inf, where=visits > 0)
    return np.where(np.isfinite(best), best, np.nan)


def tried(table: np.ndarray | None, visits: np.ndarray) -> np.ndarray:
    """Return [H, S, A] the values of pairs tried, NaN for the others; all NaN without a table."""
    return np.where(visits > 0, np.nan if table is None else table, np.nan)
