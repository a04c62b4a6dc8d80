"""Training the agents of the page of results."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rl3_jax
from rl3_jax import cli
from rl3_jax.presets import method_name
from rl3_jax.run import shipped
from rl3_jax.run.folder import read_config_file
from rl3_jax.run.machine import versions
from rl3_jax.training import serialise
from tests.marks import slow

FOLDER = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(FOLDER))

import agents  # noqa: E402

SETTINGS = [(name, method) for name, setting in agents.SETTINGS.items() for method in setting.methods]


@pytest.mark.parametrize(("name", "method"), SETTINGS)
def test_an_agent_is_trained_in_the_setting_of_its_name(name, method):
    """The baselines' result file of this name is of the same trials."""
    config = agents.configure(agents.SETTINGS[name], method)
    config.validate()
    assert method_name(config) == method
    beside = json.loads((FOLDER.parent / "results" / "baselines" / f"{name}.json").read_text())
    assert serialise.to_dict(config.task) == beside["task"]
    assert config.horizon == beside["horizon"]
    steps = agents.SETTINGS[name].steps * 1e6
    assert abs(config.iterations * config.steps_per_iteration - steps) < config.steps_per_iteration


def test_agents_keeps_of_a_run_what_a_report_is_made_from(tmp_path, monkeypatch):
    small = {"ppo.trials": 8, "ppo.minibatch_trials": 4, "horizon": 10}
    tiny = agents.Setting("mdp-h100-quick", small, {"rl3": {"policy.width": 8}}, 160e-6, seeds=2)
    others = {
        "longer": dataclasses.replace(tiny, changes=small | {"horizon": 25}, methods={}),
        "larger": dataclasses.replace(tiny, changes=small | {"horizon": 40, "task.states": 9}, methods={}),
    }
    monkeypatch.setattr(agents, "SETTINGS", {"tiny": tiny} | others)
    monkeypatch.setattr(agents, "EVALUATIONS", 1)
    monkeypatch.setattr(agents, "CHECKED", 3)
    line = ["--num-tasks", "4", "--runs", tmp_path / "runs", "--results", tmp_path]
    line += ["--agents", tmp_path / "shipped"]
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "shipped")

    def make(*more):
        monkeypatch.setattr(sys, "argv", ["agents.py", *map(str, (*line, *more))])
        agents.main()

    make("tiny", "--seeds", "1")
    first = tmp_path / "agents" / "tiny" / "rl3-markov-seed0"
    assert sorted(path.name for path in first.iterdir()) == [
        "config.json",
        "evaluation.json",
        "metrics.jsonl",
    ]
    earned = json.loads((first / "evaluation.json").read_text())
    trials = [("default", 10), ("ood", 10), ("default", 20), ("default", 25), ("default", 100)]
    assert [(entry["variation"], entry["horizon"]) for entry in earned] == trials
    assert {entry["num_tasks"] for entry in earned} == {4}
    metrics = (first / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(row)["steps"] for row in metrics] == [160]
    card = shipped.shipped_cards()["tiny-rl3"]
    assert (card["seed"], card["steps"], card["curve"]["steps"]) == (0, 160, [160])
    assert card["command"] == "python benchmarks/agents.py tiny --methods rl3"
    assert len(card["returns"]) == 3
    for row, entry in zip(card["results"], earned, strict=True):
        assert row["mean_return"] == entry["results"][0]["mean_return"]
        assert f"{row['mean_return']:.2f} ± " in (tmp_path / "shipped" / "tiny-rl3" / "README.md").read_text()
    as_trained = rl3_jax.evaluate_run(rl3_jax.load_agent("tiny-rl3"), num_tasks=4)
    assert as_trained["results"][0]["returns"] == earned[0]["results"][0]["returns"]
    # What is kept is not trained again, wherever the runs are.
    shutil.rmtree(tmp_path / "runs")
    make()
    assert [path.name for path in (tmp_path / "runs" / "agents" / "tiny").iterdir()] == ["rl3-markov-seed1"]
    kept = map(str, (tmp_path / "agents" / "tiny").iterdir())
    assert cli.main(["report", *kept, "--out", str(tmp_path / "page")]) == 0
    assert "rl3-markov (2 seeds)" in (tmp_path / "page" / "README.md").read_text()
    with pytest.raises(SystemExit, match="unknown settings nonsense; choose from: tiny, longer, larger"):
        make("nonsense")
    with pytest.raises(SystemExit, match="unknown methods rl4; choose from: rl3"):
        make("--methods", "rl4")


