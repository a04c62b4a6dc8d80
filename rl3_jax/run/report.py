"""`rl3 report`: a page of tables and figures from result files."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from rl3_jax.errors import ConfigError
from rl3_jax.report.agents import Source
from rl3_jax.run import metrics
from rl3_jax.run.arguments import Shared, optional
from rl3_jax.run.files import read_json, writing_problems
from rl3_jax.run.folder import RunFolder, is_run
from rl3_jax.training.results import ADAPTATION

FIELDS: dict[str, type] = {
    "family": str,
    "variation": str,
    "horizon": int,
    "num_tasks": int,
    "eval_seed": int,
    "task_set_sha256": str,
    "task": dict,
    "results": list,
}
"""What a result file must have to be reported."""
ENTRY_FIELDS: dict[str, type] = {
    "name": str,
    "mean_return": float,
    "standard_error": float,
    "returns": list,
    "adaptation": dict,
}
"""What each entry of its `results` must have."""
ADAPTATION_FIELDS: dict[str, type] = dict.fromkeys(ADAPTATION, list)
METRICS_FIELDS: dict[str, type] = {"steps": int, "mean_return": float}
"""What a line of `metrics.jsonl` must have."""


@dataclasses.dataclass(frozen=True)
class Report(Shared):
    """Write a page of tables and figures from result files: those of --json, and a run's evaluation.json.

    Runs whose configurations differ in the seed alone are one agent: intervals then cover seeds and tasks.
    """

    dirs: Annotated[
        Positional[tuple[Path, ...]], optional("DIR [DIR ...]", "folders of result files, or of runs")
    ]
    out: Annotated[Path, arg(metavar="DIR", help="folder for the page and its figures")] = Path("report")

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        found = writing_problems(self.out / "README.md")
        if not self.dirs:
            found.append("name at least one folder with result files")
        for path in self.dirs:
            try:
                read_sources(path)
            except ConfigError as error:
                found += error.problems
        return found

    def run(self) -> None:
        """Write the page."""
        # Imported here since matplotlib is slow to import, and only this draws.
        from rl3_jax.report.page import write_page

        sources = [source for path in unique(self.dirs) for source in read_sources(path)]
        for path in write_page(sources, self.out):
            print(f"written: {path}")


def unique(paths: Sequence[Path]) -> list[Path]:
    """Return folders without those that were named before."""
    return list({path.resolve(): path for path in paths}.values())


def read_sources(folder: Path) -> list[Source]:
    """Return the run that a folder holds, or the result files right in it.

    Raises:
      ConfigError: if there are none, or listing each file that is no result file.
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
    """Return a run, named after its folder.

    Raises:
      ConfigError: if it has not been evaluated, or its files cannot be read.
    """
    run = RunFolder(folder)
    if not is_run(folder):
        raise ConfigError(f"{run.config} is not what `rl3 train` writes; name folders of runs or of results")
    if not run.evaluation.exists():
        raise ConfigError(f"{folder} has not been evaluated; run `rl3 evaluate {folder}`")
    results, lines = _read_results(run.evaluation), metrics.read(run.metrics)
    if not lines or any(_lacks(line, METRICS_FIELDS) for line in lines):
        raise ConfigError(f"{run.metrics} holds no metrics of a run; restore it, or train again")
    return Source(str(folder), results, folder.resolve().name, read_json(run.config), lines)


def _read_results(file: Path) -> list[dict[str, Any]]:
    """Return the contents of a result file, of which an `evaluation.json` holds several.

    Raises:
      ConfigError: if it is none, or of an earlier version.
    """
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
    return found


def _lacks(record: Any, fields: Mapping[str, type]) -> list[str]:
    """Return the fields of these types that a record lacks; whole numbers are numbers, too."""
    if not isinstance(record, dict):
        return list(fields)
    kinds = {name: (int, float) if kind is float else kind for name, kind in fields.items()}
    return [name for name, kind in kinds.items() if not isinstance(record.get(name), kind)]
