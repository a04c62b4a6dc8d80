"""Describing a task family: what characterises the tasks it draws."""

from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from rl3_jax import constraints
from rl3_jax.errors import ConfigError
from rl3_jax.run.compile_cache import compile_cache
from rl3_jax.run.evaluation import DEFAULT_NUM_TASKS, task_set_problems
from rl3_jax.run.progress import tracker
from rl3_jax.tasks import TaskFamily
from rl3_jax.training.evaluate import BATCH
from rl3_jax.training.train import Purpose, stream, task_keys


@compile_cache()
def describe(
    family: TaskFamily, *, num_tasks: int = DEFAULT_NUM_TASKS, seed: int = 0, progress: bool = False
) -> dict[str, Any]:
    """Return the statistics of a family's tasks, each with its standard error over tasks.

    Where a family rejects some of what it draws, `num_tasks` counts all candidates.

    Args:
      family: the family.
      num_tasks: candidates drawn.
      seed: names the set of tasks.
      progress: show it.

    Returns:
      `{family, variation, num_tasks, seed, statistics: {name: {mean, standard_error}}}`; None in place of
      what too few tasks do not tell.

    Raises:
      ConfigError: listing every argument that is not valid.
    """
    if problems := constraints.problems(family) + task_set_problems(1, num_tasks, seed):
        raise ConfigError(problems)
    batch = min(BATCH, num_tasks)
    track = tracker("drawing tasks", visible=progress)
    parts = [_statistics(family, seed, start, batch) for start in track(range(0, num_tasks, batch))]
    statistics = {
        name: _summary(np.concatenate([np.asarray(part[name], np.float64) for part in parts])[:num_tasks])
        for name in parts[0]
    }
    return {
        "family": family.family,
        "variation": family.variation,
        "num_tasks": num_tasks,
        "seed": seed,
        "statistics": statistics,
    }


@partial(jax.jit, static_argnames=("family", "num_tasks"))
def _statistics(
    family: TaskFamily, seed: Int[Array, ""] | int, start: Int[Array, ""] | int, num_tasks: int
) -> dict[str, Float[Array, " N"]]:
    """Return the statistics of each candidate, with indices from `start` on."""
    keys = task_keys(stream(jax.random.key(seed), Purpose.EVALUATION_TASK), start, num_tasks)
    return family.statistics(jax.vmap(family.sample_candidate)(keys))


def _summary(numbers: Float[np.ndarray, " N"]) -> dict[str, float | None]:
    """Return mean and standard error of the numbers that are not NaN."""
    numbers = numbers[~np.isnan(numbers)]
    error = numbers.std(ddof=1) / np.sqrt(len(numbers)) if len(numbers) > 1 else None
    return {
        "mean": float(numbers.mean()) if len(numbers) else None,
        "standard_error": None if error is None else float(error),
    }
