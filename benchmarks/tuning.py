"""What each value of the baselines' hyperparameters earns, on tasks that no evaluation sees.

python benchmarks/tuning.py bandit --num-arms 10 --horizon 200
make tuning    # all settings of results/tuning, from which rl3_jax/baselines/registry.py has the best values
"""

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from common import markdown
from jaxtyping import Array, Float, Int

from rl3_jax import ConfigError, compile_cache, constraints, make_family
from rl3_jax.baselines import Baseline, asked_names, baseline_names, make_baselines, plain_name
from rl3_jax.baselines.gittins import discounted_gittins
from rl3_jax.errors import unknown_choice
from rl3_jax.run.baselines import baseline_problems
from rl3_jax.run.evaluation import task_set_problems
from rl3_jax.run.progress import tracker
from rl3_jax.tasks import Bandit, Gridworld, RandomMdp, TaskFamily
from rl3_jax.training import evaluate, serialise
from rl3_jax.training.evaluation import BATCH, held_out_tasks
from rl3_jax.training.train import Purpose, stream, task_keys
from rl3_jax.trial import METHODS, Behaviour, TrialEnv, run_trials

STATIC_SHARE = 4
"""Candidates that set sizes are tried on this many times fewer tasks: they draw many samples a step."""
COLUMNS = {"value": "value", "mean": "mean return", "loss": "less than the best", "error": "±"}


@dataclasses.dataclass(frozen=True)
class Grid:
    """The values of one hyperparameter that are tried.

    Attributes:
      field: the hyperparameter, a field of the baseline.
      candidates: the values.
      static: whether the value sets sizes, so that each is a program of its own.
      draws: whether the value is a number of posterior draws, whose cost bounds it: see `MOST_DRAWS`.
    """

    field: str
    candidates: tuple[int | float, ...]
    static: bool = False
    draws: bool = False

    def make(self, baseline: Any, value: Any) -> Baseline:
        """Return a baseline with this value of the hyperparameter."""
        return dataclasses.replace(baseline, **{self.field: value})


class DiscountGrid(Grid):
    """Discounts γ, each of which has a table of Gittins indices."""

    def make(self, baseline: Any, value: Any) -> Baseline:
        """Return the policy of a discount."""
        return discounted_gittins(value)


GRIDS: dict[str, dict[str, Grid]] = {
    Bandit.family: {
        "epsilon-greedy": Grid("epsilon", (0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15)),
        "ucb1": Grid(
            "exploration", (0.1, 0.13, 0.16, 0.19, 0.22, 0.25, 0.28, 0.31, 0.34, 0.37, 0.4, 0.45, 0.5)
        ),
        "optimistic-thompson": Grid("num_samples", (4, 8, 12, 16, 24, 32, 48, 64), static=True, draws=True),
        "gittins-discounted": DiscountGrid("discount", (0.9, 0.99, 0.999, 0.9999)),
    },
    RandomMdp.family: {
        # Greedy, which stands beside it, is the limit of less.
        "epsilon-greedy": Grid("epsilon", (0.05, 0.1, 0.15, 0.2, 0.3)),
        "ucrl2": Grid(
            "scale", (0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.28, 0.31, 0.34, 0.37, 0.4, 0.45)
        ),
        "beb": Grid(
            "bonus", (6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 23.0, 26.0, 29.0, 32.0, 38.0, 45.0)
        ),
        "opsrl": Grid("num_samples", (5, 10, 20, 30, 50), static=True),
        "ucrl2-tabularl": Grid("scale", (0.1, 0.16, 0.25, 0.4, 0.63)),
        "beb-tabularl": Grid("scale", (0.0, 0.0001, 0.00025, 0.0004, 0.00063, 0.001, 0.0016, 0.0025, 0.004)),
    },
    Gridworld.family: {"q-learning": Grid("epsilon", (0.0, 0.02, 0.05, 0.1, 0.2, 0.3))},
}
"""Family → name of a baseline → what is tuned of it."""

MOST_DRAWS = 50_000
"""Numbers drawn in the first 100 steps of a trial, at most, by optimistic Thompson sampling.

It bounds the time that an evaluation takes (docs/measurements.md).
"""


def candidates(grid: Grid, env: Any) -> tuple[int | float, ...]:
    """Return the values that are tried in a trial."""
    if not grid.draws:
        return grid.candidates
    each = env.num_actions * min(env.horizon, 100)
    bearable = tuple(value for value in grid.candidates if value * each <= MOST_DRAWS)
    return bearable or (min(grid.candidates),)


TUNING_SEED = 1000
"""Names the tuning tasks; evaluation takes seed 0 unless told otherwise, and shares no task with them."""


class Tuning(NamedTuple):
    """What was measured of each of C candidates, all on the same tasks.

    Attributes:
      candidates: [C] the values tried.
      returns: [C, B] return of each candidate on each task.
    """

    candidates: Sequence[Any]
    returns: Float[np.ndarray, "C B"]

    @property
    def mean_returns(self) -> Float[np.ndarray, " C"]:
        """[C] mean return of each candidate."""
        return self.returns.mean(axis=1)

    @property
    def best(self) -> Any:
        """The candidate of the largest mean return, the first among equals."""
        return self.candidates[int(self.mean_returns.argmax())]

    @property
    def losses(self) -> Float[np.ndarray, " C"]:
        """[C] how much less than the best candidate each returns on average."""
        return self.mean_returns.max() - self.mean_returns

    @property
    def loss_errors(self) -> Float[np.ndarray, " C"]:
        """[C] standard errors of the losses, from the differences on each task; 0 for the best."""
        differences = self.returns[self.mean_returns.argmax()] - self.returns
        return differences.std(axis=1, ddof=1) / np.sqrt(differences.shape[1])


