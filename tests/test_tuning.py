"""Tuning the baselines."""

import dataclasses
import json
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax import ConfigError, make_family
from rl3_jax.baselines import make_baselines
from rl3_jax.baselines.bandits import OptimisticThompson, Ucb1
from rl3_jax.tasks import Bandit
from rl3_jax.training import evaluate
from rl3_jax.training.evaluation import held_out_tasks
from rl3_jax.trial import METHODS, TrialEnv, method_features

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from tuning import GRIDS, TUNING_SEED, Tuning, candidates, main, tune, tune_baselines

FAMILY = Bandit(num_arms=3)
ENV = TrialEnv(FAMILY, horizon=20, features=method_features("rl2", FAMILY))


def test_each_candidate_is_evaluated_on_the_tasks_of_the_tuning_seed():
    found = tune(ENV, Ucb1, [0.1, 0.5, 2.0], num_tasks=600)
    assert found.returns.shape == (3, 600)
    for candidate, returns in zip(found.candidates, found.returns, strict=True):
        expected = evaluate(ENV, Ucb1(candidate), num_tasks=600, seed=TUNING_SEED).sum(axis=1)
        np.testing.assert_array_equal(returns, expected)


def test_candidates_that_set_sizes_are_evaluated_likewise():
    found = tune(ENV, OptimisticThompson, [1, 4], num_tasks=50, seed=7, static=True)
    for candidate, returns in zip(found.candidates, found.returns, strict=True):
        expected = evaluate(ENV, OptimisticThompson(candidate), num_tasks=50, seed=7).sum(axis=1)
        np.testing.assert_array_equal(returns, expected)


def test_no_tuning_task_is_an_evaluation_task():
    tuning, evaluation = (
        held_out_tasks(ENV, seed, 0, 2000).success_probability.ravel() for seed in (TUNING_SEED, 0)
    )
    # Of 6000 floats of 2^23 on each side a few are equal by chance, of whole tasks none.
    assert not jnp.isin(tuning.reshape(-1, 3), evaluation).all(axis=1).any()


def test_the_best_candidate_and_its_lead():
    found = Tuning(["a", "b", "c"], np.array([[1.0, 2.0, 3.0], [4.0, 3.0, 5.0], [4.0, 4.0, 4.0]]))
    assert found.best == "b"
    np.testing.assert_allclose(found.mean_returns, [2.0, 4.0, 4.0])
    np.testing.assert_allclose(found.losses, [2.0, 0.0, 0.0])
    np.testing.assert_allclose(found.loss_errors, [1 / 3**0.5, 0.0, 1 / 3**0.5], atol=1e-12)


def test_one_program_serves_all_candidates():
    traces = []

    def make(value):
        traces.append(value)
        return Ucb1(value)

    tune(ENV, make, [0.1, 0.2, 0.3], num_tasks=1200)
    assert len(traces) == 1


@pytest.mark.slow
def test_each_baseline_is_tuned_and_the_result_written(tmp_path, capsys, monkeypatch):
    file = tmp_path / "tuning.json"
    line = f"tuning.py bandit --num-arms 3 --horizon 12 --num-tasks 40 --json {file}"
    monkeypatch.setattr(sys, "argv", line.split())
    main()
    shown, found = capsys.readouterr().out, json.loads(file.read_text())
    assert (found["horizon"], found["prior_reward"], found["seed"]) == (12, None, TUNING_SEED)
    assert found["task"]["num_arms"] == 3
    tuned = {entry["name"]: entry for entry in found["tuned"]}
    assert set(tuned) == set(GRIDS["bandit"])
    assert all(name in shown for name in tuned)
    assert {name: entry["num_tasks"] for name, entry in tuned.items()} == {
        "epsilon-greedy": 40,
        "ucb1": 40,
        "optimistic-thompson": 10,
        "gittins-discounted": 40,
    }
    env = TrialEnv(make_family("bandit", num_arms=3), horizon=12, features=METHODS["rl2"])
    ucb1 = tuned["ucb1"]
    returns = np.array(
        [
            evaluate(env, Ucb1(value), num_tasks=40, seed=TUNING_SEED).sum(axis=1)
            for value in ucb1["candidates"]
        ]
    )
    np.testing.assert_allclose(ucb1["mean_returns"], returns.mean(axis=1), rtol=1e-6)
    best = returns.mean(axis=1).argmax()
    assert ucb1["best"] == ucb1["candidates"][best]
    losses = returns[best] - returns
    np.testing.assert_allclose(ucb1["losses"], losses.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(ucb1["loss_errors"], losses.std(axis=1, ddof=1) / 40**0.5, atol=1e-6)


def test_a_prior_may_be_given():
    asked = {"num_tasks": 4, "names": ["beb"]}
    found = [
        tune_baselines(make_family("mdp"), 20, prior_reward=prior, **asked)["tuned"] for prior in (0.0, None)
    ]
    assert [entry["name"] for entries in found for entry in entries] == ["beb (m = 0)", "beb"]
    assert found[0][0]["mean_returns"] != found[1][0]["mean_returns"]


def test_what_cannot_be_tuned_is_refused(monkeypatch):
    with pytest.raises(ConfigError, match="unknown tunable baseline 'gittins'; choose from: epsilon-greedy"):
        tune_baselines(make_family("bandit"), 10, names=["gittins"])
    with pytest.raises(ConfigError, match="has no baseline that has something to tune"):
        tune_baselines(make_family("point-robot"), 10)
    with pytest.raises(ConfigError, match="no baseline of bandit has a prior mean"):
        tune_baselines(make_family("bandit"), 10, prior_reward=0.0)
    with pytest.raises(ConfigError, match="prior_reward is nan; it must be a finite number"):
        tune_baselines(make_family("mdp"), 10, prior_reward=float("nan"))
    for line, message in {
        "bandit --horizon 0 --num-tasks 1": "horizon is 0",
        "maze": "unknown family",
    }.items():
        monkeypatch.setattr(sys, "argv", ["tuning.py", *line.split()])
        with pytest.raises(SystemExit, match=message):
            main()


def test_a_grid_makes_a_baseline_with_another_value():
    grid = GRIDS["bandit"]["ucb1"]
    (baseline,) = make_baselines(make_family("bandit"), 10, ["ucb1"]).values()
    assert grid.make(baseline, 0.7) == dataclasses.replace(baseline, exploration=0.7)


def test_the_number_of_draws_is_bounded_by_what_they_cost():
    grid = GRIDS["bandit"]["optimistic-thompson"]
    env = TrialEnv(make_family("bandit", num_arms=50), horizon=100, features=METHODS["rl2"])
    assert candidates(grid, env) == (4, 8)
    assert candidates(grid, dataclasses.replace(env, horizon=10)) == grid.candidates
    many = TrialEnv(make_family("bandit", num_arms=1000), horizon=100, features=METHODS["rl2"])
    assert candidates(grid, many) == (4,)
    assert candidates(GRIDS["bandit"]["ucb1"], env) == GRIDS["bandit"]["ucb1"].candidates
