"""Setting runs beside each other and beside the baselines, on the same held-out tasks."""

from pathlib import Path
from typing import Any

from rl3_jax.errors import ConfigError
from rl3_jax.report.results import TASK_SET, mismatches
from rl3_jax.run import metrics
from rl3_jax.run.agent import load_agent
from rl3_jax.run.baselines import evaluate_baselines
from rl3_jax.run.compile_cache import compile_cache
from rl3_jax.run.evaluation import evaluate_run, read_evaluation
from rl3_jax.run.files import writing_problems
from rl3_jax.run.folder import RunFolder


@compile_cache()
def compare(paths: list[Path], out: Path, *, progress: bool = False) -> tuple[Path, Path]:
    """Write a figure and a table of some runs and the baselines; returns their paths.

    A run that has not been evaluated with sampled actions on its own variation and horizon, or has
    trained since, is evaluated first.

    Args:
      paths: the run folders.
      out: folder for the two files.
      progress: show it.

    Raises:
      ConfigError: listing each folder that is no run, or if the runs' results are on different tasks.
    """
    # Imported here since matplotlib is slow to import, and only this draws.
    from rl3_jax.report.compare import write_comparison

    if problems := compare_problems(paths, out):
        raise ConfigError(problems)
    results = [_trained_result(RunFolder(path), progress=progress) for path in paths]
    header = {field: results[0][field] for field in TASK_SET}
    problems = mismatches([(str(path), result) for path, result in zip(paths, results, strict=True)])
    if problems:
        raise ConfigError(problems)
    family = RunFolder(paths[0]).read().config.task
    baselines = evaluate_baselines(
        family, header["horizon"], num_tasks=header["num_tasks"], seed=header["eval_seed"], progress=progress
    )
    runs = [
        {
            "name": path.resolve().name,
            "dir": path,
            "result": result["results"][0],
            "metrics": metrics.read(RunFolder(path).metrics),
        }
        for path, result in zip(paths, results, strict=True)
    ]
    return write_comparison(runs, baselines["results"], header, out)


def compare_problems(paths: list[Path], out: Path) -> list[str]:
    """Return a message for each reason why `compare` cannot start."""
    found = writing_problems(out / "figure")
    if not paths:
        found.append("name at least one run folder")
    for path in paths:
        found += _run_problems(path)
    return found


def _run_problems(path: Path) -> list[str]:
    """Return a message for each reason why a folder cannot be compared."""
    folder = RunFolder(path)
    try:
        folder.read()
        return [] if _noted_result(folder) else writing_problems(folder.evaluation)
    except ConfigError as error:
        return list(error.problems)


def _trained_result(folder: RunFolder, *, progress: bool) -> dict[str, Any]:
    """Return the result of a run on the trials it was trained on, evaluating it if that is missing."""
    return _noted_result(folder) or evaluate_run(folder.path, progress=progress)


def _noted_result(folder: RunFolder) -> dict[str, Any] | None:
    """Return what `evaluation.json` has of a run as it is now, with sampled actions, as it was trained."""
    config = folder.read().config
    iteration = load_agent(folder.path).iteration
    for entry in read_evaluation(folder):
        asked = {"variation": config.task.variation, "horizon": config.horizon, "greedy": False}
        if entry | asked | {"iteration": iteration} == entry:
            return entry
    return None
