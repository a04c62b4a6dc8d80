"""The examples run, and what they plug in works like the package's own."""

import dataclasses
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rl3_jax
from rl3_jax import plugins
from rl3_jax.cli import main
from rl3_jax.errors import ConfigError
from rl3_jax.object_rl import QLearning, TableSpec
from rl3_jax.report.scenes import Trial, make_scene
from rl3_jax.run.agent import save_agent
from rl3_jax.testing import check_core, check_family, check_learner, check_variations_differ
from rl3_jax.testing.cores import opinionated
from rl3_jax.training.recording import record
from rl3_jax.training.serialise import NAMED

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
OWN = ("own_family", "own_learner", "own_core")
TINY = ["--policy", "averages", "--learner", "bonus-q", "--learner.bonus", "2", "--horizon", "12"]
TINY += ["--iterations", "2", "--ppo.trials", "8", "--ppo.minibatch-trials", "4", "--evaluation.every", "0"]


@pytest.fixture
def apart(monkeypatch):
    """What is registered and imported here is forgotten afterwards."""
    registries: list[dict] = [rl3_jax.PRESETS, *(classes for _, classes in NAMED.values())]
    before = [dict(registry) for registry in registries]
    chex.clear_trace_counter()
    monkeypatch.syspath_prepend(EXAMPLES)
    yield
    for registry, earlier in zip(registries, before, strict=True):
        registry.clear()
        registry.update(earlier)
    for name in OWN:
        sys.modules.pop(name, None)


@pytest.fixture(params=["small", pytest.param("as it is", marks=pytest.mark.slow)])
def preset(request, monkeypatch):
    """The preset of an example, with few and short trials where there is little time."""
    make = rl3_jax.make_config

    def make_small(*names, ppo=None, evaluation=None, **fields):
        few = {"trials": 16, "minibatch_trials": 8, "epochs": 1}
        evaluation = (evaluation or {}) | {"num_tasks": 8}
        return make(*names, horizon=12, ppo=(ppo or {}) | few, evaluation=evaluation, **fields)

    if request.param == "small":
        monkeypatch.setattr(rl3_jax, "make_config", make_small)


def example(name):
    return importlib.import_module(name)


def test_a_sweep_is_compiled_once_and_tells_learning_rates_apart(apart, preset, capsys):
    example("sweep").main(iterations=2, num_tasks=4)  # it asserts that it is traced once
    rows = capsys.readouterr().out.splitlines()[-8:]
    assert [float(row.split()[0]) for row in rows] == list(example("sweep").LEARNING_RATES)
    assert len({row.split()[1] for row in rows}) > 1


def test_machines_that_share_a_database_share_a_study(apart, preset, tmp_path, capsys):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    for _ in range(2):
        example("optuna_sweep").main(storage=storage, trials=2, iterations=2)
    lines = capsys.readouterr().out.splitlines()
    ended = [line.split()[:2] for line in lines if line.startswith(("complete", "pruned"))]
    assert len(ended) == 4
    best = max(float(earned) for how, earned in ended if how == "complete")
    assert lines[-1].startswith(f"best: {best:.2f} with")


def test_seeds_side_by_side(apart, preset, capsys):
    example("vmap_seeds").main(seeds=2, iterations=3, num_tasks=4)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("iteration 3/3, mean return ")
    assert printed[-1].startswith("held-out return ")
    assert printed[-1].endswith("(2 seeds)")


def test_a_family_a_learner_and_a_core_of_ones_own_conform(apart):
    family = example("own_family").Corridor()
    check_family(family)
    check_variations_differ("corridor")
    check_learner(example("own_learner").BonusQ())
    check_core(example("own_core").Averages())


def test_the_bonus_is_shown_and_not_learnt(apart):
    learner, spec = example("own_learner").BonusQ(bonus=2.0), TableSpec(4, 3, 10)
    assert learner.values(spec, learner.init(spec), jnp.int32(0)).q.tolist() == [2.0, 2.0, 2.0]
    assert QLearning().values(spec, learner.init(spec), jnp.int32(0)).q.tolist() == [0.0, 0.0, 0.0]


