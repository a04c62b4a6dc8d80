"""A page of tables and figures, made of result files alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rl3_jax.errors import ConfigError
from rl3_jax.report import statistics
from rl3_jax.report.figures import adaptation_figure
from rl3_jax.report.literature import FAR, REASONS, SOURCE, TASKS, beside, published_returns
from rl3_jax.report.results import mismatches
from rl3_jax.report.tables import title

BEST = "clairvoyant"
HEADINGS = (
    "name",
    "mean return ±",
    "middle half [95 %]",
    "regret ±",
    "published",
    "apart, standard errors",
)


def write_page(results: Mapping[str, Mapping[str, Any]], out: Path) -> list[Path]:
    """Write `README.md` and a figure for each family into a folder; returns the paths of all.

    Args:
      results: contents of result files, by the name to tell the user.
      out: folder, made if it is missing.

    Raises:
      ConfigError: if results of one setting are not on the same tasks.
    """
    settings = grouped(results)
    out.mkdir(parents=True, exist_ok=True)
    sections, written = [HEADER], []
    for family in dict.fromkeys(setting["family"] for setting in settings):
        figure = out / f"{family}.png"
        members = [setting for setting in settings if setting["family"] == family]
        adaptation_figure(members, figure)
        written.append(figure)
        sections += [f"## {family}\n\n![Mean reward over the trial]({figure.name})", *map(section, members)]
    page = out / "README.md"
    page.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return [page, *written]


HEADER = f"""# Returns on held-out tasks

Made from result files by `rl3 report`. *Mean return* is of a whole trial ± its standard error over tasks;
*middle half* is the mean of the middle half of the returns, with a bootstrap interval of 95 % over tasks;
*regret* is what the {BEST} has more on the same tasks ± its standard error. *Published* is
{SOURCE}; *apart* is how far ours is from it, in standard
errors of the difference, where the published mean is taken to be of {TASKS} tasks."""


def grouped(results: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one result for each setting, with the entries of all results that have it.

    Of entries with the same name and returns one is kept.

    Raises:
      ConfigError: if results of one setting are not on the same tasks.
    """
    groups: dict[str, dict[str, Mapping[str, Any]]] = {}
    for name, result in results.items():
        setting = str((result["family"], result["variation"], result["task"], result["horizon"]))
        groups.setdefault(setting, {})[name] = result
    if problems := [problem for members in groups.values() for problem in mismatches(members)]:
        raise ConfigError(problems)
    merged = []
    for members in groups.values():
        entries = {
            (entry["name"], tuple(entry["returns"])): entry
            for result in members.values()
            for entry in result["results"]
        }
        merged.append({**next(iter(members.values())), "results": list(entries.values())})
    return sorted(merged, key=_order)


def _order(result: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what settings are sorted by; sizes of a task are numbers."""
    sizes = [value for value in result["task"].values() if isinstance(value, int | float)]
    return result["family"], result["variation"], result["horizon"], sizes, str(result["task"])


def section(result: Mapping[str, Any]) -> str:
    """Return a setting's table with its heading, best first."""
    published = published_returns(result)
    entries = sorted(result["results"], key=lambda entry: -entry["mean_return"])
    best = next((entry for entry in entries if entry["name"] == BEST), None)
    rows = [_cells(entry, best, published) for entry in entries]
    rows += [
        [name, "", "", "", f"{value:g}", ""]
        for name, value in published.items()
        if name not in {entry["name"] for entry in entries}
    ]
    lines = [HEADINGS, ["---", *["---:"] * (len(HEADINGS) - 1)], *rows]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = "".join(f"\n\n\\* {name}: {_reason(name)}" for name in _far(entries, published))
    about = f"{result['num_tasks']} tasks (seed {result['eval_seed']}, `{result['task_set_sha256'][:12]}`)"
    return f"### {_sized_title(result)}\n\n{about}\n\n{table}{notes}"


def _far(entries: Sequence[Mapping[str, Any]], published: Mapping[str, float]) -> list[str]:
    """Return the names of entries that are far from what was published."""
    return [
        entry["name"]
        for entry in entries
        if entry["name"] in published and abs(beside(entry, published[entry["name"]]).deviation) > FAR
    ]


def _reason(name: str) -> str:
    """Return why an entry is far from what was published, as far as that is known."""
    return REASONS.get(name.partition(" ")[0], "the reason is not known.")


def _cells(
    entry: Mapping[str, Any], best: Mapping[str, Any] | None, published: Mapping[str, float]
) -> Sequence[str]:
    """Return the cells of an entry's row."""
    returns = np.asarray([entry["returns"]], dtype=float)
    middle, regret, known = statistics.trimmed_mean(returns), "", ["", ""]
    if best is not None and best is not entry:
        found = statistics.regret(returns, np.asarray([best["returns"]], dtype=float))
        regret = f"{found.value:.2f} ± {found.standard_error:.2f}"
    if entry["name"] in published:
        other = beside(entry, published[entry["name"]])
        mark = r" \*" if abs(other.deviation) > FAR else ""
        known = [f"{other.value:g}", f"{other.deviation:+.1f}{mark}"]
    return [
        entry["name"],
        f"{entry['mean_return']:.2f} ± {entry['standard_error']:.2f}",
        f"{middle.value:.2f} [{middle.low:.2f}, {middle.high:.2f}]",
        regret,
        *known,
    ]


def _sized_title(result: Mapping[str, Any]) -> str:
    """Return what was measured with its sizes, e.g. `bandit, H = 100, num_arms = 5`."""
    sizes = {name: value for name, value in result["task"].items() if name not in ("family", "variation")}
    return ", ".join([title(dict(result)), *(f"{name} = {value}" for name, value in sizes.items())])
