"""`rl3 report` and `rl3 compare`: tables and figures of result files, and of runs on the same tasks."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from rl3_jax.errors import ConfigError, problems_of
from rl3_jax.report.agents import Source, agents_of
from rl3_jax.report.mismatches import mismatches
from rl3_jax.run.agent import load_agent
from rl3_jax.run.arguments import Shared, optional
from rl3_jax.run.baselines import evaluate_baselines
from rl3_jax.run.evaluation import DEFAULT_NUM_TASKS, asked_env, check_notes, evaluation_problems
from rl3_jax.run.files import writing_problems
from rl3_jax.run.folder import RunFolder
from rl3_jax.run.program_cache import compile_cache
from rl3_jax.run.refresh import current_result, refresh
from rl3_jax.run.sources import read_metrics, read_sources


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
        refresh(folders, progress=True)
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


@dataclasses.dataclass(frozen=True)
class Compare(Shared):
    """Set runs beside each other and beside the baselines: one figure and one table.

    Runs that have not been evaluated in these trials, or have trained since, are evaluated first.
    """

    dirs: Annotated[Positional[tuple[Path, ...]], optional("DIR [DIR ...]", "run folders")]
    out: Annotated[Path, arg(metavar="DIR", help="folder for the figure and the table")] = Path("comparison")
    variation: Annotated[str | None, optional("V", "of the task family; as trained, if not given")] = None
    horizon: Annotated[int | None, optional("H", "trial length; as trained, if not given")] = None

    def run(self) -> None:
        """Compare."""
        trials = {"variation": self.variation, "horizon": self.horizon}
        figure, table = compare(list(self.dirs), self.out, **trials, progress=True)
        print(table.read_text())
        print(f"written: {figure} and {table}")


@compile_cache()
def compare(
    paths: list[Path],
    out: Path,
    *,
    variation: str | None = None,
    horizon: int | None = None,
    progress: bool = False,
) -> tuple[Path, Path]:
    """Write a figure and a table of some runs and the baselines; returns their paths.

    A run that has not been evaluated with sampled actions in these trials, or has trained since, is evaluated
    first.

    Args:
      paths: the run folders.
      out: folder for both files.
      variation: of the task family; as trained, if not given.
      horizon: trial length; as trained, if not given.
      progress: show it.

    Raises:
      ConfigError: listing each folder that is no run, or if the runs' results are on different tasks.
    """
    from rl3_jax.report.page import write_comparison

    trials = {"variation": variation, "horizon": horizon}
    if problems := compare_problems(paths, out, **trials):
        raise ConfigError(problems)
    names = [path.resolve().name for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    refresh(paths, trials, progress=progress)
    runs = []
    for name, path in zip(names, paths, strict=True):
        result = current_result(path, trials)
        assert result is not None, "it was just evaluated"
        runs.append(Source(str(path), [result], name, {}, read_metrics(RunFolder(path))))
    if problems := mismatches([(run, run.results[0]) for run in runs]):
        raise ConfigError(problems)
    family, header = asked_env(load_agent(paths[0]).env, **trials).family, runs[0].results[0]
    asked = {"num_tasks": header["num_tasks"], "seed": header["eval_seed"], "progress": progress}
    return write_comparison(runs, evaluate_baselines(family, header["horizon"], **asked)["results"], out)


def compare_problems(
    paths: list[Path], out: Path, *, variation: str | None = None, horizon: int | None = None
) -> list[str]:
    """Return a message for each reason why `compare` cannot start."""
    found = writing_problems(out / "figure")
    if not paths:
        found.append("name at least one run folder")
    trials: dict[str, Any] = {"variation": variation, "horizon": horizon}
    for path in paths:
        folder = RunFolder(path)
        unreadable = problems_of(folder.read) or problems_of(read_metrics, folder)
        unreadable = unreadable or problems_of(current_result, path, trials)
        if not unreadable and current_result(path, trials) is None:
            unreadable = problems_of(check_notes, path) or evaluation_problems(
                load_agent(path), **trials, num_tasks=DEFAULT_NUM_TASKS, seed=0
            )
        found += unreadable
    return found
