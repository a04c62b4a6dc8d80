"""`rl3 report` and `rl3 compare`: tables and figures of result files, and of runs on the same tasks."""

import dataclasses
import math
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from rl3_jax.errors import ConfigError, problems_of
from rl3_jax.report.agents import Source, agents_of
from rl3_jax.report.gather import mismatches
from rl3_jax.run import metrics
from rl3_jax.run.agent import load_agent
from rl3_jax.run.arguments import Shared, optional
from rl3_jax.run.baselines import add_baselines, evaluate_baselines
from rl3_jax.run.evaluation import evaluate_run, read_evaluation
from rl3_jax.run.files import read_json, writing_problems
from rl3_jax.run.folder import RunFolder, is_run
from rl3_jax.run.program_cache import compile_cache
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


@dataclasses.dataclass(frozen=True)
class Report(Shared):
    """Write a page of tables and figures from result files: those of --json, and a run's evaluation.json.

    Runs that have not been evaluated, or have trained since, are evaluated first. Those whose configurations
    differ in the seed alone are one agent: intervals then cover seeds and tasks.
    """

    dirs: Annotated[
        Positional[tuple[Path, ...]], optional("DIR [DIR ...]", "folders of result files, or of runs")
    ]
    out: Annotated[Path, arg(metavar="DIR", help="folder for the page and its figures")] = Path("report")
    html: Annotated[
        bool, arg(help="write report.html, too: one page with all inside, and how each row is made again")
    ] = False

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        found = writing_problems(self.out / "README.md")
        if not self.dirs:
            found.append("name at least one folder with result files")
        for path in self.dirs:
            found += problems_of(read_sources, path)
        return found

    def run(self) -> None:
        """Write the page."""
        # Imported here since matplotlib is slow to import, and only this draws.
        from rl3_jax.report.making import Making
        from rl3_jax.report.page import write_page
        from rl3_jax.run.origins import film, origin

        # A folder that is named twice is read once.
        folders = {path.resolve(): path for path in self.dirs}.values()
        evaluate_anew(folders)
        sources = [source for path in folders for source in read_sources(path)]
        making = None
        if self.html:
            trained = [agent for agent in agents_of(sources).values() if agent.runs[0].config]
            origins = {run.place: origin(run) for agent in trained for run in agent.runs}
            films = {agent.name: found for agent in trained if (found := film(agent)) is not None}
            making = Making(origins, films, () if self.plugin is None else ("--plugin", self.plugin))
        for path in write_page(sources, self.out, making):
            print(f"written: {path}")
        print(f"the page: {self.out / ('report.html' if self.html else 'README.md')}")


def evaluate_anew(folders: Collection[Path]) -> None:
    """Evaluate runs that never were, and again those that have trained since; other folders stay.

    The first are evaluated on as many tasks, of the same seed, as another run of these in the same trials.
    """
    runs = {path: RunFolder(path) for path in folders if is_run(path) and (path / "agent").is_dir()}
    noted = {path: read_evaluation(run) for path, run in runs.items()}
    tasks = {_trials(entry): entry for entries in noted.values() for entry in entries}
    for path, run in runs.items():
        if problems := problems_of(load_agent, path):
            if noted[path]:
                print(f"note: {path} is reported as it was evaluated: {problems[0]}", file=sys.stderr)
            continue
        config, now = run.read().config, load_agent(path).iteration
        if not noted[path]:
            trained = {"variation": config.task.variation, "horizon": config.horizon}
            other = tasks.get(_trials(trained | {"family": config.task.family}), {})
            asked = {"num_tasks": other["num_tasks"], "seed": other["eval_seed"]} if other else {}
            evaluate_run(path, **asked, progress=True)
        for entry in noted[path]:
            if entry.get("iteration") != now:
                _evaluate_again(path, entry)


