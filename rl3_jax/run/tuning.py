"""Tuning the baselines: what each value of a grid earns on tasks that no evaluation sees."""

from collections.abc import Collection
from typing import Any

from rl3_jax import constraints, training
from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.run.compile_cache import compile_cache
from rl3_jax.run.evaluation import DEFAULT_NUM_TASKS, baseline_problems, task_set_problems
from rl3_jax.run.progress import tracker
from rl3_jax.tasks import TaskFamily
from rl3_jax.training import serialise
from rl3_jax.trial import METHODS, TrialEnv

STATIC_SHARE = 4
"""Candidates that set sizes are tried on this many times fewer tasks: they draw many samples a step."""


@compile_cache()
def tune_baselines(
    family: TaskFamily,
    horizon: int,
    *,
    num_tasks: int = DEFAULT_NUM_TASKS,
    names: Collection[str] = (),
    prior_reward: float | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Return what each candidate hyperparameter of a family's baselines earns on the tuning tasks.

    Args:
      family: the task family.
      horizon: trial length.
      num_tasks: tuning tasks; for candidates that set sizes, a `STATIC_SHARE` of them.
      names: of the baselines; all that have something to tune, if there are none.
      prior_reward: m. If given, those alone that believe beforehand in a mean reward, m.
      progress: show it.

    Returns:
      `{family, variation, task, horizon, prior_reward, seed, tuned: [{name, field, num_tasks, best,
      candidates, mean_returns, standard_error, losses, loss_errors}]}`: the standard error is that of the
      best's mean return, and the losses are what each candidate earns less than the best on the same tasks.

    Raises:
      ConfigError: listing every argument that is not valid.
    """
    # Imported here since only this and the evaluation of baselines need them.
    from rl3_jax.baselines import GRIDS, asked_names, candidates, make_baselines, plain_name

    problems = constraints.problems(family) + task_set_problems(horizon, num_tasks, 0)
    problems += tuning_problems(family.family, horizon, names, prior_reward)
    if problems:
        raise ConfigError(problems)
    env = TrialEnv(family, horizon=horizon, features=METHODS["rl2"])
    tuned = []
    for name in asked_names(tunable(family.family, horizon, prior_reward), names):
        grid = GRIDS[family.family][plain_name(name)]
        baseline = make_baselines(family, horizon, (name,), prior_reward)[name]
        tasks = max(2, num_tasks // STATIC_SHARE) if grid.static else num_tasks
        found = training.tune(
            env,
            lambda value, grid=grid, baseline=baseline: grid.make(baseline, value),
            candidates(grid, env),
            num_tasks=tasks,
            static=grid.static,
            track=tracker(name, visible=progress),
        )
        tuned.append({"name": name, "field": grid.field, "num_tasks": tasks} | _summary(found))
    return {
        "family": family.family,
        "variation": family.variation,
        "task": serialise.to_dict(family),
        "horizon": horizon,
        "prior_reward": prior_reward,
        "seed": training.TUNING_SEED,
        "tuned": tuned,
    }


def tunable(family: str, horizon: int, prior_reward: float | None) -> list[str]:
    """Return the names of the baselines that have something to tune."""
    from rl3_jax.baselines import GRIDS, baseline_names, plain_name

    known = baseline_names(family, horizon, prior_reward)
    return [name for name in known if plain_name(name) in GRIDS.get(family, {})]


def tuning_problems(
    family: str, horizon: int, names: Collection[str], prior_reward: float | None
) -> list[str]:
    """Return a message for each name that cannot be tuned, and for a family without any that can."""
    from rl3_jax.baselines import asked_names

    if problems := baseline_problems(family, horizon, (), prior_reward):
        return problems
    known = tunable(family, horizon, prior_reward)
    if not known:
        return [f"family {family} has no baseline that has something to tune"]
    return [
        unknown_choice("tunable baseline", name, known) for name in names if not asked_names(known, [name])
    ]


def _summary(found: training.Tuning) -> dict[str, Any]:
    """Return what was measured, as JSON values."""
    best = found.returns[found.mean_returns.argmax()]
    return {
        "best": found.best,
        "candidates": list(found.candidates),
        "mean_returns": found.mean_returns.tolist(),
        "standard_error": float(best.std(ddof=1) / len(best) ** 0.5),
        "losses": found.losses.tolist(),
        "loss_errors": found.loss_errors.tolist(),
    }
