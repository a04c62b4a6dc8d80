"""Bringing what `evaluation.json` notes up to date, by one rule for `rl3 report` and `rl3 compare`."""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from rl3_jax.errors import ConfigError
from rl3_jax.run.agent import LoadedAgent, load_agent
from rl3_jax.run.baselines import add_baselines
from rl3_jax.run.evaluation import DEFAULT_NUM_TASKS, asked_env, evaluate_run, read_evaluation
from rl3_jax.run.folder import RunFolder, is_run
from rl3_jax.run.sources import wrong_fields

AS_TRAINED = {"variation": None, "horizon": None}
"""The trials that a run was trained in."""


def refresh(
    folders: Collection[Path], trials: Mapping[str, Any] | None = None, *, progress: bool = False
) -> None:
    """Evaluate runs whose results are of an earlier iteration, or missing; other folders stay.

    What was evaluated before is evaluated again as it was then, beside the baselines if these were. What is
    missing is evaluated on as many tasks, of the same seed, as another of these runs in the same trials.

    Args:
      folders: of runs, and of result files.
      trials: `variation` and `horizon`, as trained where they are None, in which each run needs a result with
        sampled actions. If not given, each needs all that it has noted, or one as it was trained.
      progress: show it.

    Raises:
      ConfigError: if an agent cannot be read whose result in `trials` is asked for.
    """
    trained = (path for path in folders if is_run(path) and (path / "agent").is_dir())
    runs = list(trained if trials is None else folders)  # of runs that are asked for none may be left out
    noted = {path: read_evaluation(RunFolder(path)) for path in runs}
    tasks = {
        _where(entry): {name: entry[name] for name in ("num_tasks", "eval_seed")}
        for entries in noted.values()
        for entry in entries
        if not wrong_fields(entry)
    }
    for path, entries in noted.items():
        try:
            agent = load_agent(path)
        except ConfigError as error:
            if trials is not None:
                raise
            if entries:
                print(f"note: {path} is reported as it was evaluated: {error}", file=sys.stderr)
            continue
        asked = _asked(agent, trials or AS_TRAINED)
        needed = entries if trials is None else [entry for entry in entries if entry | asked == entry]
        for entry in needed or [asked]:
            if not _is_current(entry, agent):
                known = asked if wrong_fields(entry) else entry
                _evaluate(path, tasks.get(_where(known), {}) | known, progress=progress)


def current_result(folder: Path, trials: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a run has noted, as it is now, of the `trials` of `refresh`; None if it has nothing."""
    agent = load_agent(folder)
    asked = _asked(agent, trials)
    entries = [entry for entry in read_evaluation(RunFolder(folder)) if entry | asked == entry]
    return next((entry for entry in entries if _is_current(entry, agent)), None)


def _asked(agent: LoadedAgent, trials: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a result of an agent in some trials, with sampled actions, has in its file."""
    env = asked_env(agent.env, **trials)
    names = {"family": env.family.family, "variation": env.family.variation}
    return {**names, "horizon": env.horizon, "greedy": False}


def _where(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return by what the trials of a result are known, but for the set of tasks."""
    return tuple(entry.get(name) for name in ("family", "variation", "horizon"))


def _is_current(entry: Mapping[str, Any], agent: LoadedAgent) -> bool:
    """Whether a result is of an agent as it is now, and a result of this version."""
    return entry.get("iteration") == agent.iteration and not wrong_fields(entry)


def _evaluate(folder: Path, entry: Mapping[str, Any], *, progress: bool) -> None:
    """Evaluate a run as a result file says, beside the baselines if it has them."""
    asked = {
        "variation": entry["variation"],
        "horizon": entry["horizon"],
        "greedy": entry.get("greedy", False),
    }
    tasks = {"num_tasks": entry.get("num_tasks", DEFAULT_NUM_TASKS), "seed": entry.get("eval_seed", 0)}
    result = evaluate_run(folder, **asked, **tasks, progress=progress)
    if len(entry.get("results", ())) > 1:
        add_baselines(folder, result, progress=progress)
