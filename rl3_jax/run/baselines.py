"""The baselines' results on held-out tasks, each computed once and kept on disk."""

import contextlib
import functools
import hashlib
import json
import math
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

from rl3_jax import baselines, constraints, training
from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.report.gather import exceeds
from rl3_jax.run.agent import LoadedAgent, agent_of, named
from rl3_jax.run.evaluation import DEFAULT_NUM_TASKS, asked_env, note, task_set_problems
from rl3_jax.run.files import cache_folder, write_json
from rl3_jax.run.machine import versions
from rl3_jax.run.program import is_from_outside
from rl3_jax.run.program_cache import compile_cache
from rl3_jax.run.progress import tracker
from rl3_jax.tasks import TaskFamily
from rl3_jax.trial import TrialEnv

DECIDING = ("tasks", "object_rl", "trial", "baselines", "training", "bins.py", "grid.py")
"""Parts of the package whose code decides what a baseline scores."""


@compile_cache()
def evaluate_baselines(
    family: TaskFamily,
    horizon: int,
    *,
    num_tasks: int = DEFAULT_NUM_TASKS,
    seed: int = 0,
    names: Collection[str] = (),
    prior_reward: float | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Return the result file of a family's baselines, the optimum last, on the same tasks as an agent's.

    What was computed before is read from `rl3_jax/baselines` in $XDG_CACHE_HOME or ~/.cache, if it was by the
    same code on the same tasks; the folder may be deleted at any time. Families from outside this package,
    whose code may change, are computed each time.

    Args:
      family: the task family.
      horizon: trial length.
      num_tasks: held-out tasks.
      seed: names the set of tasks.
      names: of the baselines; all of them if there are none.
      prior_reward: m. If given, those alone that believe beforehand in a mean reward, m.
      progress: show it.

    Raises:
      ConfigError: listing every argument that is not valid.
    """
    problems = constraints.problems(family) + task_set_problems(horizon, num_tasks, seed)
    problems += baseline_problems(family, horizon, names, prior_reward)
    if problems:
        raise ConfigError(problems)
    env = baselines.baseline_env(family, horizon)
    known = baselines.baseline_names(family, horizon, prior_reward)
    which = {"num_tasks": num_tasks, "seed": seed}
    results = [
        _kept_result(env, name, prior_reward, **which, progress=progress)
        for name in baselines.asked_names(known, names)
    ]
    return training.result_file(env, results, **which)


def baseline_problems(
    family: TaskFamily, horizon: int, names: Collection[str], prior_reward: float | None
) -> list[str]:
    """Return a message for each name that is no baseline of a family, and for a prior that none has."""
    if prior_reward is not None and not math.isfinite(prior_reward):
        return [f"prior_reward is {prior_reward}; it must be a finite number"]
    known = baselines.baseline_names(family, horizon, prior_reward)
    if not known:
        what = f"no baseline of {family.family} has a prior mean"
        return [f"prior_reward is {prior_reward}, but {what}; leave it out"]
    return [
        unknown_choice("baseline", name, known) for name in names if not baselines.asked_names(known, [name])
    ]


@compile_cache()
def add_baselines(
    run: str | Path | LoadedAgent, result: dict[str, Any], *, progress: bool = False
) -> dict[str, Any]:
    """Set the family's baselines beside a result of `evaluate_run`, on the same tasks, and note both.

    Of an agent in memory, or one that comes with the package, nothing is noted.

    The result gets the baselines' entries after the agent's, and under `differences` by how much the agent
    exceeds each (`exceeds` in `report.gather`).
    """
    run = named(run)
    family = asked_env(agent_of(run).env, result["variation"]).family
    asked = {"num_tasks": result["num_tasks"], "seed": result["eval_seed"]}
    beside = evaluate_baselines(family, result["horizon"], **asked, progress=progress)["results"]
    agent = result["results"][0]
    differences = [exceeds(agent, entry) for entry in beside]
    result = result | {"results": [agent, *beside], "differences": differences}
    note(run, result)
    return result


def _kept_result(
    env: TrialEnv, name: str, prior_reward: float | None, *, progress: bool, **which: int
) -> dict[str, Any]:
    """Return the entry of a result file for a baseline, read from disk or else computed and kept."""
    # Families from outside have code that may change.
    folder = None if is_from_outside(env.family) else cache_folder("baselines")
    asked = [repr(env), *which.values(), name, prior_reward, versions(), _code()]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    file = None if folder is None else folder / f"{name.partition(' ')[0]}-{digest[:32]}.json"
    entry = None if file is None else _read(file)
    if entry is None:
        # Made here, one by one, since some take long to make.
        made = baselines.make_baselines(env.family, env.horizon, (name,), prior_reward)
        track = tracker(name, visible=progress)
        entry = training.summarise(name, training.evaluate_trials(env, made[name], **which, track=track))
        with contextlib.suppress(PermissionError):  # then it is computed again next time
            write_json(entry, file)
    return entry


@functools.cache
def _code() -> str:
    """Return a hash of the code that decides what a baseline scores, its hyperparameters included."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for part in DECIDING:
        for path in sorted((root / part).rglob("*.py")) or [root / part]:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(file: Path) -> dict[str, Any] | None:
    """Return the entry that a file holds, or None if there is none that can be read."""
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        warnings.warn(f"a baseline is computed again, as {file} cannot be read: {error}", stacklevel=2)
        return None
