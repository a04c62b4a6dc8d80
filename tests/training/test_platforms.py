"""Programs are made for the platform they run on, which need not be there."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from rl3_jax.policies import Markov, make_core, suited
from rl3_jax.presets import make_config
from rl3_jax.training import init, lower_steps, program_of

SMALL = {"trials": 4, "minibatch_trials": 2, "epochs": 1}


@pytest.mark.parametrize(
    ("core", "on_a_cpu", "elsewhere"),
    [
        ("gru", {"block": 32, "gradient": "stored"}, {"block": 2**31 - 1, "gradient": "recomputed"}),
        ("mingru", {"scan": "sequential"}, {"scan": "associative"}),
        ("transformer", {"tasks": "each"}, {"tasks": "all"}),
        ("linear-attention", {"tasks": "each"}, {"tasks": "all"}),
    ],
)
def test_what_a_core_leaves_open_is_chosen_for_the_platform(core, on_a_cpu, elsewhere):
    for platform, expected in (("cpu", on_a_cpu), ("gpu", elsewhere), ("tpu", elsewhere)):
        found = suited(make_core(core), platform)
        assert {name: getattr(found, name) for name in expected} == expected
        assert suited(found, "cpu") == found  # what is chosen stays


def test_a_core_without_choices_is_suited_everywhere():
    assert suited(Markov(), "tpu") == Markov()


def test_planning_on_an_accelerator_does_not_depend_on_how_many_states_were_met():
    config = make_config("gridworld-11x11-quick", ppo=SMALL)
    assert config.horizon > config.task.num_states / 2  # a trial may meet them all
    planners = [program_of(config, platform).learner.planner for platform in ("cpu", "gpu", "tpu")]
    assert planners == ["auto", "sparse", "sparse"]
    # In a short trial most rows would never be met.
    assert program_of(dataclasses.replace(config, horizon=20), "gpu").learner.planner == "auto"


def test_a_cpu_has_lists_of_the_states_met_where_all_are_asked_for():
    config = make_config("gridworld-11x11-quick", learner={"planner": "sparse"}, ppo=SMALL)
    planners = [program_of(config, platform).learner.planner for platform in ("cpu", "gpu")]
    assert planners == ["visited", "sparse"]


def test_an_accelerator_makes_small_models_anew():
    config = make_config("mdp-h100-quick", ppo=SMALL)
    planners = [program_of(config, platform).learner.planner for platform in ("cpu", "gpu", "tpu")]
    assert planners == ["auto", "counts", "counts"]
    assert program_of(make_config("bandit-h100-quick"), "gpu").learner.planner == "auto"


def test_a_program_is_lowered_for_an_accelerator_that_is_not_there():
    config = make_config("bandit-h100-quick", policy="mingru", horizon=16, ppo=SMALL)
    state = jax.eval_shape(lambda: init(config, jax.random.key(0)))
    here, there = (lower_steps(config, state, platform).as_text() for platform in (None, "gpu"))
    assert program_of(config) == program_of(config, "cpu") != program_of(config, "gpu")
    # Rounds of the associative scan over 16 steps instead of a loop of its own for each layer and direction.
    assert there.count("stablehlo.while") < here.count("stablehlo.while")


def test_the_programs_of_both_choices_agree():
    config = make_config("bandit-h100-quick", policy="mingru", horizon=16, ppo=SMALL)
    policy = config.network
    params = policy.init(jax.random.key(0))
    seen = jax.random.normal(jax.random.key(1), (3, 16, policy.observation_size))
    outputs = [
        program_of(config, platform).network.unroll(params, policy.initial_carries(3), seen)[1][0]
        for platform in ("cpu", "gpu")
    ]
    assert jnp.abs(outputs[0] - outputs[1]).max() <= 1e-5
