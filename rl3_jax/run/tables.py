"""What `rl3 list`, `evaluate`, `baselines`, `describe` and `plan` print."""

import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.table import Column, Table

from rl3_jax.object_rl import ABSTRACTIONS, LEARNERS
from rl3_jax.policies import CORES
from rl3_jax.presets import PRESETS
from rl3_jax.report.mismatches import NO_SIZE
from rl3_jax.run.machine import described
from rl3_jax.run.progress import in_short
from rl3_jax.run.shipped import shipped_cards
from rl3_jax.tasks import FAMILIES
from rl3_jax.trial import COARSE, METHODS

PLANNED_SIZES = {
    "parameters": "memory: parameters",
    "optimiser": "optimisers",
    "trajectory": "trials of an iteration",
    "carries": "memory of the sequence models, all trials",
    "activations": "activations of a part of a minibatch",
    "program": "all that training holds",
    "evaluation": "memories of an evaluation",
    "available": "available",
}
"""Sizes of a plan, in words."""


def print_lists() -> None:
    """Print families, variations, presets, methods, policies, learners, abstractions and trained agents."""
    families = make_table("Task families", "family", "variations", "description")
    for name, family in FAMILIES.items():
        families.add_row(name, ", ".join(family.variations), _first_sentence(family))
    presets = make_table("Presets: rl3 train PRESET", "preset", "H", "trials", "iterations", "policy")
    for name, config in PRESETS.items():
        numbers = (str(config.horizon), str(config.ppo.trials), str(config.iterations))
        presets.add_row(name, *numbers, f"{config.policy.core.core} {config.policy.width}")
    methods = make_table("Methods: --method", "method", "sees of object-level RL", "which plans on")
    for name, features in METHODS.items():
        shown = ", ".join(part for part in ("advantages", "value", "counts") if getattr(features, part))
        states = COARSE[name].abstraction if name in COARSE else "states" if shown else ""
        methods.add_row(name, shown or "nothing", states)
    policies = make_table("Policies: --policy", "policy", "description")
    learners = make_table("Object-level learners: --learner", "learner", "description")
    abstractions = make_table("State abstractions: --abstraction", "abstraction", "description")
    for table, classes in ((policies, CORES), (learners, LEARNERS), (abstractions, ABSTRACTIONS)):
        for name, cls in classes.items():
            table.add_row(name, _first_sentence(cls))
    agents = make_table("Trained agents: --agent", "agent", "trained on", "M steps", "mean return ±")
    for name, card in shipped_cards().items():
        earned = card["results"][0]
        sizes = [f"{size}={value}" for size, value in earned["task"].items() if size not in NO_SIZE]
        setting = ", ".join([earned["family"], *sizes, f"H={earned['horizon']}"])
        agents.add_row(name, setting, f"{card['steps'] / 1e6:.0f}", _earned(earned))
    for table in (families, presets, methods, policies, learners, abstractions, agents):
        Console().print(table, end="\n\n")


def print_result(result: dict[str, Any]) -> None:
    """Print the content of a result file as a table, and what its family says of the trials as another."""
    title = (
        f"{result['family']}, variation {result['variation']}, H={result['horizon']},"
        f" {result['num_tasks']} held-out tasks (seed {result['eval_seed']})"
    )
    differences = {entry["name"]: entry for entry in result.get("differences", ())}
    compared = (f"{result['results'][0]['name']} − it [95 %]",) if differences else ()
    table = make_table(title, "name", "mean return ±", *compared)
    for entry in result["results"]:
        cells = [_earned(entry)]
        if entry["name"] in differences:
            found = differences[entry["name"]]
            low, high = found["interval"]
            cells.append(f"{found['mean']:+.2f} [{low:+.2f}, {high:+.2f}]")
        table.add_row(entry["name"], *cells)
    Console().print(table)
    _print_summaries(result["results"])


def _print_summaries(results: list[dict[str, Any]]) -> None:
    """Print the means of the family's summary of trials, a row a result, if there are any."""
    summaries = {entry["name"]: entry.get("summary", {}) for entry in results}  # older files have none
    names = list(dict.fromkeys(name for summary in summaries.values() for name in summary))
    if not names:
        return
    table = make_table("Of a trial, on average", "name", *(name.replace("_", " ") for name in names))
    for result, summary in summaries.items():
        means = (summary[name]["mean"] if name in summary else None for name in names)
        table.add_row(result, *map(in_short, means))
    Console().print(table)


