"""What `rl3 report` and `rl3 compare` are made of: result files, and runs with theirs."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rl3_jax.errors import ConfigError, problems_of
from rl3_jax.report.agents import Source
from rl3_jax.run import metrics
from rl3_jax.run.agent import load_agent
from rl3_jax.run.files import read_json
from rl3_jax.run.folder import RunFolder, is_run
from rl3_jax.training.results import ADAPTATION

FIELDS: dict[str, Any] = {
    **dict.fromkeys(("family", "variation", "task_set_sha256"), str),
    **dict.fromkeys(("horizon", "num_tasks", "eval_seed"), int),
    **{"task": dict, "results": list},
}
"""What a result file must have to be reported."""
ENTRY_FIELDS = {
    "name": str,
    "mean_return": float,
    "standard_error": float,
    "returns": list[float],
    "adaptation": dict,
}
"""What each entry of its `results` must have."""
ADAPTATION_FIELDS: dict[str, Any] = dict.fromkeys(ADAPTATION, list[float])
METRICS_FIELDS = {"steps": int, "wall_seconds": float, "mean_return": float}
"""What a line of `metrics.jsonl` must have."""


def read_sources(folder: Path) -> list[Source]:
    """Return the run that a folder holds, or its result files.

    Raises a `ConfigError` if there are none, or listing each that is not valid.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder")
    if (folder / "config.json").exists():
        return [_read_run(folder)]
    files = sorted(folder.glob("*.json"))
    if not files:
        raise ConfigError(f"{folder} holds no result files, which `rl3 baselines --json FILE` writes")
    found, problems = [], []
    for file in files:
        try:
            found.append(Source(str(file), _read_results(file)))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return found


def _read_run(folder: Path) -> Source:
    """Return a run, named after its folder."""
    run = RunFolder(folder)
    if not is_run(folder):
        raise ConfigError(f"{run.config} is not what `rl3 train` writes; name folders of runs or of results")
    results = []
    if run.evaluation.exists():
        results = _read_results(run.evaluation)
    elif problems := problems_of(load_agent, folder):
        raise ConfigError(f"{folder} has not been evaluated, and cannot be: {problems[0]}")
    lines = read_metrics(run)
    return Source(str(folder), results, folder.resolve().name, read_json(run.config), lines)


def read_metrics(run: RunFolder) -> list[metrics.Row]:
    """Return the lines of metrics of a run; raises a `ConfigError` if it has none, or they lack something."""
    lines = metrics.read(run.metrics)
    if not lines or any(_lacks(line, METRICS_FIELDS) for line in lines):
        raise ConfigError(f"{run.metrics} holds no metrics of a run; restore it, or train again")
    return lines


def _read_results(file: Path) -> list[dict[str, Any]]:
    """Return the contents of a result file, of which an `evaluation.json` holds several."""
    content = read_json(file)
    results: list[Any] = content if isinstance(content, list) and content else [content]
    if wrong := dict.fromkeys(field for result in results for field in wrong_fields(result)):
        raise ConfigError(
            f"{file} is no result file of this version: it lacks {', '.join(wrong)};"
            " make it again with `rl3 evaluate` or `rl3 baselines`"
        )
    return results


def wrong_fields(result: Any) -> list[str]:
    """Return the fields that a result lacks, or that are not what they should be."""
    if found := _lacks(result, FIELDS):
        return found
    if not result["results"]:
        return ["results"]
    for entry in result["results"]:
        found += _lacks(entry, ENTRY_FIELDS) or _lacks(entry["adaptation"], ADAPTATION_FIELDS)
        if not found and len(entry["returns"]) != result["num_tasks"]:
            found.append("a return for each task")
        if not found and len({len(numbers) for numbers in entry["adaptation"].values()}) > 1:
            found.append("columns of one length in adaptation")
    return found


def _lacks(record: Any, fields: Mapping[str, Any]) -> list[str]:
    """Return the fields of these types that a record lacks."""
    if not isinstance(record, dict):
        return list(fields)
    return [name for name, kind in fields.items() if not _is(record.get(name), kind)]


def _is(value: Any, kind: Any) -> bool:
    """Whether a value of JSON is of a type; whole numbers are numbers, too."""
    if kind == list[float]:
        return isinstance(value, list) and all(_is(each, float) for each in value)
    if isinstance(value, bool) or kind is not float:
        return isinstance(value, kind) and not isinstance(value, bool)
    return isinstance(value, int | float) and math.isfinite(value)