def test_plugins_work_from_the_command_line(apart, tmp_path, monkeypatch, capsys):
    """They train, resume, evaluate and are listed; without the plugin, the message names what is missing."""
    run, plugin = str(tmp_path / "run"), ["--plugin", ",".join(OWN[:2]), f"--plugin={OWN[2]}"]
    monkeypatch.chdir(EXAMPLES)
    assert main(["train", "corridor-quick", *TINY, "--out", run, *plugin]) == 0
    assert main(["resume", run, "--iterations", "3", *plugin]) == 0
    assert main(["evaluate", run, "--num-tasks", "4", "--variation", "far", *plugin]) == 0
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("found", "random", "clairvoyant"))
    assert main(["watch", run, "--steps", "2", *plugin]) == 0
    agent = rl3_jax.load_agent(run)
    task, recording = record(agent.env, agent.behaviour(), 0)
    trial = Trial(agent.env, task, agent.policy.distribution, recording, "name")
    assert "walk" in make_scene(trial).panels  # its own picture, not the table of values
    assert main(["list", *plugin]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in ("corridor", "averages", "bonus-q", "corridor-quick"))
    assert rl3_jax.load_agent(run).env.learner == example("own_learner").BonusQ(bonus=2.0)

    del rl3_jax.FAMILIES["corridor"]
    assert main(["resume", run]) == 2
    assert "unknown task.family 'corridor'" in capsys.readouterr().err


