"""What is written: a page of tables and figures, made of result files alone, and a comparison of runs."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from rl3_jax.report import statistics
from rl3_jax.report.agents import SeededAgent, Source, agents_of, in_seeds
from rl3_jax.report.blocks import Block, Figure, Heading, Paragraph, Table, markdown
from rl3_jax.report.figures import adaptation_figure, comparison_figure, learning_figure
from rl3_jax.report.gather import Entry, Result, Setting, settings_of
from rl3_jax.report.html import html
from rl3_jax.report.literature import FAR, REASONS, SOURCE, TASKS, deviation, published_returns
from rl3_jax.report.looks import Looks, looks_of
from rl3_jax.report.making import Making, setting_details, training_details

BEST = "clairvoyant"
PUBLISHED_HEADINGS = ("published", "apart, standard errors")
HEADINGS = ("name", "mean return ±", "best seed", "middle half [95 %]", "regret ±", *PUBLISHED_HEADINGS)
DIFFERENCES = "What the agent of each column earns more than the one of the row, on the same tasks [95 %]:"
COSTS = ("agent", "return", "of clairvoyant", "training steps", "training seconds")
TITLE = "Returns on held-out tasks"
INTRODUCTION = f"""\
Made from result files by `rl3 report`. *Mean return* is of a whole trial ± its standard error. Errors are
over tasks and, where an agent has several seeds, over seeds; those of one seed are about that agent alone,
not its algorithm. *Middle half* is the mean of the middle half of the returns, with its interval of
95 %; *regret* is what the {BEST} has more on the same tasks ± its standard error."""
BEST_SEED = "*Best seed* is the highest mean return of one seed, chosen on these very tasks."
PUBLISHED_MEANS = f"""\
*Published* is {SOURCE}; *apart* is how far ours is from it,
in standard errors of the difference, where the published mean is taken to be of {TASKS} tasks. The published
RL² is the best of several seeds."""
LEARNING = """Returns of training trials over environment steps and over time, moving means over iterations;
bands reach from the lowest to the highest seed. Seeds that were trained side by side share the time.
Horizontal lines are returns of baselines on held-out tasks."""
ADAPTATION = """Reward per episode over the episodes of a trial, on held-out tasks; bands are intervals of
95 %. Episodes that fewer than half of the tasks completed are left out, and of a page with agents what
an agent cannot be compared with."""


def write_page(sources: Sequence[Source], out: Path, making: Making | None = None) -> list[Path]:
    """Write `README.md` and figures for each family into a folder; returns the paths of all.

    Args:
      sources: what is reported.
      out: the folder.
      making: how the runs are made again. If given, a page `report.html` tells it, all in one file.

    Raises:
      ConfigError: if results that belong together cannot be compared.
    """
    agents, settings = list(agents_of(sources).values()), settings_of(sources)
    out.mkdir(parents=True, exist_ok=True)
    looks = looks_of(agents, settings)
    blocks: list[Block] = [Heading(1, TITLE), Paragraph(introduction(settings))]
    for family in dict.fromkeys(setting.header["family"] for setting in settings):
        members = [setting for setting in settings if setting.header["family"] == family]
        blocks += [Heading(2, family), *_figures(family, agents, members, looks, out), *transfer(members)]
        if making is not None:
            blocks += training_details(_met(agents, members), making)
        for setting in members:
            blocks += [*section(setting), *(setting_details(setting, making) if making is not None else ())]
    written = {out / "README.md": markdown(blocks)}
    if making is not None:
        written[out / "report.html"] = html(blocks)
    for page, text in written.items():
        page.write_text(text, encoding="utf-8")
    return [*written, *(block.file for block in blocks if isinstance(block, Figure))]


def introduction(settings: Sequence[Setting]) -> str:
    """Return what a page of some settings is, and what the columns of its tables are."""
    seeds = any(len(agent.results) > 1 for setting in settings for agent in setting.agents)
    published = any(published_returns(setting.header) for setting in settings)
    parts = [INTRODUCTION, BEST_SEED if seeds else "", PUBLISHED_MEANS if published else ""]
    return "\n".join(part for part in parts if part)


def _met(agents: Sequence[SeededAgent], members: Sequence[Setting]) -> list[SeededAgent]:
    """Return the agents that have an entry in some settings."""
    names = {entry.agent.name for setting in members for entry in setting.agents if entry.agent}
    return [agent for agent in agents if agent.name in names]


def _figures(
    family: str, agents: Sequence[SeededAgent], members: Sequence[Setting], looks: Looks, out: Path
) -> list[Block]:
    """Draw the figures of a family's settings into a folder, and return them."""
    found: list[Block] = []
    trained = [setting for setting in members if any(x.is_trained_here for x in setting.agents)]
    if trained:
        found.append(Figure("Learning curves", out / f"{family}-learning.png", LEARNING))
        here = [agent for agent in agents if any(agent.runs[0].is_trained_in(x.header) for x in trained)]
        learning_figure(here, trained, looks, out / f"{family}-learning.png")
    compared = [setting for setting in members if setting.compares]
    adaptation_figure(compared or members, looks, out / f"{family}.png")
    return [*found, Figure("Adaptation curves", out / f"{family}.png", ADAPTATION)]