def print_statistics(description: dict[str, Any]) -> None:
    """Print what `describe` returns as a table."""
    title = (
        f"{description['family']}, variation {description['variation']},"
        f" {description['num_tasks']} tasks drawn (seed {description['seed']})"
    )
    if not description["statistics"]:
        print(f"{title}: the family has no statistics (TaskFamily.statistics)")
        return
    table = make_table(title, "statistic", "mean", "standard error")
    for name, entry in description["statistics"].items():
        numbers = (entry["mean"], entry["standard_error"])
        table.add_row(name, *("unknown" if number is None else f"{number:.4f}" for number in numbers))
    Console().print(table)


def print_plan(found: dict[str, Any]) -> None:
    """Print what `plan` returns as a table."""
    device, sizes, seconds = found["device"], found["bytes"], found["seconds"]
    table = make_table(f"On {described(device)}", "what", Column("takes", justify="right"))
    table.add_row("parameters", f"{found['parameters']:,}")
    table.add_row("steps per iteration", f"{found['steps_per_iteration']:,}")
    for name, words in PLANNED_SIZES.items():
        table.add_row(words, "unknown" if sizes[name] is None else decimal(sizes[name], precision=2))
    table.add_row("compilation", f"{seconds['compile']:.1f} s")
    if seconds["iteration"] is not None:
        table.add_row("iteration", f"{seconds['iteration']:.3g} s")
        table.add_row("steps per second", f"{found['steps_per_second']:,.0f}")
        run = datetime.timedelta(seconds=round(seconds["run"]))
        table.add_row(f"{found['iterations']:,} iterations, h:mm:ss", str(run))
    Console().print(table)
    if found["costs"] is None:
        return
    if not found["costs"]:
        Console().print(
            "the loops over steps and minibatches were not found in the program, so nothing is counted"
        )
        return
    names = ("kernels", "branches and open loops", "collectives", "flops", "bytes")
    columns = [Column(name, justify="right") for name in names]
    table = make_table("Work of each device", "loop", *columns)
    for name, cost in found["costs"].items():
        branches = cost["conditionals"] + cost["open_loops"]
        numbers = (cost["kernels"], branches, cost["collectives"], cost["flops"])
        table.add_row(
            name.replace("_", " "), *(f"{n:,}" for n in numbers), decimal(cost["bytes"], precision=2)
        )
    Console().print(table)


def print_sweep(found: dict[str, Any], out: Path) -> None:
    """Print the content of a `sweep.json`: candidates as they were last compared, the best first."""
    fields = list(found["values"])
    title = f"{found['num_tasks']} held-out tasks, {found['num_seeds']} seed{'s' * (found['num_seeds'] > 1)}"
    table = make_table(title, *fields, "iterations", "mean return ±", "[95 %]")
    for rung in reversed(found["rungs"]):
        last = rung is found["rungs"][-1]
        for entry in rung["candidates"]:
            if last or not entry["kept"]:
                earned = ("diverged", "") if entry["diverged"] else _estimate(entry)
                values = (str(entry["fields"][field]) for field in fields)
                table.add_row(*values, str(rung["iterations"]), *earned)
    Console().print(table)
    best = found["best"]
    print(f"best: {best['name']}; on other tasks {' '.join(_estimate(best))}")
    print(f"its runs: {' '.join(str(out / best['name'] / folder) for folder in best['folders'])}")


def _estimate(entry: dict[str, Any]) -> tuple[str, str]:
    """Return a mean with its error, and its interval."""
    low, high = entry["interval"]
    return _earned(entry), f"[{low:.2f}, {high:.2f}]"


def _earned(entry: dict[str, Any]) -> str:
    """Return a mean return with its standard error."""
    return f"{entry['mean_return']:.2f} ± {entry['standard_error']:.2f}"


def make_table(title: str, *columns: str | Column) -> Table:
    """Return an empty table in the looks of all."""
    return Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD)


def _first_sentence(cls: type) -> str:
    return (cls.__doc__ or "").partition("\n")[0]
