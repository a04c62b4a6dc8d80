"""Result files and `evaluation.json`."""

import dataclasses
import json
import os
import shutil
from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from flax import struct

from rl3_jax import ConfigError, Run, compare, evaluate_baselines, evaluate_run, make_family, resume, training
from rl3_jax.cli import main
from rl3_jax.constraints import problems
from rl3_jax.run import baselines as run_baselines
from rl3_jax.run import refresh
from rl3_jax.run.baselines import add_baselines
from rl3_jax.run.evaluation import env_problems
from rl3_jax.run.folder import RunFolder
from rl3_jax.run.report import compare_problems
from rl3_jax.run.tables import print_result
from rl3_jax.run.watch import Watch
from rl3_jax.trial import Behaviour, TrialEnv
from tests.probes import Chain
from tests.run import tiny


@pytest.fixture
def run(finished):
    RunFolder(finished.path).evaluation.unlink(missing_ok=True)
    return finished


@struct.dataclass
class First(Behaviour):
    """Takes action 0."""

    def act(self, env, memory, state, observation, key):
        return memory, jnp.int32(0)


@dataclasses.dataclass(frozen=True)
class Told(Chain):
    """A family from outside, which says what to compare with."""

    family: ClassVar[str] = "told"
    baselines: ClassVar[dict] = {"first": First(), "made": lambda at: First()}


def entries(run):
    return json.loads((run.path / "evaluation.json").read_text())


def test_a_result_has_the_fields_of_the_design(run):
    result = run.evaluate(num_tasks=6)
    fields = [
        "family",
        "variation",
        "task",
        "horizon",
        "num_tasks",
        "eval_seed",
        "task_set_sha256",
        "results",
        "iteration",
        "greedy",
    ]
    assert list(result) == fields
    (entry,) = result["results"]
    assert list(entry) == [
        "name",
        "mean_return",
        "standard_error",
        "returns",
        "reward_curve",
        "adaptation",
        "summary",
    ]
    assert entry["summary"] == {}
    assert entry["name"] == "rl3-markov"
    assert len(entry["returns"]) == 6
    assert entry["mean_return"] == pytest.approx(np.mean(entry["returns"]))
    assert result["iteration"] == 12
    assert entries(run) == [result]


def test_there_is_one_entry_a_variation_horizon_and_way_of_acting(run):
    for asked in ({}, {"variation": "ood"}, {"horizon": 3}, {"seed": 1}, {"horizon": 3, "greedy": True}):
        evaluate_run(run.path, num_tasks=4, **asked)
    found = {(entry["variation"], entry["horizon"], entry["greedy"]): entry for entry in entries(run)}
    assert len(found) == len(entries(run)) == 4
    assert found["default", 10, False]["eval_seed"] == 1
    assert found["default", 3, False]["results"][0]["name"] == "rl3-markov"
    assert found["default", 3, True]["results"][0]["name"] == "rl3-markov (greedy)"


def test_all_variations_are_evaluated_at_once(run, tmp_path, capsys):
    file = tmp_path / "all.json"
    line = f"evaluate {run.path} --variation all --num-tasks 4 --no-baselines --json {file}"
    assert main(line.split()) == 0
    results = json.loads(file.read_text())
    assert [result["variation"] for result in results] == ["default", "ood"]
    assert entries(run) == results
    shown = capsys.readouterr().out
    assert all(f"variation {name}" in shown for name in ("default", "ood"))
    assert main(f"evaluate {run.path} --variation all --horizon 0 --num-tasks 1".split()) == 2
    assert capsys.readouterr().err.count("horizon is 0") == 1
    assert main(f"evaluate {tmp_path} --variation all".split()) == 2
    assert "is not a run folder" in capsys.readouterr().err


def test_an_agent_of_one_hot_positions_is_held_to_grids_of_its_size(finished_grid, tmp_path, capsys):
    """And `all` says which variations it leaves out."""
    path = finished_grid[0].path
    assert main(f"evaluate {path} --variation 13x13 --num-tasks 4".split()) == 2
    message = capsys.readouterr().err
    assert "variation is 13x13, which shows" in message
    assert "--features.position coordinates" in message
    assert main(f"watch {path} --variation 13x13 --out {tmp_path / 'film.gif'}".split()) == 2
    assert capsys.readouterr().err.count("variation is 13x13, which shows") == 1
    assert main(f"evaluate {path} --variation all --num-tasks 4 --no-baselines".split()) == 0
    shown = capsys.readouterr()
    assert [entry["variation"] for entry in json.loads((path / "evaluation.json").read_text())] == ["11x11"]
    assert "left out, as this agent cannot read what they show: 13x13, 13x13-deterministic" in shown.err