def test_agents_trains_each_missing_seed_as_itself_and_goes_on_with_those_begun(tmp_path, monkeypatch):
    """Seed 1 is kept, the run of seed 2 is there; 0, 3 and 4 are to be trained."""
    small = {"ppo.trials": 8, "ppo.minibatch_trials": 4, "horizon": 10}
    tiny = agents.Setting("mdp-h100-quick", small, {"rl3": {"policy.width": 8}}, 160e-6)
    monkeypatch.setattr(agents, "SETTINGS", {"tiny": tiny})
    options = agents.Options(num_tasks=4, runs=tmp_path / "runs", results=tmp_path / "kept")
    options = dataclasses.replace(options, agents=tmp_path / "shipped")
    places = [Path("agents") / "tiny" / f"rl3-markov-seed{seed}" for seed in range(5)]
    kept = options.results / places[1] / "config.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps(serialise.to_dict(dataclasses.replace(agents.configure(tiny, "rl3"), seed=1))))
    monkeypatch.setattr(agents, "CHECKED", 3)
    begun = dataclasses.replace(agents.configure(tiny, "rl3"), seed=2)
    rl3_jax.train(begun, options.runs / places[2], progress=False)
    written = (options.runs / places[2] / "metrics.jsonl").read_bytes()
    agents.earn(options, "tiny", "rl3")
    assert list(kept.parent.iterdir()) == [kept]
    for seed in (0, 2, 3, 4):
        config = json.loads((options.results / places[seed] / "config.json").read_text())
        assert config["seed"] == seed
    assert (options.runs / places[2] / "metrics.jsonl").read_bytes() == written
    assert sorted(path.name for path in (options.results / "agents" / "tiny").iterdir()) == [
        p.name for p in places
    ]


def test_what_is_kept_or_begun_of_another_configuration_is_refused(tmp_path, monkeypatch):
    small = {"ppo.trials": 8, "ppo.minibatch_trials": 4, "horizon": 10}
    tiny = agents.Setting("mdp-h100-quick", small, {"rl3": {}}, 160e-6, seeds=1)
    monkeypatch.setattr(agents, "SETTINGS", {"tiny": tiny})
    options = agents.Options(runs=tmp_path / "runs", results=tmp_path / "kept")
    for folder in (options.runs, options.results):
        config = folder / "agents" / "tiny" / "rl3-markov-seed0" / "config.json"
        config.parent.mkdir(parents=True)
        other = dataclasses.replace(agents.configure(tiny, "rl3"), iterations=7)
        config.write_text(json.dumps(serialise.to_dict(other)))
        with pytest.raises(SystemExit, match="rl3-markov-seed0 is of another configuration"):
            agents.earn(options, "tiny", "rl3")
        shutil.rmtree(folder)


KEPT = sorted((FOLDER.parent / "results" / "agents").glob("*/*-seed0"))


@pytest.mark.parametrize("kept", KEPT, ids=[f"{path.parent.name}-{path.name}" for path in KEPT])
def test_the_page_has_agents_of_the_settings_as_they_are(kept):
    config = read_config_file(kept / "config.json")
    assert config == agents.configure(agents.SETTINGS[kept.parent.name], method_name(config))


def test_an_ablation_is_evaluated_where_it_was_trained_and_does_not_ship(tmp_path, monkeypatch):
    small = {"ppo.trials": 8, "ppo.minibatch_trials": 4, "horizon": 10, "policy.width": 8}
    methods = {"counts-only": agents.IN_BOTH["counts-only"]}
    tiny = agents.Setting("mdp-h100-quick", small, methods, 160e-6, seeds=1)
    monkeypatch.setattr(agents, "ABLATIONS", {"tiny": tiny})
    options = agents.Options(ablations=True, num_tasks=4, runs=tmp_path / "runs", results=tmp_path / "kept")
    agents.earn(dataclasses.replace(options, agents=tmp_path / "shipped"), "tiny", "counts-only")
    (folder,) = (tmp_path / "kept" / "ablations" / "tiny").iterdir()
    assert folder.name == "counts-only-markov-seed0"
    (earned,) = json.loads((folder / "evaluation.json").read_text())
    assert (earned["variation"], earned["horizon"], earned["num_tasks"]) == ("default", 10, 4)
    features = json.loads((folder / "config.json").read_text())["features"]
    assert (features["counts"], features["value"], features["advantages"]) == (True, False, False)
    assert not (tmp_path / "shipped").exists()


ABLATIONS = [(name, method) for name, setting in agents.ABLATIONS.items() for method in setting.methods]


@pytest.mark.parametrize(("name", "method"), ABLATIONS)
def test_an_ablation_changes_something_in_the_setting_of_its_name(name, method):
    setting = agents.ABLATIONS[name]
    config = agents.configure(setting, method)
    config.validate()
    beside = json.loads((FOLDER.parent / "results" / "baselines" / f"{name}.json").read_text())
    assert serialise.to_dict(config.task) == beside["task"]
    assert config.horizon == beside["horizon"]
    same = [other for other in setting.methods if agents.configure(setting, other) == config]
    assert same == [method]


@pytest.mark.parametrize("name", slow(list(shipped.shipped_cards()), keep=2))
def test_a_shipped_agent_earns_what_its_card_says(name, tmp_path):
    """The same returns, bit for bit, where it runs on what it was made with; else an action may differ."""
    card, file = shipped.shipped_cards()[name], tmp_path / "result.json"
    line = ["evaluate", "--agent", name, "--num-tasks", str(len(card["returns"])), "--no-baselines"]
    usual = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"} | {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "rl3_jax", *line, "--json", str(file)]
    subprocess.run(command, check=True, capture_output=True, env=usual)
    returns = np.array(json.loads(file.read_text())["results"][0]["returns"])
    here = {"versions": versions(), "processor": agents.processor()}
    if all(card[what] == found for what, found in here.items()):
        np.testing.assert_array_equal(returns, card["returns"])
    else:
        same = np.abs(returns - card["returns"]) < 1e-3
        assert same.mean() > 0.9
