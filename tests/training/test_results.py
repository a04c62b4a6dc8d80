"""What result files hold of trials."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl3_jax.baselines.common import Random
from rl3_jax.tasks import RandomMdp
from rl3_jax.training import evaluate_trials, result_file, summarise
from rl3_jax.training.results import adaptation, over_tasks
from rl3_jax.trial import METHODS, TrialEnv, Trials
from tests.reference import adaptation as twin
from tests.training.setting import CONFIG

ENV = CONFIG.env


def trials(rewards, ends=None, **summary):
    """What some rewards came to; each step ends an episode, unless told otherwise."""
    ends = np.ones(rewards.shape, bool) if ends is None else ends
    return Trials(rewards, ends, *np.zeros((2, len(rewards)), int), summary)


def test_summary_and_result_file():
    rewards = np.random.default_rng(0).normal(size=(30, 45)).astype(np.float32)
    entry = summarise("x", trials(rewards))
    returns = rewards.astype(float).sum(axis=1)
    assert entry["name"] == "x"
    np.testing.assert_allclose(entry["mean_return"], returns.mean(), rtol=1e-9)
    np.testing.assert_allclose(entry["standard_error"], returns.std(ddof=1) / np.sqrt(30), rtol=1e-9)
    np.testing.assert_allclose(entry["returns"], returns, atol=1e-4)
    assert len(entry["reward_curve"]) == 20
    np.testing.assert_allclose(entry["reward_curve"][0], rewards[:, :3].mean(), rtol=1e-5)
    np.testing.assert_allclose(entry["reward_curve"][-1], rewards[:, -2:].mean(), rtol=1e-5)
    assert len(summarise("x", trials(rewards[:, :7]))["reward_curve"]) == 7
    assert entry["summary"] == {}
    result = result_file(ENV, [entry], num_tasks=30, seed=4)
    assert {key: result[key] for key in ("family", "variation", "horizon", "num_tasks", "eval_seed")} == {
        "family": "mdp",
        "variation": "default",
        "horizon": 10,
        "num_tasks": 30,
        "eval_seed": 4,
    }
    assert result["results"] == [entry]
    assert len(result["task_set_sha256"]) == 64


def test_a_summary_is_over_the_tasks_where_it_is_defined():
    never, once, nan = np.full(4, np.nan, np.float32), np.array([np.nan, 7.0, np.nan, np.nan]), np.nan
    found = np.array([1.0, 2.0, nan, 6.0], np.float32)
    summary = summarise("x", trials(np.ones((4, 3)), never=never, once=once, found=found))["summary"]
    assert summary["never"] == {"mean": None, "standard_error": None, "num_tasks": 0}
    assert summary["once"] == {"mean": 7.0, "standard_error": None, "num_tasks": 1}
    error = np.std([1, 2, 6], ddof=1) / np.sqrt(3)
    assert summary["found"] == {"mean": 3.0, "standard_error": pytest.approx(error), "num_tasks": 3}
    assert over_tasks(found) == summary["found"]


def test_the_adaptation_curve_of_episodes_of_one_length():
    rewards = np.array([[1.0, 2.0, 3.0, 4.0, 9.0], [5.0, 6.0, 7.0, 8.0, 9.0]])
    ends = np.array([[False, True, False, True, False]] * 2)
    assert adaptation(rewards, ends) == {
        "episodes": [1, 2],
        "num_tasks": [2, 2],
        "mean": [7.0, 11.0],
        "standard_error": [4.0, 4.0],
    }


def test_episodes_that_few_tasks_completed_are_left_out():
    rewards = np.ones((4, 3))
    ends = np.array([[True, True, True], [True, True, False], [False, True, False], [False, False, True]])
    found = adaptation(rewards, ends)
    # Two of four tasks completed a second episode, one a third.
    assert found["episodes"] == [1, 2]
    assert found["num_tasks"] == [4, 2]
    assert found["mean"] == [(1 + 1 + 2 + 3) / 4, 1.0]
    assert adaptation(rewards, np.zeros((4, 3), bool))["episodes"] == []


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 9), st.integers(1, 80), st.floats(0.0, 1.0), st.integers(0, 10**6))
def test_the_adaptation_curve_is_its_twins(num_tasks, horizon, chance, seed):
    rng = np.random.default_rng(seed)
    rewards, ends = rng.normal(size=(num_tasks, horizon)), rng.random((num_tasks, horizon)) < chance
    found, expected = adaptation(rewards, ends), twin.adaptation(rewards, ends, 25)
    assert found["episodes"] == expected["episodes"]
    assert found["num_tasks"] == expected["num_tasks"]
    np.testing.assert_allclose(found["mean"], expected["mean"], atol=1e-6)
    np.testing.assert_allclose(found["standard_error"], expected["standard_error"], atol=1e-6)


@pytest.mark.parametrize(("steps", "horizon", "episodes"), [(10, 35, 3), (4, 12, 3)])
def test_trials_tell_where_episodes_end(steps, horizon, episodes):
    env = TrialEnv(RandomMdp(steps=steps), horizon=horizon, features=METHODS["rl2"])
    found = evaluate_trials(env, Random(), num_tasks=5)
    expected = [(step + 1) % steps == 0 for step in range(horizon)]
    np.testing.assert_array_equal(found.ends, [expected] * 5)
    entry = summarise("random", found)
    assert entry["adaptation"]["episodes"] == list(range(1, episodes + 1))
    whole = np.asarray(found.rewards)[:, : episodes * steps].sum() / 5
    assert sum(entry["adaptation"]["mean"]) == pytest.approx(whole, abs=1e-4)
