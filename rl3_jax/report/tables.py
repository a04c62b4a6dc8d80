"""Markdown tables from result files."""

from typing import Any


def comparison_table(
    runs: list[dict[str, Any]], baselines: list[dict[str, Any]], header: dict[str, Any]
) -> str:
    """Return a Markdown table of agents and baselines, best first.

    Each row gives the mean return over the held-out tasks ± its standard error, what it is as a share
    of the clairvoyant's where that is among the baselines, and the cost of training.
    """
    clairvoyant = next((entry["mean_return"] for entry in baselines if entry["name"] == "clairvoyant"), None)
    rows = [(run["result"], _cost(run["metrics"]), run["name"]) for run in runs]
    rows += [(entry, ("–", "–"), entry["name"]) for entry in baselines]
    rows.sort(key=lambda row: -row[0]["mean_return"])
    lines = [
        f"{title(header)}; {header['num_tasks']} held-out tasks (seed {header['eval_seed']}), "
        "mean return of a trial ± standard error.",
        "",
        "| agent | return | of clairvoyant | training steps | training seconds |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for entry, (steps, seconds), name in rows:
        share = "–" if clairvoyant is None else f"{100 * entry['mean_return'] / clairvoyant:.1f} %"
        value = f"{entry['mean_return']:.2f} ± {entry['standard_error']:.2f}"
        lines.append(f"| {name} | {value} | {share} | {steps} | {seconds} |")
    return "\n".join(lines) + "\n"


def title(header: dict[str, Any]) -> str:
    """Return what was measured, e.g. `mdp, H = 100`; variations other than the base one are named."""
    variation = "" if header["variation"] == "default" else f" ({header['variation']})"
    return f"{header['family']}{variation}, H = {header['horizon']}"


def _cost(metrics: list[dict[str, Any]]) -> tuple[str, str]:
    """Return the steps and the seconds of a training run, as text."""
    if not metrics:
        return "–", "–"
    last = metrics[-1]
    return f"{last['steps'] / 1e6:.2f} M", f"{last['wall_seconds']:.0f}"
