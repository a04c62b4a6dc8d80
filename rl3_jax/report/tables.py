"""Tables of a page: what was earned in each setting, by how much, and where agents were not trained."""

from collections.abc import Mapping, Sequence
from typing import Any

from rl3_jax.report import statistics
from rl3_jax.report.agents import Source, in_seeds
from rl3_jax.report.gather import Entry, Setting
from rl3_jax.report.literature import FAR, REASONS, deviation, published_returns

BEST = "clairvoyant"
NO_SIZE = ("family", "variation", "attempts")
"""Fields of a family that the heading has already, or that do not tell what its tasks are like."""
HEADINGS = ("name", "mean return ±", "middle half [95 %]", "regret ±", "published", "apart, standard errors")
DIFFERENCES = "What the agent of each column earns more than the one of the row, on the same tasks [95 %]:"
COSTS = ("agent", "return", "of clairvoyant", "training steps", "training seconds")


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table of Markdown, the first row its heading; all columns but the first are of numbers."""
    lines = [rows[0], ["---", *["---:"] * (len(rows[0]) - 1)], *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def title(header: Mapping[str, Any]) -> str:
    """Return what was measured, e.g. `mdp, H = 100`; variations other than the base one are named."""
    variation = "" if header["variation"] == "default" else f" ({header['variation']})"
    return f"{header['family']}{variation}, H = {header['horizon']}"


def sizes(header: Mapping[str, Any]) -> list[str]:
    """Return the sizes of a family, e.g. `num_arms = 5`."""
    return [f"{name} = {value}" for name, value in header["task"].items() if name not in NO_SIZE]


def comparison_table(setting: Setting, runs: Sequence[Source]) -> str:
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
    text = f"{title(header)}; {tasks}, mean return of a trial ± standard error."
    return f"{text}\n\n{markdown(rows)}\n"


def section(setting: Setting) -> str:
    """Return a setting's tables with their heading."""
    header = setting.header
    tasks = f"{header['num_tasks']} tasks (seed {header['eval_seed']}, `{header['task_set_sha256'][:12]}`)"
    parts = [f"### {', '.join([title(header), *sizes(header)])}", tasks, returns_table(setting)]
    if setting.agents and len(setting.ranked) > 1:
        parts += [DIFFERENCES, differences_table(setting)]
    parts += [f"\\* {note}" for note in setting.notes]
    return "\n\n".join(parts)


def returns_table(setting: Setting) -> str:
    """Return the table of what each entry earned, best first, with footnotes."""
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
    rows += [[name, "", "", "", f"{value:g}", ""] for name, value in published.items() if name not in apart]
    # A column that says nothing is left out.
    shown = [column for column in range(len(HEADINGS)) if any(row[column] for row in rows[1:])]
    reasons = {name: REASONS.get(name.partition(" ")[0], "the reason is not known.") for name in far}
    notes = "".join(f"\n\n\\* {name}: {reason}" for name, reason in reasons.items())
    return markdown([[row[column] for column in shown] for row in rows]) + notes


def differences_table(setting: Setting) -> str:
    """Return the table of by how much each agent exceeds every other entry, on the same tasks."""
    rows = [["more than", *(agent.label for agent in setting.agents)]]
    for entry in setting.ranked:
        cells = [_difference(agent, entry) for agent in setting.agents]
        if any(cells):
            rows.append([entry.label, *cells])
    return markdown(rows)


def transfer_table(settings: Sequence[Setting]) -> str:
    """Return what agents of one family earn where they were not trained; nothing if none was tried there."""
    met = [setting for setting in settings if setting.agents]
    if not any(agent.is_trained_here is False for setting in met for agent in setting.agents):
        return ""
    names = [agent.name for setting in met for agent in setting.agents]
    names += [entry.name for setting in met for entry in setting.baselines]
    rows = [["mean return ±", *(_short_title(setting.header, met) for setting in met)]]
    found = [{entry.name: entry for entry in (*setting.baselines, *setting.agents)} for setting in met]
    for name in dict.fromkeys(names):
        earned = [entries[name] for entries in found if name in entries]
        # Where it is of other numbers of seeds in other settings, each cell says of how many.
        marked = len({len(entry.results) for entry in earned}) > 1
        cells = (_earned(entries[name], marked) if name in entries else "" for entries in found)
        rows.append([name if marked else earned[0].label, *cells])
    text = "Out of distribution: in italics what an agent was trained on."
    return f"{text}\n\n{markdown(rows)}"


def _best(setting: Setting) -> Entry | None:
    """Return the clairvoyant's entry, if there is one."""
    return next((entry for entry in setting.baselines if entry.name == BEST), None)


def _measured(entry: Entry, best: Entry | None) -> list[str]:
    """Return an entry's mean return, the mean of the middle half, and what it misses of the best."""
    mean, middle = statistics.mean(entry.returns), statistics.trimmed_mean(entry.returns)
    regret = ""
    if best is not None and best is not entry:
        regret = str(statistics.difference(best.returns, entry.returns))
    return [str(mean), f"{middle.value:.2f} [{middle.low:.2f}, {middle.high:.2f}]", regret]


def _difference(agent: Entry, entry: Entry) -> str:
    """Return by how much an agent exceeds an entry with the interval; nothing for itself."""
    if agent is entry:
        return ""
    found = statistics.difference(agent.returns, entry.returns)
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _short_title(header: Mapping[str, Any], settings: Sequence[Setting]) -> str:
    """Return variation and horizon, and the sizes where they differ among some settings."""
    differ = len({str(sizes(setting.header)) for setting in settings}) > 1
    return ", ".join([header["variation"], f"H = {header['horizon']}", *(sizes(header) if differ else ())])


def _earned(entry: Entry, marked: bool) -> str:
    """Return the mean return of an entry and its error, in italics where it was trained; seeds if marked."""
    mean = statistics.mean(entry.returns)
    text = f"*{mean}*" if entry.is_trained_here else str(mean)
    return f"{text} ({in_seeds(entry.results)})" if marked else text
