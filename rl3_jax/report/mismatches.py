"""Whether results are on the same tasks; if not, in what they differ, and the command that mends it."""

import shlex
from collections.abc import Sequence
from typing import Any

from rl3_jax import plugins
from rl3_jax.report.agents import Result, Source

TASK_SET = ("family", "variation", "horizon", "num_tasks", "eval_seed", "task_set_sha256")
"""Fields of a result file that two results must have in common to be comparable."""
NO_SIZE = ("family", "variation", "attempts")
"""Fields of a family that have other names here, or that do not tell what its tasks are like."""

Member = tuple[Source, Result]
"""The content of a result file, and where it comes from."""


def sizes_of(result: Result) -> dict[str, str]:
    """Return the sizes of a result's family in words, e.g. `num_arms = 5`, by their names."""
    return {name: f"{name} = {value}" for name, value in result["task"].items() if name not in NO_SIZE}


def mismatches(members: Sequence[Member]) -> list[str]:
    """Return a message for each result that is not on the same tasks as the first."""
    first, *others = members
    differing = [other for other in others if any(other[1][field] != first[1][field] for field in TASK_SET)]
    return [_message(other, first, members) for other in differing]


def _message(other: Member, first: Member, members: Sequence[Member]) -> str:
    """Return what sets a result apart from the first, and what mends it."""
    (source, result), (beside, expected) = other, first
    ours, theirs = _words(result), _words(expected)
    apart = [name for name in ours | theirs if ours.get(name) != theirs.get(name)]
    if not apart:
        return (
            f"{source.place} and {beside.place} were evaluated by versions that draw other tasks;"
            f" {_again(first, expected)}; {_again(other, expected)}"
        )
    said, expects = (", ".join(words[name] for name in apart if name in words) for words in (ours, theirs))
    both = f"{source.place} was evaluated on {said}, {beside.place} on {expects}"
    places = [member.place for member, _ in members]
    if set(apart) - {"variation", "horizon", "tasks"}:
        return f"{both}; make a table for each: {_command('report', *places)}"
    if set(apart) - {"tasks"}:
        where = ("--variation", expected["variation"], "--horizon", expected["horizon"])
        return f"{both}; compare them in the same trials: {_command('compare', *places, *where)}"
    # Of a run and a file of results, the run is what a command evaluates again by its name.
    wrong, right = (first, result) if beside.name and not source.name else (other, expected)
    return f"{both}; {_again(wrong, right)}"


def _words(result: Result) -> dict[str, str]:
    """Return by what the tasks of a result are known, in words."""
    return {
        "family": result["family"],
        **sizes_of(result),
        "variation": f"variation {result['variation']}",
        "horizon": f"trials of {result['horizon']} steps",
        "tasks": f"{result['num_tasks']} tasks of seed {result['eval_seed']}",
    }


def _again(member: Member, like: Result) -> str:
    """Return how a result is made again on as many tasks, of the same seed, as another."""
    (source, result), tasks = member, ("--num-tasks", like["num_tasks"], "--seed", like["eval_seed"])
    if not source.name:
        return f"make {source.place} again with {' '.join(map(str, tasks))}"
    where = ("--variation", like["variation"], "--horizon", like["horizon"])
    greedy = ("--greedy",) if result.get("greedy") else ()
    return f"evaluate {source.place} again: {_command('evaluate', source.place, *where, *tasks, *greedy)}"


def _command(*arguments: Any) -> str:
    """Return a command as it is typed."""
    return shlex.join(["rl3", *map(str, arguments)]) + plugins.option()