def test_a_plugin_that_cannot_be_imported_is_named(apart, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken_plugin.py").write_text("1 / 0\n")
    assert main(["list", "--plugin", "no_such_plugin"]) == 2
    assert main(["list", "--plugin", "broken_plugin"]) == 2
    assert main(["list", "--plugin", "own_family.py"]) == 2
    assert main(["list", "--plugin", ""]) == 2
    (tmp_path / "wrong_plugin.py").write_text("import rl3_jax\nrl3_jax.make_config('maze')\n")
    assert main(["list", "--plugin", "wrong_plugin"]) == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert "plugin no_such_plugin cannot be imported: ModuleNotFoundError: No module named" in printed
    assert "plugin own_family.py is a file; name the module, own_family" in printed
    assert "plugin broken_plugin cannot be imported: ZeroDivisionError: division by zero" in printed
    assert "unknown preset 'maze'" in printed


def test_what_cannot_be_registered_says_why(apart):
    class Plain(QLearning):
        learner: ClassVar[str] = "plain"

    @dataclasses.dataclass(frozen=True)
    class Bare(QLearning):
        learner: ClassVar[str] = "bare"
        size: int = dataclasses.field(kw_only=True)

    @dataclasses.dataclass(frozen=True)
    class Taken(QLearning):
        learner: ClassVar[str] = "r-max"

    @dataclasses.dataclass(frozen=True)
    class Nameless:
        size: int = 1

    @dataclasses.dataclass(frozen=True)
    class Short(QLearning):
        learner: ClassVar[str] = "short"

        def update(self, spec, state, t):
            return state

    for kind, message in (
        (
            Short,
            r"Short.update takes \(self, spec, state, t\); let its arguments be called \(self, spec, state, ",
        ),
        (Plain, "Plain must be a dataclass with frozen=True"),
        (Bare, "Bare needs a default for each field; none has: size"),
        (Taken, "learner 'r-max' is rl3_jax.object_rl.r_max.RMax; choose another name"),
        (Nameless, "Nameless must name itself by exactly one class attribute of: family, learner"),
    ):
        with pytest.raises(ConfigError, match=message):
            rl3_jax.register(kind)
    assert not {"plain", "bare"} & set(rl3_jax.LEARNERS)
    again = example("own_core").Averages
    assert rl3_jax.register(again) is rl3_jax.CORES["averages"]


@pytest.mark.slow
def test_a_third_partys_trainer_learns(apart, capsys):
    """Where rejax is installed, its PPO earns more than chance in 0.6 M steps."""
    pytest.importorskip("rejax")
    example("gymnax_trainer").main(steps=600_000)
    first, *_, last = (float(row.split()[-3]) for row in capsys.readouterr().out.splitlines())
    assert first < 58.0
    assert last > 62.0


PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "mine"
version = "1"

[project.entry-points."rl3_jax.plugins"]
mine = "mine"

[tool.hatch.build.targets.wheel]
packages = ["mine"]
"""


@pytest.mark.slow
def test_an_installed_package_brings_its_own(tmp_path):
    """It is built and installed; then its names are known to the command line and to `load_agent`."""
    package, site, run = tmp_path / "source", tmp_path / "site", tmp_path / "run"
    (package / "mine").mkdir(parents=True)
    (package / "pyproject.toml").write_text(PYPROJECT)
    (package / "mine" / "__init__.py").write_text(f"from mine import {', '.join(OWN)}\n")
    for name in OWN:
        (package / "mine" / f"{name}.py").write_text((EXAMPLES / f"{name}.py").read_text())
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site)]
    subprocess.run([*install, str(package)], check=True)

    def rl3(*arguments):
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}
        subprocess.run([sys.executable, *map(str, arguments)], env=environment, cwd=tmp_path, check=True)

    rl3("-m", "rl3_jax", "train", "corridor-quick", *TINY, "--out", run)
    rl3("-m", "rl3_jax", "resume", run, "--iterations", "3")
    rl3("-m", "rl3_jax", "evaluate", run, "--num-tasks", "4")
    rl3("-c", f"import rl3_jax; assert rl3_jax.load_agent({str(run)!r}).env.family.family == 'corridor'")


def test_plugins_are_found_by_their_entry_point(apart, monkeypatch):
    (point,) = importlib.metadata.EntryPoints([importlib.metadata.EntryPoint("x", "own_core", plugins.GROUP)])
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [point] if group == plugins.GROUP else []
    )
    plugins.load_installed.cache_clear()
    plugins.load_installed()
    assert "averages" in rl3_jax.CORES
    plugins.load_installed.cache_clear()


@pytest.mark.parametrize("preset", ["mdp-h100-quick", "bandit-h100-quick"])
@pytest.mark.parametrize(
    "policy",
    [
        {"core": {"core": "markov"}, "input_layers": [8], "activation": "relu"},
        {"core": {"core": "gru"}, "layer_norm": True},
        {"core": {"core": "mingru", "layers": 2}, "read_out": "product"},
        {"core": {"core": "mingru", "layers": 2}, "exchangeable_actions": True, "input_layers": [8]},
        {"core": {"core": "gru"}, "gates": True},
    ],
    ids=["markov", "gru", "mingru", "exchangeable", "gates"],
)
def test_numpy_alone_acts_with_an_agent(apart, preset, policy, tmp_path):
    """Over a whole trial, of observations drawn at random."""
    config = rl3_jax.make_config(preset, policy={"width": 16} | policy, horizon=20)
    params = opinionated(config.network.init(jax.random.key(0)), scale=1.0)
    save_agent(tmp_path / "agent", config, params["actor"], 1)
    agent = example("numpy_agent").NumpyAgent(tmp_path / "agent")
    memory, carry, likeliest = agent.initial_memory(), config.network.initial_carry(), 0.0
    for seen in np.random.default_rng(0).normal(size=(20, agent.observation_size)):
        memory, probabilities = agent.step(memory, seen)
        carry, outputs, _ = config.network.step(params, carry, jnp.asarray(seen, jnp.float32))
        np.testing.assert_allclose(probabilities, jax.nn.softmax(outputs), atol=1e-5)
        likeliest = max(likeliest, probabilities.max())
    assert likeliest > 0.5  # it has opinions


def test_the_numpy_reader_says_which_agents_it_has_not(apart, tmp_path):
    config = rl3_jax.make_config("mdp-h100-quick", policy="transformer", horizon=20)
    save_agent(tmp_path / "agent", config, config.network.init(jax.random.key(0))["actor"], 1)
    with pytest.raises(ValueError, match="the core transformer is not written in NumPy"):
        example("numpy_agent").NumpyAgent(tmp_path / "agent")
    config = rl3_jax.make_config("point-robot-h100-quick", policy={"gates": False})
    save_agent(tmp_path / "agent", config, config.network.init(jax.random.key(0))["actor"], 1)
    with pytest.raises(ValueError, match="actions of point-robot are vectors"):
        example("numpy_agent").NumpyAgent(tmp_path / "agent")
