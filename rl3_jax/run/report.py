"""`rl3 report`: a page of tables and figures from result files."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from rl3_jax.errors import ConfigError
from rl3_jax.report.gather import Source
from rl3_jax.report.results import TASK_SET
from rl3_jax.run import metrics
from rl3_jax.run.arguments import Shared, optional
from rl3_jax.run.files import read_json, writing_problems
from rl3_jax.run.folder import RunFolder

FIELDS = (*TASK_SET, "task", "results")
"""What a result file must have to be reported."""
ENTRY_FIELDS = ("name", "mean_return", "standard_error", "returns", "adaptation")
"""What each entry of its `results` must have."""


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
    if not run.evaluation.exists():
        raise ConfigError(f"{folder} has not been evaluated; run `rl3 evaluate {folder}`")
    results, config = _read_results(run.evaluation), read_json(run.config)
    return Source(str(folder), results, folder.resolve().name, config, metrics.read(run.metrics))


def _read_results(file: Path) -> list[dict[str, Any]]:
    """Return the contents of a result file, of which an `evaluation.json` holds several.

    Raises:
      ConfigError: if it is none, or of an earlier version.
    """
    content = read_json(file)
    results = content if isinstance(content, list) else [content]
    missing = dict.fromkeys(field for result in results for field in _missing(result))
    if missing:
        raise ConfigError(
            f"{file} is no result file of this version: it lacks {', '.join(missing)};"
            " make it again with `rl3 evaluate` or `rl3 baselines`"
        )
    return results


def _missing(result: Any) -> list[str]:
    """Return the fields that a result lacks."""
    if not isinstance(result, dict):
        return list(FIELDS)
    entries = result.get("results", [])
    return [field for field in FIELDS if field not in result] + [
        field for field in ENTRY_FIELDS if any(field not in entry for entry in entries)
    ]
