"""Results on different tasks: what is said, and what is told to do."""

import shlex

import pytest

from rl3_jax import plugins
from rl3_jax.cli import parse
from rl3_jax.errors import problems_of
from rl3_jax.report.agents import Source
from rl3_jax.report.mismatches import mismatches
from tests.report.setting import RESULT

AGENT = RESULT | {"iteration": 12, "greedy": False}
DIGEST = {"task_set_sha256": "other"}
TEN_ARMS = {"task": RESULT["task"] | {"num_arms": 10}} | DIGEST


def message(other, name="b", first_name="a"):
    """What is said of a result that differs in some fields from another."""
    first = (Source(f"runs/{first_name}", [], first_name), AGENT)
    found = mismatches([first, (Source(f"runs/{name}", [], name), AGENT | other)])
    assert len(found) == 1
    return found[0]


def command(said):
    """The command at the end of a message; the command line can read it, though there are no such folders."""
    line = said[said.rindex("rl3 ") :]
    assert all("runs/" in problem for problem in problems_of(parse, shlex.split(line)[1:]))
    return line


def test_results_on_the_same_tasks_are_not_mentioned():
    source = Source("a", [], "a")
    assert mismatches([(source, AGENT), (source, dict(AGENT))]) == []


@pytest.mark.parametrize(
    ("other", "expected", "mended"),
    [
        (
            DIGEST | {"num_tasks": 6, "eval_seed": 2},
            "runs/b was evaluated on 6 tasks of seed 2, runs/a on 50 tasks of seed 0;",
            "rl3 evaluate runs/b --variation default --horizon 100 --num-tasks 50 --seed 0",
        ),
        (
            DIGEST | {"variation": "ood", "horizon": 50},
            "runs/b was evaluated on variation ood, trials of 50 steps, runs/a on variation default,",
            "rl3 compare runs/a runs/b --variation default --horizon 100",
        ),
        (
            TEN_ARMS,
            "runs/b was evaluated on num_arms = 10, runs/a on num_arms = 5;",
            "rl3 report runs/a runs/b",
        ),
        (
            DIGEST,
            "runs/b and runs/a were evaluated by versions that draw other tasks;",
            "rl3 evaluate runs/b --variation default --horizon 100 --num-tasks 50 --seed 0",
        ),
    ],
)
def test_what_differs_is_said_with_the_command_that_mends_it(other, expected, mended):
    said = message(other)
    assert said.startswith(expected)
    assert command(said) == mended
    assert "sha256" not in said
    assert RESULT["task_set_sha256"] not in said


def test_the_command_has_the_plugins_and_the_way_of_acting(monkeypatch):
    monkeypatch.setattr(plugins, "named", ["mine"])
    assert message({"num_tasks": 6, "greedy": True}).endswith("--seed 0 --greedy --plugin mine")


def test_a_run_is_evaluated_again_rather_than_a_file():
    said = message({"num_tasks": 6}, name="")
    assert command(said) == "rl3 evaluate runs/a --variation default --horizon 100 --num-tasks 6 --seed 0"
    files = message({"num_tasks": 6}, name="", first_name="")
    assert files.endswith("make runs/ again with --num-tasks 50 --seed 0")
