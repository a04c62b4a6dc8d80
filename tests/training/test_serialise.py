"""Configurations as plain data."""

import dataclasses
import json

import pytest

from rl3_jax import PRESETS, ConfigError, PPOConfig, make_config
from rl3_jax.training.serialise import config_problems, differences, from_dict, to_dict
from tests.marks import where_installed


@pytest.mark.parametrize("preset", where_installed(PRESETS))
@pytest.mark.parametrize("policy", ["gru", "markov"])
@pytest.mark.parametrize("learner", ["model-based", "q-learning"])
def test_every_configuration_survives_json(preset, policy, learner):
    config = make_config(preset, policy=policy, learner=learner, method="rl2", seed=2**32 - 1)
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config


def test_classes_go_by_name():
    data = to_dict(PRESETS["mdp-h100"])
    assert data["task"] == {"family": "mdp", "variation": "default", "states": 10, "actions": 5, "steps": 10}
    assert data["learner"]["learner"] == "model-based"
    assert data["policy"]["core"]["core"] == "transformer"
    assert data["policy"]["core"]["layers"] == 2


def test_missing_fields_have_their_defaults_and_integers_serve_as_floats():
    config = from_dict({"ppo": {"learning_rate": 1, "trials": 41}})
    assert config.ppo == PPOConfig(learning_rate=1.0, trials=41)
    assert isinstance(config.ppo.learning_rate, float)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"horizn": 3}, "unknown field 'horizn'; did you mean horizon? choose from: abstraction,"),
        ({"ppo": {"lr": 3}}, "unknown field 'ppo.lr'; choose from: adam_epsilon,"),
        ({"ppo": 3}, "ppo is 3; it must be an object"),
        ({"task": {"family": "maze"}}, "unknown task.family 'maze'; choose from: acrobot, "),
        ({"task": {"states": 3}}, "it must be an object with the key 'family', one of: acrobot, "),
        ({"task": {"family": "mdp", "num_arms": 3}}, "unknown field 'task.num_arms'; choose from: actions,"),
        ({"task": {"family": []}}, "unknown task.family '[]'"),
        ({"policy": {"core": "gru"}}, "policy.core is 'gru'; it must be an object with the key 'core'"),
        ({"horizon": "9"}, "horizon is '9'; it must be a number"),
        ({"horizon": 9.5}, "horizon is 9.5; it must be a whole number"),
        ({"horizon": True}, "horizon is True; it must be a number"),
        ({"horizon": None}, "horizon is None; it must be a number"),
        ({"features": {"value": 1}}, "features.value is 1; it must be true or false"),
        (
            {"task": {"family": "mdp", "variation": 1}},
            "unknown task.variation '1'; choose from: default, ood",
        ),
        ({"ppo": {"clip": float("nan")}}, "ppo.clip is nan; it must be a finite number"),
        (
            {"ppo": {"critic_scale": "big"}},
            "unknown ppo.critic_scale 'big'; choose from: none, remaining-steps",
        ),
        ({"ppo": {"minibatch_trials": 40}}, "ppo.minibatch_trials is 40, which does not divide"),
        ([], "the configuration is []; it must be an object"),
    ],
)
def test_each_mistake_is_named_with_what_is_valid(data, expected):
    with pytest.raises(ConfigError) as caught:
        from_dict(data)
    (problem,) = caught.value.problems
    assert expected in problem


def test_all_mistakes_are_listed_at_once():
    data = {"horizn": 3, "horizon": 0, "ppo": {"clip": "a", "epochs": 0}, "task": {"family": "maze"}}
    with pytest.raises(ConfigError) as caught:
        from_dict(data)
    assert len(caught.value.problems) == 5


def test_keys_at_the_top_can_be_ignored():
    assert from_dict({"versions": {}}, ignore=("versions",)) == from_dict({})


def test_a_configuration_made_in_python_is_checked_for_types():
    config = dataclasses.replace(PRESETS["mdp-h100"], horizon="long", iterations=0)
    assert config_problems(config) == [
        "horizon is 'long'; it must be a number",
        "iterations is 0; it must be at least 1",
    ]
    assert config_problems(PRESETS["mdp-h100"]) == []


def test_differences_name_dotted_fields():
    one, other = (to_dict(make_config("mdp-h100", seed=seed, ppo={"clip": 0.1 + seed})) for seed in (0, 1))
    assert differences(one, other) == ["ppo.clip is 0.1 against 1.1", "seed is 0 against 1"]
    assert differences(one, one) == []
