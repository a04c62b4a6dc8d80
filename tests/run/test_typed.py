"""The arguments that stand for a configuration make it again."""

import dataclasses
from pathlib import Path

import pytest

import rl3_jax
from rl3_jax.cli import parse
from rl3_jax.presets import make_config, vary
from rl3_jax.run.folder import read_config_file
from rl3_jax.run.typed import train_arguments
from rl3_jax.tasks import Gridworld

RESULTS = Path(rl3_jax.__file__).parents[1] / "results"


def parsed(arguments, out):
    """The configuration that `rl3 train` makes of some arguments."""
    return parse(["train", *arguments, "--out", str(out)]).settings


@pytest.mark.parametrize(
    ("config", "arguments"),
    [
        (make_config("mdp-h100-quick"), "mdp-h100-quick"),
        (make_config("mdp-h100-quick", seed=7), "mdp-h100-quick"),
        (
            make_config("gridworld-11x11-quick", method="rl3-coarse"),
            "gridworld-11x11-quick --method rl3-coarse",
        ),
        (make_config("bandit-h100", policy="gru", learner="q-learning"), None),
        (
            make_config("frozen-lake-h100-quick", abstraction={"abstraction": "hash", "rows": 64}),
            "frozen-lake-h100-quick --abstraction hash --abstraction.rows 64",
        ),
        (
            make_config("point-robot-h100-quick", learner="model-based"),
            "point-robot-h100-quick --learner model-based",
        ),
        (
            make_config("bandit-h100-quick", method="rl2", policy="gru", ppo={"clip": 0.1}),
            "bandit-h100-quick --method rl2 --policy gru --ppo.clip 0.1",
        ),
        (
            make_config("mdp-h100-quick", policy={"input_layers": (64, 32), "shared_trunk": True}),
            "mdp-h100-quick --policy.input-layers 64 32 --policy.shared-trunk",
        ),
        (make_config("mdp-h100", policy={"input_layers": ()}, features={"counts": False}), None),
        (make_config("mdp-h100-quick", learner={"prior_reward": -1.5}, ppo={"adam_epsilon": 1e-12}), None),
        (make_config("point-robot-h100-quick", policy="linear-attention", horizon=33), None),
    ],
)
def test_arguments_make_the_configuration(config, arguments, tmp_path):
    found = train_arguments(config)
    assert found is not None
    if arguments is not None:
        assert sorted(found) == sorted(arguments.split())
    assert parsed(found, tmp_path / "run") == dataclasses.replace(config, seed=0)


@dataclasses.dataclass(frozen=True)
class Unknown(Gridworld):
    """A family of a user, that no preset has."""

    family = "unknown"


def test_of_a_family_without_a_preset_there_are_none():
    config = make_config("gridworld-11x11-quick")
    other = dataclasses.replace(config, task=Unknown())
    assert train_arguments(other) is None


@pytest.mark.slow
def test_arguments_make_the_configurations_of_the_results(tmp_path):
    configs = {read_config_file(file): file for file in RESULTS.glob("**/*seed0/config.json")}
    assert len(configs) > 10
    for config in configs:
        assert parsed(train_arguments(config), tmp_path / "run") == config


def test_a_part_that_differs_is_named_by_its_field():
    config = vary(make_config("mdp-h100-quick"), {"ppo.mean_rewards": True})
    assert train_arguments(config) == ["mdp-h100-quick", "--ppo.mean-rewards"]