def tune(
    env: TrialEnv,
    make: Callable[[Any], Behaviour],
    candidates: Sequence[Any],
    *,
    num_tasks: int,
    seed: int = TUNING_SEED,
    static: bool = False,
    track: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Tuning:
    """Return what each candidate value of a hyperparameter earns on the tuning tasks.

    Args:
      env: the trial.
      make: returns the behaviour with a value of the hyperparameter, as `Ucb1` does.
      candidates: the values.
      num_tasks: B.
      seed: names the tasks.
      static: whether the value sets sizes. If not, it is a leaf of the behaviour and one compiled program
        runs all candidates at once; if so, each has its own.
      track: wraps the iteration over batches or candidates, to show progress.
    """
    if static:
        returns = [
            evaluate(env, make(value), num_tasks=num_tasks, seed=seed).sum(axis=1, dtype=np.float64)
            for value in track(candidates)
        ]
        return Tuning(candidates, np.stack(returns))
    batch = min(BATCH, num_tasks)
    values = jnp.asarray(candidates, jnp.float32)
    parts = [
        jax.device_get(_returns(env, make, values, seed, start, batch))
        for start in track(range(0, num_tasks, batch))
    ]
    return Tuning(candidates, np.concatenate(parts, axis=1, dtype=np.float64)[:, :num_tasks])


@partial(jax.jit, static_argnames=("env", "make", "num_tasks"))
def _returns(
    env: TrialEnv,
    make: Callable[[Any], Behaviour],
    candidates: Float[Array, " C"],
    seed: Int[Array, ""] | int,
    start: Int[Array, ""] | int,
    num_tasks: int,
) -> Float[Array, "C B"]:
    """Return the return of each candidate on each task, with indices from `start` on."""
    tasks = held_out_tasks(env, seed, start, num_tasks)
    keys = task_keys(stream(jax.random.key(seed), Purpose.EVALUATION_TRIAL), start, num_tasks)
    return jax.vmap(lambda value: run_trials(env, make(value), tasks, keys).rewards.sum(axis=1))(candidates)


def tune_baselines(
    family: TaskFamily,
    horizon: int,
    *,
    num_tasks: int = 2000,
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
    problems = constraints.problems(family) + task_set_problems(horizon, num_tasks, 0)
    problems += tuning_problems(family, horizon, names, prior_reward)
    if problems:
        raise ConfigError(problems)
    env = TrialEnv(family, horizon=horizon, features=METHODS["rl2"])
    tuned = []
    for name in asked_names(tunable(family, horizon, prior_reward), names):
        grid = GRIDS[family.family][plain_name(name)]
        baseline = make_baselines(family, horizon, (name,), prior_reward)[name]
        tasks = max(2, num_tasks // STATIC_SHARE) if grid.static else num_tasks
        found = tune(
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
        "seed": TUNING_SEED,
        "tuned": tuned,
    }


def tunable(family: TaskFamily, horizon: int, prior_reward: float | None) -> list[str]:
    """Return the names of the baselines that have something to tune."""
    known = baseline_names(family, horizon, prior_reward)
    return [name for name in known if plain_name(name) in GRIDS.get(family.family, {})]


def tuning_problems(
    family: TaskFamily, horizon: int, names: Collection[str], prior_reward: float | None
) -> list[str]:
    """Return a message for each name that cannot be tuned, and for a family without any that can."""
    if problems := baseline_problems(family, horizon, (), prior_reward):
        return problems
    known = tunable(family, horizon, prior_reward)
    if not known:
        return [f"family {family.family} has no baseline that has something to tune"]
    return [
        unknown_choice("tunable baseline", name, known) for name in names if not asked_names(known, [name])
    ]


def _summary(found: Tuning) -> dict[str, Any]:
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


@dataclasses.dataclass(frozen=True)
class Options:
    """What to tune.

    Attributes:
      family: the task family.
      num_arms: of a bandit; the family's own number if not given.
      horizon: trial length; the family's usual one if not given.
      num_tasks: tuning tasks; a quarter for candidates that set sizes.
      names: of the baselines; all that have something to tune, if none is given.
      prior_reward: mean reward that baselines of random MDPs believe in beforehand; only those are tuned.
      json: file for the result.
    """

    family: tyro.conf.Positional[str]
    num_arms: int | None = None
    horizon: int | None = None
    num_tasks: int = 2000
    names: tuple[str, ...] = ()
    prior_reward: float | None = None
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None


def main() -> None:
    """Tune, print a table for each baseline and write the result."""
    options = tyro.cli(Options, description=__doc__)
    try:
        family = make_family(
            options.family, **({} if options.num_arms is None else {"num_arms": options.num_arms})
        )
        horizon = family.trial_length if options.horizon is None else options.horizon
        asked = {name: getattr(options, name) for name in ("num_tasks", "names", "prior_reward")}
        with compile_cache():
            found = tune_baselines(family, horizon, progress=True, **asked)
    except ConfigError as error:
        raise SystemExit("\n".join(error.problems)) from None
    for entry in found["tuned"]:
        print(f"{entry['name']}, {entry['field']}, {entry['num_tasks']} tasks\n")
        columns = (entry[name] for name in ("candidates", "mean_returns", "losses", "loss_errors"))
        rows = [
            dict(zip(COLUMNS, (f"{value:g}", *(f"{x:.2f}" for x in rest)), strict=True))
            for value, *rest in zip(*columns, strict=True)
        ]
        print(markdown(rows, COLUMNS) + "\n")
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