def test_all_mistakes_are_listed(run):
    with pytest.raises(ConfigError) as caught:
        run.evaluate(variation="x", horizon=0, num_tasks=1, seed=-1)
    assert len(caught.value.problems) == 4


def test_the_parts_of_the_asked_trial_must_fit_each_other(run, monkeypatch):
    unfit = TrialEnv(make_family("point-robot"))
    assert env_problems(unfit) == unfit.conflicts() != []
    wrong = dataclasses.replace(unfit.family, variation="x")
    assert env_problems(dataclasses.replace(unfit, family=wrong)) == problems(wrong)
    monkeypatch.setattr(
        TrialEnv, "conflicts", lambda env: ["no fit"] if env.family.variation == "ood" else []
    )
    with pytest.raises(ConfigError, match="no fit"):
        run.evaluate(variation="ood")
    assert Watch(run.path, variation="ood").problems() == ["no fit"]
    assert Watch(run.path).problems() == []


def test_baselines_meet_the_tasks_of_the_agents(run):
    result = run.evaluate(num_tasks=6)
    baselines = evaluate_baselines(make_family("bandit"), 10, num_tasks=6)
    assert baselines["task_set_sha256"] == result["task_set_sha256"]
    assert {"random", "ucb1", "thompson", "clairvoyant"} <= {entry["name"] for entry in baselines["results"]}


def test_baselines_stand_beside_the_agent(run):
    result = add_baselines(run.path, run.evaluate(num_tasks=6))
    names = [entry["name"] for entry in result["results"]]
    assert names[0] == "rl3-markov"
    assert [entry["name"] for entry in result["differences"]] == names[1:]
    assert {"random", "ucb1", "clairvoyant"} <= set(names)
    agent, *others = (np.array(entry["returns"]) for entry in result["results"])
    for found, returns in zip(result["differences"], others, strict=True):
        expected = scipy.stats.ttest_rel(agent, returns)
        assert found["mean"] == pytest.approx((agent - returns).mean(), abs=1e-9)
        assert found["mean"] / found["standard_error"] == pytest.approx(expected.statistic)
        assert found["interval"][0] <= found["mean"] <= found["interval"][1]
    assert entries(run) == [result]


def test_a_summary_stands_with_the_agent_and_the_baselines(finished_grid, tmp_path, capsys):
    run, _ = finished_grid
    names = list(run.config.task.summary_names)
    file = tmp_path / "x.json"
    assert main(f"evaluate {run.path} --num-tasks 4 --no-baselines --json {file}".split()) == 0
    result = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert entries(run) == [result]
    baselines = evaluate_baselines(run.config.task, 9, num_tasks=4, names=("random", "clairvoyant"))
    for entry in result["results"] + json.loads(json.dumps(baselines["results"], allow_nan=False)):
        assert list(entry["summary"]) == names
        found, first = entry["summary"]["found"], entry["summary"]["first_goal_step"]
        assert found["num_tasks"] == 4
        assert first["num_tasks"] == round(4 * found["mean"])
        assert (first["mean"] is None) == (found["mean"] == 0.0)
    # Agent and metrics agree on the tasks of the evaluation during training.
    agent = result["results"][0]["summary"]
    for name in names:
        assert agent[name]["mean"] == pytest.approx(run.metrics[3][f"evaluation_{name}"])
    shown = capsys.readouterr().out
    assert all(
        text in shown for text in ("found", "goals", "dangers", "still", f"{agent['still']['mean']:.2f}")
    )


def test_results_without_a_summary_are_still_shown(capsys):
    entry = {"name": "x", "mean_return": 1.0, "standard_error": 0.1}
    numbers = {"mean": 0.25, "standard_error": 0.1, "num_tasks": 4}
    header = {"family": "gridworld", "variation": "v", "horizon": 9, "num_tasks": 4, "eval_seed": 0}
    print_result(header | {"results": [entry]})
    assert "on average" not in capsys.readouterr().out
    print_result(header | {"results": [entry, entry | {"name": "y", "summary": {"found": numbers}}]})
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["x", "–"] in shown
    assert ["y", "0.25"] in shown