def write_comparison(runs: Sequence[Source], baselines: Sequence[Result], out: Path) -> tuple[Path, Path]:
    """Write `comparison.png` and `comparison.md` into a folder; returns their paths.

    Each run has one result, all on the same tasks, whose first entry is the agent's; `baselines` are entries
    of a result file on these tasks.
    """
    out.mkdir(parents=True, exist_ok=True)
    figure, table = out / "comparison.png", out / "comparison.md"
    setting = draw_comparison(runs, baselines, figure)
    table.write_text(markdown([comparison_table(setting, runs)]), encoding="utf-8")
    return figure, table


def draw_comparison(runs: Sequence[Source], baselines: Sequence[Result], file: Path | BytesIO) -> Setting:
    """Draw the figure of `write_comparison` as a PNG; returns what it shows."""
    entries = [Entry(run.name, [run.results[0]["results"][0]], is_agent=True) for run in runs]
    setting = Setting(runs[0].results[0], entries, [Entry(entry["name"], [entry]) for entry in baselines])
    comparison_figure([SeededAgent(run.name, [run]) for run in runs], setting, file)
    return setting


def comparison_table(setting: Setting, runs: Sequence[Source]) -> Table:
    """Return a table of the runs' agents and of baselines, best first, with what their training cost."""
    header, best = setting.header, _best(setting)
    last = {run.name: run.metrics[-1] for run in runs if run.metrics}
    rows: list[Sequence[str]] = [COSTS]
    for entry in setting.ranked:
        value = f"{entry.mean_return:.2f} ± {entry.results[0]['standard_error']:.2f}"
        share = "–" if best is None else f"{100 * entry.mean_return / best.mean_return:.1f} %"
        cost = ("–", "–")
        if entry.is_agent and entry.name in last:
            spent = last[entry.name]
            cost = (f"{spent['steps'] / 1e6:.2f} M", f"{spent['wall_seconds']:.0f}")
        rows.append((entry.name, value, share, *cost))
    tasks = f"{header['num_tasks']} held-out tasks (seed {header['eval_seed']})"
    return Table(rows, f"{setting.title}; {tasks}, mean return of a trial ± standard error.")


def section(setting: Setting) -> list[Block]:
    """Return a setting's tables with their heading."""
    header = setting.header
    tasks = f"{header['num_tasks']} tasks (seed {header['eval_seed']}, `{header['task_set_sha256'][:12]}`)"
    found: list[Block] = [Heading(3, ", ".join([setting.title, *setting.sizes])), Paragraph(tasks)]
    found += returns(setting)
    if setting.compares:
        found.append(differences(setting))
    return [*found, *(Paragraph(f"\\* {note}") for note in setting.notes)]


