"""Every kind of family trains, whatever its states and actions are."""

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest

from rl3_jax.baselines import make_baselines
from rl3_jax.object_rl import LEARNERS, Coordinates, ModelBased
from rl3_jax.policies import Gru, Markov, PolicyConfig
from rl3_jax.ppo import PPOConfig
from rl3_jax.presets import make_config
from rl3_jax.tasks import PointRobots, make_family
from rl3_jax.training import Agent, TrainConfig, evaluate
from rl3_jax.trial import family_abstraction, method_features
from tests.marks import slow
from tests.training.setting import run

FAMILIES = (
    "point-robot",
    "frozen-lake",
    "four-rooms",
    "meta-maze",
    "reacher",
    "cart-pole",
    "mountain-car",
    "acrobot",
    "pendulum",
)
CASES = [("rl3", name) for name in FAMILIES] + [("rl2", "reacher")]


@pytest.mark.parametrize(("method", "name"), slow(CASES))
def test_a_family_trains(method, name):
    """Episodes of 7 steps: a trial has a whole one, and the start of another."""
    family = dataclasses.replace(make_family(name), steps=7)
    config = TrainConfig(
        task=family,
        horizon=10,
        features=method_features(method, family),
        learner=ModelBased(tolerance=0.0, max_sweeps=2),
        abstraction=family_abstraction(family, ModelBased()),
        policy=PolicyConfig(core=Markov(), width=8),
        ppo=PPOConfig(trials=4, minibatch_trials=4, epochs=1),
        iterations=2,
    )
    config.validate()
    state, rows = run([2], config)
    assert len(rows) == 2
    undefined = {"first_goal_step"}  # where no goal was reached
    assert all(np.isfinite(number) for row in rows for name, number in row.items() if name not in undefined)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.learnt.params))


@pytest.mark.parametrize("name", slow([k for k, v in LEARNERS.items() if v.sees_vectors], keep=1))
def test_a_learner_that_sees_vectors_trains_behind_gates(name):
    """Named on its own, it brings its abstraction; the gates open."""
    config = make_config(
        "point-robot-h100-quick",
        learner=name,
        horizon=10,
        iterations=2,
        policy={"width": 8, "gates": True},
        ppo={"trials": 4, "minibatch_trials": 4, "epochs": 1},
    )
    config.validate()
    assert config.abstraction == Coordinates()
    state, rows = run([2], config)
    assert all(np.isfinite(list(row.values())).all() for row in rows)
    params: Any = state.learnt.params
    *_, counts = params["actor"]["gates"]["factors"]
    assert counts != 0.0


@pytest.mark.slow
def test_rl3_closes_most_of_the_gap_between_chance_and_knowing_the_goal():
    """100 iterations, 1.28 million steps, to −28.3 ± 0.2; chance gets −101.7, the clairvoyant −19.4."""
    family = PointRobots()
    config = TrainConfig(
        task=family,
        horizon=100,
        features=method_features("rl3", family),
        learner=ModelBased(tolerance=0.0, max_sweeps=3),
        abstraction=family_abstraction(family, ModelBased()),
        policy=PolicyConfig(core=Gru(), width=64),
        ppo=PPOConfig(
            trials=128,
            minibatch_trials=32,
            epochs=2,
            discount=1.0,
            gae_lambda=0.9,
            kl_limit=0.05,
            learning_rate=3e-3,
            learning_rate_final=0.0,
            entropy_bonus=0.01,
            entropy_bonus_final=0.0,
            critic_l2=0.0,
            critic_scale="remaining-steps",
        ),
        iterations=100,
    )
    state, _ = run([50, 50], config)
    agent = Agent(state.learnt.params["actor"], config.network)
    behaviours = {"agent": agent, **make_baselines(family, config.horizon, ("random", "clairvoyant"))}
    returns = {
        name: evaluate(config.env, behaviours[name], num_tasks=500).sum(axis=1).mean()
        for name in ("agent", "random", "clairvoyant")
    }
    gap = returns["clairvoyant"] - returns["random"]
    assert gap > 70.0
    assert returns["agent"] - returns["random"] > 0.5 * gap
