"""A user's family with a mistake is refused before anything is compiled or written, or stops the run."""

import dataclasses
import sys
from typing import ClassVar

import pytest

from rl3_jax import LEARNERS, PRESETS, ConfigError, make_config, train
from rl3_jax.cli import main
from rl3_jax.object_rl import QLearning
from rl3_jax.run import program
from rl3_jax.tasks import FAMILIES
from tests.wrong_families import NoEnvironment, NoSuchTask, OffTheEnd, PlainNumbers, Rare, Unpaid, Walks

SMALL = {"horizon": 16, "iterations": 12, "checkpoint_every": 1, "evaluation": {"every": 0}}
SMALL |= {"ppo": {"trials": 8, "minibatch_trials": 4, "epochs": 1}, "policy": "markov"}


@pytest.fixture
def nothing_compiled(monkeypatch):
    def refuse(*_):
        raise AssertionError("compiled")

    monkeypatch.setattr(program, "compile_steps", refuse)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (OffTheEnd, "OffTheEnd.step_env leads to state 5"),
        (Unpaid, "Unpaid.step_env pays inf"),
        (NoSuchTask, "^NoSuchTask: 'gate' in task_fields"),
    ],
)
def test_mistakes_are_told_before_anything_is_compiled(registered, nothing_compiled, tmp_path, kind, message):
    registered(kind)
    config = make_config("mdp-h100-quick", task=kind(), **SMALL)
    for out in (None, tmp_path / "run"):
        with pytest.raises(ConfigError, match=message):
            train(config, out, progress=False)
    assert not list(tmp_path.iterdir())


def test_a_configuration_cannot_be_made_of_what_is_not_there(registered):
    registered(NoEnvironment)
    with pytest.raises(ConfigError, match=r"^NoEnvironment does not define make_environment"):
        make_config("mdp-h100-quick", task=NoEnvironment(), **SMALL)


@dataclasses.dataclass(frozen=True)
class TwoValues(QLearning):
    learner: ClassVar[str] = "two-values"

    def values(self, spec, state, s):
        known = super().values(spec, state, s)
        return dataclasses.replace(known, q=known.q[:2])


def test_a_learner_with_values_of_a_wrong_shape_is_refused(monkeypatch, nothing_compiled):
    monkeypatch.setitem(LEARNERS, "two-values", TwoValues)
    with pytest.raises(
        ConfigError, match=r"TwoValues.values returns q of shape \(2,\); return .* of the 5 actions"
    ):
        train(make_config("mdp-h100-quick", learner="two-values"), progress=False)


def test_a_rare_mistake_stops_the_run_and_names_the_last_good_checkpoint(registered, tmp_path):
    registered(Rare)
    config = make_config("mdp-h100-quick", task=Rare(), **SMALL)
    with pytest.raises(
        ConfigError, match=r"^training stopped .*: Rare: .* was taken for another; .*"
    ) as error:
        train(config, tmp_path / "run", progress=False)
    assert "checkpoint" in str(error.value)
    with pytest.raises(ConfigError, match=r"nothing is saved, as the run has no folder"):
        train(config, progress=False)


@pytest.mark.parametrize("kind", [Walks, PlainNumbers])
def test_a_family_without_mistakes_trains(registered, tmp_path, kind):
    registered(kind)
    config = make_config("mdp-h100-quick", task=kind(), **(SMALL | {"iterations": 2}))
    run = train(config, tmp_path / "run", progress=False)
    assert len(run.metrics) == 2
    assert "steps_outside" not in run.metrics[0]


PLUGIN = """
import dataclasses
from typing import ClassVar
import jax.numpy as jnp
import rl3_jax
from rl3_jax.tasks import RandomMdp

@rl3_jax.register
@dataclasses.dataclass(frozen=True)
class Lost(RandomMdp):
    family: ClassVar[str] = "lost"

    def step_env(self, key, state, action, params):
        return self.arrive(state, jnp.int32(action) - 3, jnp.float32(jnp.nan), params)

rl3_jax.PRESETS["lost"] = rl3_jax.make_config("mdp-h100-quick", task=Lost())
"""


def test_the_command_line_lists_all_mistakes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "lost_plugin.py").write_text(PLUGIN)
    try:
        assert main(["train", "lost", "--plugin", "lost_plugin"]) == 2
        assert main(["plan", "lost", "--plugin", "lost_plugin"]) == 2
    finally:
        PRESETS.pop("lost", None)
        FAMILIES.pop("lost", None)
        sys.modules.pop("lost_plugin", None)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4
    assert lines[:2] == lines[2:]
    assert lines[0].startswith("error: Lost.step_env leads to state -")
    assert lines[1].startswith("error: Lost.step_env pays nan")
    assert [path.name for path in tmp_path.iterdir() if path.name != "__pycache__"] == ["lost_plugin.py"]
