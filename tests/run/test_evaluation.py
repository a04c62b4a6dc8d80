"""Result files and `evaluation.json`."""

import json

import numpy as np
import pytest

from rl3_jax import ConfigError, compare, evaluate_baselines, evaluate_run, make_family
from rl3_jax.run.folder import RunFolder
from tests.run import tiny


@pytest.fixture
def run(finished):
    RunFolder(finished.path).evaluation.unlink(missing_ok=True)
    return finished


def entries(run):
    return json.loads((run.path / "evaluation.json").read_text())


def test_a_result_has_the_fields_of_the_design(run):
    result = run.evaluate(num_tasks=6)
    fields = [
        "family",
        "variation",
        "horizon",
        "num_tasks",
        "eval_seed",
        "task_set_sha256",
        "results",
        "iteration",
    ]
    assert list(result) == fields
    (entry,) = result["results"]
    assert list(entry) == ["name", "mean_return", "standard_error", "returns", "reward_curve"]
    assert entry["name"] == "rl3-markov"
    assert len(entry["returns"]) == 6
    assert entry["mean_return"] == pytest.approx(np.mean(entry["returns"]))
    assert result["iteration"] == 12
    assert entries(run) == [result]


def test_there_is_one_entry_a_variation_and_horizon(run):
    for asked in ({}, {"variation": "ood"}, {"horizon": 3}, {"seed": 1}, {"horizon": 3, "greedy": True}):
        evaluate_run(run.path, num_tasks=4, **asked)
    found = {(entry["variation"], entry["horizon"]): entry for entry in entries(run)}
    assert len(found) == len(entries(run)) == 3
    assert found["default", 10]["eval_seed"] == 1
    assert found["default", 3]["results"][0]["name"] == "rl3-markov (greedy)"


def test_all_mistakes_are_listed(run):
    with pytest.raises(ConfigError) as caught:
        run.evaluate(variation="x", horizon=0, num_tasks=1, seed=-1)
    assert len(caught.value.problems) == 4


def test_baselines_meet_the_tasks_of_the_agents(run):
    result = run.evaluate(num_tasks=6)
    baselines = evaluate_baselines(make_family("bandit"), 10, num_tasks=6)
    assert baselines["task_set_sha256"] == result["task_set_sha256"]
    assert {"random", "ucb1", "thompson", "clairvoyant"} <= {entry["name"] for entry in baselines["results"]}


def test_compare_draws_what_it_is_given(run, tmp_path):
    run.evaluate(num_tasks=6)
    figure, table = compare([run.path], tmp_path / "out")
    assert figure.stat().st_size > 1000
    assert all(name in table.read_text() for name in ("run", "thompson", "clairvoyant"))
    assert entries(run)[0]["num_tasks"] == 6


def test_compare_refuses_results_on_different_tasks(run, tmp_path):
    from rl3_jax.run import train

    other = train(tiny.vary(seed=1), tmp_path / "other", progress=False)
    run.evaluate(num_tasks=6)
    other.evaluate(num_tasks=6, seed=2)
    with pytest.raises(ConfigError, match=r"has eval_seed 2, .* has 0"):
        compare([run.path, other.path], tmp_path / "out")
    with pytest.raises(ConfigError, match="is not a run folder"):
        compare([run.path, tmp_path / "nothing"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
