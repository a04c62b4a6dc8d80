"""What result files hold of the trials on held-out tasks (design, section 8)."""

import math
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from rl3_jax.training import serialise
from rl3_jax.training.evaluation import task_set_hash
from rl3_jax.trial import TrialEnv, Trials

CURVE_POINTS = 20
"""Parts of the trial over which the reward curve averages."""
ADAPTATION_POINTS = 25
"""Groups of episodes over which the adaptation curve averages, at most."""
ADAPTATION = ("episodes", "num_tasks", "mean", "standard_error")
"""Fields of an adaptation curve."""


def summarise(name: str, trials: Trials) -> dict[str, Any]:
    """Return one entry of a result file.

    Fields: `name`; `mean_return` and its `standard_error` over tasks; `returns` of each task;
    `reward_curve`, the mean reward per step in each twentieth of the trial (each step, if H < 20);
    `adaptation`, what the function of this name returns; and `summary`, for each number by which the family
    sums up a trial, what `over_tasks` returns.
    """
    rewards = np.asarray(trials.rewards)
    returns = rewards.sum(axis=1, dtype=np.float64)
    parts = np.array_split(rewards.mean(axis=0, dtype=np.float64), min(CURVE_POINTS, rewards.shape[1]))
    return {
        "name": name,
        "mean_return": float(returns.mean()),
        "standard_error": float(returns.std(ddof=1) / np.sqrt(len(returns))),
        "returns": [round(float(value), 4) for value in returns],
        "reward_curve": [float(part.mean()) for part in parts],
        "adaptation": adaptation(rewards, np.asarray(trials.ends)),
        "summary": {key: over_tasks(np.asarray(values)) for key, values in trials.summary.items()},
    }


def over_tasks(values: Float[np.ndarray, " B"]) -> dict[str, Any]:
    """Return the `mean` of a number over tasks, its `standard_error`, and over how many tasks: `num_tasks`.

    Tasks where it is NaN do not count. The mean of no task and the standard error of one are None.
    """
    defined = np.asarray(values, np.float64)
    defined = defined[~np.isnan(defined)]
    count = len(defined)
    return {
        "mean": float(defined.mean()) if count else None,
        "standard_error": float(defined.std(ddof=1) / np.sqrt(count)) if count > 1 else None,
        "num_tasks": count,
    }


def adaptation(rewards: Float[np.ndarray, "B H"], ends: Bool[np.ndarray, "B H"]) -> dict[str, list[Any]]:
    """Return the reward per episode over the episodes of the trial, the adaptation curve.

    Episodes that H cuts short are left out. Where tasks end theirs at different times, so are those that
    fewer than half of the tasks completed: later ones are of ever fewer tasks, and of the shortest episodes.

    Returns:
      Lists with a place for each of up to `ADAPTATION_POINTS` groups of consecutive episodes: `episodes`,
      the number of the group's last episode, counted from 1; `num_tasks`, how many completed the group; of
      these, the `mean` reward of an episode and its `standard_error`.
    """
    completed = ends.sum(axis=1)
    enough = max(2, math.ceil(len(ends) / 2))  # one task has no standard error
    count = int(np.sort(completed)[-enough])
    groups = np.array_split(np.arange(count), min(ADAPTATION_POINTS, max(1, count)))
    earned = _earned(rewards, ends, count)
    rows = []
    for group in groups if count else ():
        first, last = int(group[0]), int(group[-1]) + 1
        each = (earned[:, last] - earned[:, first])[completed >= last] / len(group)
        error = each.std(ddof=1) / np.sqrt(len(each))
        rows.append((last, len(each), round(float(each.mean()), 6), round(float(error), 6)))
    columns = zip(*rows, strict=True) if rows else [()] * len(ADAPTATION)
    return {name: list(column) for name, column in zip(ADAPTATION, columns, strict=True)}


def _earned(
    rewards: Float[np.ndarray, "B H"], ends: Bool[np.ndarray, "B H"], count: int
) -> Float[np.ndarray, "B E"]:
    """Return [B, 1 + count] the sum of a task's rewards up to the end of each episode, 0 before the first.

    What stands for episodes that a task did not complete has no meaning.
    """
    sums = np.cumsum(rewards, axis=1, dtype=np.float64)
    # A stable sort brings the steps that end episodes to the front, in their order.
    last_steps = np.argsort(~ends, axis=1, kind="stable")[:, :count]
    return np.pad(np.take_along_axis(sums, last_steps, axis=1), ((0, 0), (1, 0)))


def result_file(env: TrialEnv, results: list[dict[str, Any]], *, num_tasks: int, seed: int) -> dict[str, Any]:
    """Return the content of a result file (design, section 8) from the entries of `summarise`."""
    return {
        "family": env.family.family,
        "variation": env.family.variation,
        "task": serialise.to_dict(env.family),
        "horizon": env.horizon,
        "num_tasks": num_tasks,
        "eval_seed": seed,
        "task_set_sha256": task_set_hash(env, num_tasks=num_tasks, seed=seed),
        "results": results,
    }
