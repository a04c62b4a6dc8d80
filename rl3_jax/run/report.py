"""`rl3 report`: a page of tables and figures from result files."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from rl3_jax.errors import ConfigError
from rl3_jax.report.results import TASK_SET
from rl3_jax.run.arguments import Shared, optional
from rl3_jax.run.files import read_json, writing_problems

FIELDS = (*TASK_SET, "task", "results")
"""What a result file must have to be reported."""


@dataclasses.dataclass(frozen=True)
class Report(Shared):
    """Write a page of tables and figures from result files: those of --json, and a run's evaluation.json."""

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
                read_results(path)
            except ConfigError as error:
                found += error.problems
        return found

    def run(self) -> None:
        """Write the page."""
        # Imported here since matplotlib is slow to import, and only this draws.
        from rl3_jax.report.page import write_page

        results = {name: result for path in self.dirs for name, result in read_results(path).items()}
        for path in write_page(results, self.out):
            print(f"written: {path}")


def read_results(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the contents of the result files right in a folder, by a name to tell the user.

    An agent is named after its run folder.

    Raises:
      ConfigError: if there are none, or listing each file that is no result file.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder")
    is_run = (folder / "config.json").exists()
    files = [folder / "evaluation.json"] if is_run else sorted(folder.glob("*.json"))
    found, problems = {}, []
    for file in files:
        if not file.exists():
            problems.append(f"{folder} has not been evaluated; run `rl3 evaluate {folder}`")
            continue
        content = read_json(file)
        for index, result in enumerate(content if isinstance(content, list) else [content]):
            missing = [field for field in FIELDS if not isinstance(result, dict) or field not in result]
            if missing:
                problems.append(
                    f"{file} is no result file of this version: it lacks {', '.join(missing)};"
                    " make it again with `rl3 evaluate` or `rl3 baselines`"
                )
            elif is_run:
                found[f"{file} ({index + 1})"] = _named(result, folder.resolve().name)
            else:
                found[str(file)] = result
    if not found and not problems:
        problems.append(f"{folder} holds no result files, which `rl3 baselines --json FILE` writes")
    if problems:
        raise ConfigError(problems)
    return found


def _named(result: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a run's result with the agent named after the run."""
    agent, *others = result["results"]
    greedy = " (greedy)" if result.get("greedy") else ""
    return result | {"results": [agent | {"name": name + greedy}, *others]}