def returns(setting: Setting) -> list[Table | Paragraph]:
    """Return the table of what each entry earned, best first, and footnotes."""
    published, best = published_returns(setting.header), _best(setting)
    known = [entry for entry in setting.baselines if entry.name in published]
    apart = {entry.name: deviation(entry.results[0], published[entry.name]) for entry in known}
    far = [name for name, errors in apart.items() if abs(errors) > FAR]
    rows: list[list[str]] = [list(HEADINGS)]
    for entry in setting.ranked:
        rows.append([entry.label, *_measured(entry, best), "", ""])
        if entry in known:
            mark = r" \*" if entry.name in far else ""
            rows[-1][-2:] = [f"{published[entry.name]:g}", f"{apart[entry.name]:+.1f}{mark}"]
    blank = [""] * (len(HEADINGS) - 1 - len(PUBLISHED_HEADINGS))
    rows += [[name, *blank, f"{value:g}", ""] for name, value in published.items() if name not in apart]
    # A column that says nothing is left out.
    shown = [column for column in range(len(HEADINGS)) if any(row[column] for row in rows[1:])]
    reasons = {name: REASONS.get(name.partition(" ")[0], "the reason is not known.") for name in far}
    notes = [Paragraph(f"\\* {name}: {reason}") for name, reason in reasons.items()]
    return [Table([[row[column] for column in shown] for row in rows]), *notes]


def differences(setting: Setting) -> Table:
    """Return the table of by how much each agent exceeds every other entry, on the same tasks."""
    rows = [["more than", *(agent.label for agent in setting.agents)]]
    for entry in setting.ranked:
        cells = [_difference(agent, entry) for agent in setting.agents]
        if any(cells):
            rows.append([entry.label, *cells])
    return Table(rows, DIFFERENCES)


def transfer(settings: Sequence[Setting]) -> list[Table]:
    """Return what agents of one family earn where they were not trained; nothing if none was tried there."""
    met = [setting for setting in settings if setting.agents]
    if not any(agent.is_trained_here is False for setting in met for agent in setting.agents):
        return []
    names = [agent.name for setting in met for agent in setting.agents]
    names += [entry.name for setting in met for entry in setting.baselines]
    rows = [["mean return ±", *(_short_title(setting, met) for setting in met)]]
    found = [{entry.name: entry for entry in (*setting.baselines, *setting.agents)} for setting in met]
    for name in dict.fromkeys(names):
        earned = [entries[name] for entries in found if name in entries]
        # Where it is of other numbers of seeds in other settings, each cell says of how many.
        marked = len({len(entry.results) for entry in earned}) > 1
        cells = (_earned(entries[name], marked) if name in entries else "" for entries in found)
        rows.append([name if marked else earned[0].label, *cells])
    return [Table(rows, "Out of distribution: in italics what an agent was trained on.")]


def _best(setting: Setting) -> Entry | None:
    """Return the clairvoyant's entry, if there is one."""
    return next((entry for entry in setting.baselines if entry.name == BEST), None)


def _measured(entry: Entry, best: Entry | None) -> list[str]:
    """Return an entry's mean return, its best seed's, the middle half's, and what it misses of the best."""
    mean, middle = statistics.mean(entry.returns), statistics.trimmed_mean(entry.returns)
    seeds = [result["mean_return"] for result in entry.results]
    best_seed = f"{max(seeds):.2f}" if len(seeds) > 1 else ""
    regret = ""
    if best is not None and best is not entry:
        regret = str(statistics.difference(best.returns, entry.returns))
    return [str(mean), best_seed, f"{middle.value:.2f} [{middle.low:.2f}, {middle.high:.2f}]", regret]


def _difference(agent: Entry, entry: Entry) -> str:
    """Return by how much an agent exceeds an entry with the interval; nothing for itself."""
    if agent is entry:
        return ""
    found = statistics.difference(agent.returns, entry.returns)
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _short_title(setting: Setting, settings: Sequence[Setting]) -> str:
    """Return variation and horizon, and the sizes where they differ among some settings."""
    sizes = setting.sizes if len({str(setting.sizes) for setting in settings}) > 1 else []
    return ", ".join([setting.header["variation"], f"H = {setting.header['horizon']}", *sizes])


def _earned(entry: Entry, marked: bool) -> str:
    """Return the mean return of an entry and its error, in italics where it was trained; seeds if marked."""
    mean = statistics.mean(entry.returns)
    text = f"*{mean}*" if entry.is_trained_here else str(mean)
    return f"{text} ({in_seeds(entry.results)})" if marked else text