def test_baselines_of_a_family_from_outside_are_its_own_and_never_kept(monkeypatch, tmp_path):
    """Its code may have changed."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    results = evaluate_baselines(Told(), horizon=5, num_tasks=4)["results"]
    assert [entry["name"] for entry in results] == ["random", "certainty-equivalence", "first", "made"]
    assert results[2]["returns"] == results[3]["returns"]
    assert list(tmp_path.rglob("*.json")) == []


def test_a_baseline_is_computed_once(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    computed = []
    evaluate = training.evaluate_trials

    def counted(env, behaviour, **options):
        computed.append(type(behaviour).__name__)
        return evaluate(env, behaviour, **options)

    monkeypatch.setattr(training, "evaluate_trials", counted)
    asked = {"family": make_family("bandit", num_arms=2), "horizon": 5, "num_tasks": 4}
    asked["names"] = ("random", "ucb1")
    first = evaluate_baselines(**asked)
    assert len(computed) == len(first["results"]) == 2
    assert evaluate_baselines(**asked) == first
    assert len(computed) == 2
    # Other tasks and other hyperparameters are other results.
    for other in (
        {"horizon": 6},
        {"num_tasks": 3},
        {"seed": 1},
        {"family": make_family("bandit", num_arms=3)},
    ):
        evaluate_baselines(**asked | other)
    assert len(computed) == 5 * 2
    # Nor is it the same after a change of the code, which holds the hyperparameters.
    monkeypatch.setattr(run_baselines, "_code", lambda: "changed")
    evaluate_baselines(**asked | {"names": ("ucb1", "random")})
    assert computed[5 * 2 :] == ["Random", "Ucb1"]


def test_another_prior_is_another_result(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    family, asked = make_family("mdp", states=2, actions=2), {"num_tasks": 4, "names": ("psrl (m = 0)",)}
    (zero,) = evaluate_baselines(family, 20, **asked, prior_reward=0.0)["results"]
    (one,) = evaluate_baselines(family, 20, num_tasks=4, names=("psrl",))["results"]
    assert (zero["name"], one["name"]) == ("psrl (m = 0)", "psrl")
    assert zero["returns"] != one["returns"]
    with pytest.raises(ConfigError, match="no baseline of bandit has a prior mean"):
        evaluate_baselines(make_family("bandit"), 5, num_tasks=4, prior_reward=0.0)
    with pytest.raises(ConfigError, match="unknown baseline 'ucb2'"):
        evaluate_baselines(make_family("bandit"), 5, num_tasks=4, names=("ucb2",))


def test_a_kept_result_that_cannot_be_read_is_computed_again(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    family = make_family("bandit", num_arms=2)
    first = evaluate_baselines(family, 5, num_tasks=4, names=("random", "greedy"))
    (kept,) = tmp_path.glob("rl3_jax/baselines/random-*.json")
    kept.write_text("{")
    with pytest.warns(UserWarning, match="random-.*cannot be read"):
        assert evaluate_baselines(family, 5, num_tasks=4, names=("random", "greedy")) == first
    assert json.loads(kept.read_text()) == first["results"][0]


def test_report_evaluates_baselines_again_too_and_takes_the_tasks_of_other_runs(finished, tmp_path):
    old, new = (Run(shutil.copytree(finished.path, tmp_path / name)) for name in ("old", "new"))
    for run in (old, new):
        RunFolder(run.path).evaluation.unlink(missing_ok=True)
    before = add_baselines(old.path, old.evaluate(num_tasks=6, seed=3))
    resume(old.path, iterations=16, progress=False)
    assert main(["report", str(old.path), str(new.path), "--out", str(tmp_path / "page")]) == 0
    (again,), (first,) = (json.loads((run.path / "evaluation.json").read_text()) for run in (old, new))
    assert [x["name"] for x in again["results"]] == [x["name"] for x in before["results"]]
    assert [again["iteration"], first["num_tasks"], first["eval_seed"]] == [16, 6, 3]


def test_report_keeps_what_an_agent_earned_that_cannot_be_loaded_any_more(finished, tmp_path, capsys):
    run = Run(shutil.copytree(finished.path, tmp_path / "run"))
    run.evaluate(num_tasks=6)
    (run.path / "agent" / "agent.json").write_text("{}")
    assert main(["report", str(run.path), "--out", str(tmp_path / "page")]) == 0
    assert "is reported as it was evaluated" in " ".join(capsys.readouterr().err.split())


def test_several_folders_are_evaluated_one_after_the_other(finished, tmp_path, capsys):
    runs = [shutil.copytree(finished.path, tmp_path / name) for name in ("one", "two")]
    for path in runs:
        RunFolder(path).evaluation.unlink(missing_ok=True)
    file = tmp_path / "all.json"
    line = ["evaluate", *map(str, runs), "--num-tasks", "4", "--no-baselines"]
    assert main([*line, "--json", str(file)]) == 0
    noted = [json.loads((path / "evaluation.json").read_text())[0] for path in runs]
    assert json.loads(file.read_text()) == noted
    assert noted[0] == noted[1]
    shown = capsys.readouterr().out
    assert [shown.count(f"{path}:") for path in runs] == [1, 1]
    assert main(["evaluate", *map(str, runs), str(tmp_path / "three")]) == 2
    assert main([*line, "--agent", "mdp-100-rl3"]) == 2
    assert "name either a run folder or --agent NAME" in capsys.readouterr().err


def test_report_evaluates_what_was_not_and_what_is_of_an_earlier_iteration(finished, tmp_path):
    run = Run(shutil.copytree(finished.path, tmp_path / "run"))
    RunFolder(run.path).evaluation.unlink(missing_ok=True)

    def noted():
        return [
            [x[name] for name in ("iteration", "greedy", "horizon", "num_tasks", "eval_seed")]
            for x in json.loads((run.path / "evaluation.json").read_text())
        ]

    line = ["report", str(run.path), "--out", str(tmp_path / "page")]
    run.evaluate(num_tasks=6, seed=3, horizon=8, greedy=True)
    assert main(line) == 0
    assert noted() == [[12, True, 8, 6, 3]]
    resume(run.path, iterations=16, progress=False)
    assert main(line) == 0
    assert noted() == [[16, True, 8, 6, 3]]
    (run.path / "evaluation.json").unlink()
    assert main(line) == 0
    assert noted() == [[16, False, 10, 2000, 0]]


def test_compare_draws_what_it_is_given(run, tmp_path):
    run.evaluate(num_tasks=6)
    figure, table = compare([run.path], tmp_path / "out")
    assert figure.stat().st_size > 1000
    assert all(name in table.read_text() for name in ("run", "thompson", "clairvoyant"))
    assert entries(run)[0]["num_tasks"] == 6


def test_compare_takes_sampled_results_of_the_run_as_it_is(run, monkeypatch):
    asked = []

    def evaluated(path, **options):
        asked.append([options[name] for name in ("horizon", "num_tasks", "seed", "greedy")])
        return evaluate_run(path, **options)

    monkeypatch.setattr(refresh, "evaluate_run", evaluated)
    trials = refresh.AS_TRAINED
    run.evaluate(num_tasks=6, seed=3, greedy=True)
    refresh.refresh([run.path], trials)
    assert asked == [[10, 6, 3, False]]
    sampled = refresh.current_result(run.path, trials)
    assert sampled == entries(run)[1]
    refresh.refresh([run.path], trials)
    assert len(asked) == 1
    old = [entries(run)[0], sampled | {"iteration": 11}]
    RunFolder(run.path).evaluation.write_text(json.dumps(old))
    assert refresh.current_result(run.path, trials) is None
    refresh.refresh([run.path], trials)
    assert asked[1:] == [[10, 6, 3, False]]


def test_compare_evaluates_in_the_trials_that_are_asked_for(run, tmp_path):
    run.evaluate(num_tasks=6)
    asked = ["--variation", "ood", "--horizon", "7"]
    assert main(["compare", str(run.path), *asked, "--out", str(tmp_path / "out")]) == 0
    assert [(x["variation"], x["horizon"], x["num_tasks"]) for x in entries(run)] == [
        ("default", 10, 6),
        ("ood", 7, 2000),
    ]
    assert "bandit (ood), H = 7" in (tmp_path / "out" / "comparison.md").read_text()
    assert "unknown variation 'odd'" in compare_problems([run.path], tmp_path, variation="odd")[0]


def test_a_run_that_cannot_be_written_is_refused_before_any_work(run, tmp_path, monkeypatch):
    access = os.access
    monkeypatch.setattr("os.access", lambda path, mode: path != run.path and access(path, mode))
    with pytest.raises(ConfigError, match=r"cannot write .*evaluation.json: no permission"):
        run.evaluate(num_tasks=6)
    assert "no permission" in compare_problems([run.path], tmp_path)[0]
    with monkeypatch.context() as allowed:
        allowed.setattr("os.access", access)
        run.evaluate(num_tasks=6)
    assert compare_problems([run.path], tmp_path) == []


def test_a_broken_result_file_is_named(run, tmp_path):
    RunFolder(run.path).evaluation.write_text("[")
    with pytest.raises(ConfigError, match=r"evaluation\.json is not valid JSON"):
        run.evaluate(num_tasks=6)
    assert "evaluation.json is not valid JSON" in compare_problems([run.path], tmp_path)[0]


def test_compare_refuses_results_on_different_tasks(run, tmp_path):
    from rl3_jax import train

    other = train(tiny.vary(seed=1), tmp_path / "other", progress=False)
    run.evaluate(num_tasks=6)
    other.evaluate(num_tasks=6, seed=2)
    with pytest.raises(
        ConfigError, match=r"6 tasks of seed 2, .* 6 tasks of seed 0;.*--num-tasks 6 --seed 0"
    ):
        compare([run.path, other.path], tmp_path / "out")
    with pytest.raises(ConfigError, match="is not a run folder"):
        compare([run.path, tmp_path / "nothing"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