def _trials(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return by what the trials of a result file are known, but for the set of tasks."""
    return tuple(entry.get(name) for name in ("family", "variation", "horizon"))


def _evaluate_again(folder: Path, entry: Mapping[str, Any]) -> None:
    """Evaluate a run as it was evaluated before, beside the baselines if these were."""
    asked = {name: entry[name] for name in ("variation", "horizon", "num_tasks")}
    greedy = entry.get("greedy", False)
    result = evaluate_run(folder, **asked, seed=entry["eval_seed"], greedy=greedy, progress=True)
    if len(entry["results"]) > 1:
        add_baselines(folder, result, progress=True)


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
    lines = _read_metrics(run)
    return Source(str(folder), results, folder.resolve().name, read_json(run.config), lines)


def _read_metrics(run: RunFolder) -> list[metrics.Row]:
    """Return the lines of metrics of a run; raises a `ConfigError` if it has none, or they lack something."""
    lines = metrics.read(run.metrics)
    if not lines or any(_lacks(line, METRICS_FIELDS) for line in lines):
        raise ConfigError(f"{run.metrics} holds no metrics of a run; restore it, or train again")
    return lines


def _read_results(file: Path) -> list[dict[str, Any]]:
    """Return the contents of a result file, of which an `evaluation.json` holds several."""
    content = read_json(file)
    results: list[Any] = content if isinstance(content, list) and content else [content]
    if wrong := dict.fromkeys(field for result in results for field in _wrong_fields(result)):
        raise ConfigError(
            f"{file} is no result file of this version: it lacks {', '.join(wrong)};"
            " make it again with `rl3 evaluate` or `rl3 baselines`"
        )
    return results


def _wrong_fields(result: Any) -> list[str]:
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


@compile_cache()
def compare(paths: list[Path], out: Path, *, progress: bool = False) -> tuple[Path, Path]:
    """Write a figure and a table of some runs and the baselines; returns their paths.

    A run that has not been evaluated with sampled actions on its own variation and horizon, or has
    trained since, is evaluated first.

    Raises:
      ConfigError: listing each folder that is no run, or if the runs' results are on different tasks.
    """
    from rl3_jax.report.page import write_comparison

    if problems := compare_problems(paths, out):
        raise ConfigError(problems)
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    runs = []
    for name, folder in zip(names, map(RunFolder, paths), strict=True):
        result = _trained_result(folder, progress=progress)
        runs.append(Source(str(folder.path), [result], name, {}, _read_metrics(folder)))
    if problems := mismatches([(run.place, run.results[0]) for run in runs]):
        raise ConfigError(problems)
    family, header = RunFolder(paths[0]).read().config.task, runs[0].results[0]
    asked = {"num_tasks": header["num_tasks"], "seed": header["eval_seed"], "progress": progress}
    return write_comparison(runs, evaluate_baselines(family, header["horizon"], **asked)["results"], out)


def compare_problems(paths: list[Path], out: Path) -> list[str]:
    """Return a message for each reason why `compare` cannot start."""
    found = writing_problems(out / "figure")
    if not paths:
        found.append("name at least one run folder")
    for folder in map(RunFolder, paths):
        unreadable = problems_of(_noted_result, folder) or problems_of(_read_metrics, folder)
        found += unreadable or ([] if _noted_result(folder) else writing_problems(folder.evaluation))
    return found


def _trained_result(folder: RunFolder, *, progress: bool) -> dict[str, Any]:
    """Return the result of a run on the trials it was trained on, evaluating it if that is missing."""
    return _noted_result(folder) or evaluate_run(folder.path, progress=progress)


def _noted_result(folder: RunFolder) -> dict[str, Any] | None:
    """Return what `evaluation.json` has of a run as it is now, with sampled actions, as it was trained."""
    config = folder.read().config
    now = {"iteration": load_agent(folder.path).iteration, "greedy": False}
    asked = now | {"variation": config.task.variation, "horizon": config.horizon}
    return next(
        (x for x in read_evaluation(folder) if x | asked == x and not _wrong_fields(x)),
        None,
    )
