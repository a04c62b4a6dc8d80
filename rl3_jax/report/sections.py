"""Tables of a page: what was earned in each setting, by how much, and where agents were not trained."""

from collections.abc import Mapping, Sequence
from typing import Any

from rl3_jax.report import statistics
from rl3_jax.report.gather import Entry, Setting
from rl3_jax.report.literature import FAR, REASONS, beside, published_returns
from rl3_jax.report.tables import title

BEST = "clairvoyant"
NO_SIZE = ("family", "variation", "attempts")
"""Fields of a family that the heading has already, or that do not tell what its tasks are like."""
HEADINGS = (
    "name",
    "mean return ±",
    "middle half [95 %]",
    "regret ±",
    "published",
    "apart, standard errors",
)
DIFFERENCES = "What the agent of each column earns more than the one of the row, on the same tasks [95 %]:"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown, the first row its heading; all columns but the first are of numbers."""
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sized_title(header: Mapping[str, Any]) -> str:
    """Return what was measured with its sizes, e.g. `bandit, H = 100, num_arms = 5`."""
    return ", ".join([title(dict(header)), *sizes(header)])


def sizes(header: Mapping[str, Any]) -> list[str]:
    """Return the sizes of a family, e.g. `num_arms = 5`."""
    return [f"{name} = {value}" for name, value in header["task"].items() if name not in NO_SIZE]


def section(setting: Setting) -> str:
    """Return a setting's tables with their heading."""
    header = setting.header
    tasks = f"{header['num_tasks']} tasks (seed {header['eval_seed']}, `{header['task_set_sha256'][:12]}`)"
    parts = [f"### {sized_title(header)}", tasks, returns_table(setting)]
    if setting.agents and len(setting.entries) > 1:
        parts += [DIFFERENCES, differences_table(setting)]
    parts += [f"\\* {note}" for note in setting.notes]
    return "\n\n".join(parts)


def returns_table(setting: Setting) -> str:
    """Return the table of what each entry earned, best first, with footnotes."""
    published = published_returns(setting.header)
    entries = sorted(setting.entries, key=lambda entry: -entry.mean_return)
    best = next((entry for entry in setting.baselines if entry.name == BEST), None)
    rows = [HEADINGS, *(_cells(entry, best, published) for entry in entries)]
    rows += [
        [name, "", "", "", f"{value:g}", ""]
        for name, value in published.items()
        if name not in {entry.name for entry in setting.baselines}
    ]
    # A column that says nothing is left out.
    shown = [column for column in range(len(HEADINGS)) if any(row[column] for row in rows[1:])]
    notes = "".join(f"\n\n\\* {name}: {_reason(name)}" for name in _far(setting.baselines, published))
    return markdown([[row[column] for column in shown] for row in rows]) + notes


def differences_table(setting: Setting) -> str:
    """Return the table of by how much each agent exceeds every other entry, on the same tasks."""
    rows = [["more than", *(agent.label for agent in setting.agents)]]
    for entry in sorted(setting.entries, key=lambda entry: -entry.mean_return):
        cells = [_difference(agent, entry) for agent in setting.agents]
        if any(cells):
            rows.append([entry.label, *cells])
    return markdown(rows)


def transfer_table(settings: Sequence[Setting]) -> str:
    """Return the table of what agents earn in settings that they were not trained in, or nothing if none did.

    Args:
      settings: of one family.
    """
    met = [setting for setting in settings if setting.agents]
    if not any(agent.is_trained_here is False for setting in met for agent in setting.agents):
        return ""
    names = [agent.name for setting in met for agent in setting.agents]
    names += [entry.name for setting in met for entry in setting.baselines]
    rows = [["mean return ±", *(_short_title(setting.header, met) for setting in met)]]
    for name in dict.fromkeys(names):
        found = [next((entry for entry in setting.entries if entry.name == name), None) for setting in met]
        seeds = {len(entry.results) for entry in found if entry is not None}
        marked = len(seeds) > 1
        label = name if marked else next(entry.label for entry in found if entry is not None)
        rows.append([label, *("" if entry is None else _earned(entry, marked) for entry in found)])
    text = "Out of distribution: in italics what an agent was trained on."
    return f"{text}\n\n{markdown(rows)}"


def _short_title(header: Mapping[str, Any], settings: Sequence[Setting]) -> str:
    """Return variation and horizon, and the sizes where they differ among some settings."""
    differ = len({str(sizes(setting.header)) for setting in settings}) > 1
    return ", ".join([header["variation"], f"H = {header['horizon']}", *(sizes(header) if differ else ())])


def _earned(entry: Entry, marked: bool) -> str:
    """Return the mean return of an entry and its error; in italics where it was trained.

    Args:
      entry: the entry.
      marked: whether to say of how many seeds it is.
    """
    found = statistics.mean(entry.returns)
    text = f"{found.value:.2f} ± {found.standard_error:.2f}"
    if entry.is_trained_here:
        text = f"*{text}*"
    return f"{text} ({entry.seeds})" if marked else text


def _difference(agent: Entry, entry: Entry) -> str:
    """Return by how much an agent exceeds an entry with the interval; nothing for itself."""
    if agent is entry:
        return ""
    found = statistics.difference(agent.returns, entry.returns)
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _far(entries: Sequence[Entry], published: Mapping[str, float]) -> list[str]:
    """Return the names of entries that are far from what was published."""
    return [
        entry.name
        for entry in entries
        if entry.name in published and abs(beside(entry.results[0], published[entry.name]).deviation) > FAR
    ]


def _reason(name: str) -> str:
    """Return why an entry is far from what was published, as far as that is known."""
    return REASONS.get(name.partition(" ")[0], "the reason is not known.")


def _cells(entry: Entry, best: Entry | None, published: Mapping[str, float]) -> list[str]:
    """Return the cells of an entry's row."""
    returns = entry.returns
    mean, middle = statistics.mean(returns), statistics.trimmed_mean(returns)
    regret, known = "", ["", ""]
    if best is not None and best is not entry:
        found = statistics.regret(returns, best.returns)
        regret = f"{found.value:.2f} ± {found.standard_error:.2f}"
    if entry.name in published and not entry.is_agent:
        other = beside(entry.results[0], published[entry.name])
        mark = r" \*" if abs(other.deviation) > FAR else ""
        known = [f"{other.value:g}", f"{other.deviation:+.1f}{mark}"]
    return [
        entry.label,
        f"{mean.value:.2f} ± {mean.standard_error:.2f}",
        f"{middle.value:.2f} [{middle.low:.2f}, {middle.high:.2f}]",
        regret,
        *known,
    ]
