"""What is written: a page of tables and figures, made of result files alone, and a comparison of runs."""

from collections.abc import Sequence
from pathlib import Path

from rl3_jax.report.agents import SeededAgent, Source, agents_of
from rl3_jax.report.figures import adaptation_figure, comparison_figure, learning_figure
from rl3_jax.report.gather import Entry, Result, Setting, settings_of
from rl3_jax.report.literature import SOURCE, TASKS
from rl3_jax.report.tables import BEST, comparison_table, section, transfer_table

HEADER = f"""# Returns on held-out tasks

Made from result files by `rl3 report`. *Mean return* is of a whole trial ± its standard error. Errors are
over tasks and, where an agent has several seeds, over seeds; those of one seed are about that agent alone,
not its algorithm. *Middle half* is the mean of the middle half of the returns, with a bootstrap interval of
95 %; *regret* is what the {BEST} has more on the same tasks ± its standard error. *Published* is
{SOURCE}; *apart* is how far ours is from it, in standard
errors of the difference, where the published mean is taken to be of {TASKS} tasks."""
LEARNING = """Returns of training trials, moving means over iterations; bands reach from the lowest to the
highest seed. Horizontal lines are returns of baselines on held-out tasks."""
ADAPTATION = """Reward per episode over the episodes of a trial, on held-out tasks; bands are intervals of
95 %. Episodes that fewer than half of the tasks completed are left out."""


def write_page(sources: Sequence[Source], out: Path) -> list[Path]:
    """Write `README.md` and figures for each family into a folder; returns the paths of all.

    Raises:
      ConfigError: if results that belong together cannot be compared.
    """
    agents, settings = list(agents_of(sources).values()), settings_of(sources)
    out.mkdir(parents=True, exist_ok=True)
    parts, figures = [HEADER], []
    for family in dict.fromkeys(setting.header["family"] for setting in settings):
        members = [setting for setting in settings if setting.header["family"] == family]
        parts.append(f"## {family}")
        names = list(dict.fromkeys(agent.name for setting in members for agent in setting.agents))
        trained = [setting for setting in members if any(x.is_trained_here for x in setting.agents)]
        if trained:
            figures.append(out / f"{family}-learning.png")
            here = [agent for agent in agents if any(agent.runs[0].is_trained_in(x.header) for x in trained)]
            # An agent may have been evaluated in other ways of acting than as it trained.
            names = list(dict.fromkeys([*(agent.name for agent in here), *names]))
            learning_figure(here, trained, names, figures[-1])
            parts += [f"![Learning curves]({figures[-1].name})", LEARNING]
        figures.append(out / f"{family}.png")
        adaptation_figure(members, names, figures[-1])
        parts += [f"![Adaptation curves]({figures[-1].name})", ADAPTATION]
        parts += [text for text in [transfer_table(members)] if text]
        parts += map(section, members)
    page = out / "README.md"
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return [page, *figures]


def write_comparison(runs: Sequence[Source], baselines: Sequence[Result], out: Path) -> tuple[Path, Path]:
    """Write `comparison.png` and `comparison.md` into a folder; returns their paths.

    Each run has one result, all on the same tasks, whose first entry is the agent's; `baselines` are entries
    of a result file on these tasks.
    """
    out.mkdir(parents=True, exist_ok=True)
    figure, table = out / "comparison.png", out / "comparison.md"
    entries = [Entry(run.name, [run.results[0]["results"][0]], is_agent=True) for run in runs]
    setting = Setting(runs[0].results[0], entries, [Entry(entry["name"], [entry]) for entry in baselines])
    comparison_figure([SeededAgent(run.name, [run]) for run in runs], setting, figure)
    table.write_text(comparison_table(setting, runs), encoding="utf-8")
    return figure, table
