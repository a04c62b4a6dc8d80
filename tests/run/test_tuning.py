"""Tuning the baselines from the command line."""

import json

import numpy as np
import pytest

from rl3_jax import ConfigError, make_family
from rl3_jax.baselines import GRIDS, Ucb1
from rl3_jax.cli import main
from rl3_jax.run.tuning import tune_baselines
from rl3_jax.training import TUNING_SEED, evaluate
from rl3_jax.trial import METHODS, TrialEnv


def test_each_candidate_is_tried_on_the_tuning_tasks(tmp_path, capsys):
    file = tmp_path / "tuning.json"
    assert main(f"tune bandit --num-arms 3 --horizon 12 --num-tasks 40 --json {file}".split()) == 0
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


def test_what_cannot_be_tuned_is_refused(capsys):
    with pytest.raises(ConfigError, match="unknown tunable baseline 'gittins'; choose from: epsilon-greedy"):
        tune_baselines(make_family("bandit"), 10, names=["gittins"])
    for line, message in {
        "tune point-robot": "family point-robot has no baseline that has something to tune",
        "tune bandit --prior-reward 0": "no baseline of bandit has a prior mean",
        "tune mdp --prior-reward nan": "prior_reward is nan; it must be a finite number",
        "tune bandit --horizon 0 --num-tasks 1": "horizon is 0",
    }.items():
        assert main(line.split()) == 2
        assert message in " ".join(capsys.readouterr().err.split())
