"""The public names; a change here is a change for users."""

import importlib
import importlib.metadata
import importlib.util
import subprocess
import sys

import pytest

import rl3_jax

NAMES = [
    "CORES",
    "FAMILIES",
    "LEARNERS",
    "METHODS",
    "PRESETS",
    "ConfigError",
    "EvaluationConfig",
    "Features",
    "Hyper",
    "Interrupted",
    "LoadedAgent",
    "NonFiniteError",
    "PPOConfig",
    "PolicyConfig",
    "Range",
    "Run",
    "SweepConfig",
    "TrainConfig",
    "TrainState",
    "TrialEnv",
    "UnsavedRun",
    "agent_of",
    "check",
    "compare",
    "compile_cache",
    "config_of",
    "evaluate",
    "evaluate_baselines",
    "evaluate_run",
    "hyper_of",
    "init",
    "load_agent",
    "make",
    "make_config",
    "make_core",
    "make_family",
    "make_learner",
    "plan",
    "register",
    "resume",
    "resume_seeds",
    "sweep",
    "train",
    "train_iteration",
    "train_seeds",
    "train_steps",
]


def test_the_public_names():
    assert rl3_jax.__all__ == NAMES
    assert set(NAMES) < set(dir(rl3_jax))
    for name in NAMES:
        assert getattr(rl3_jax, name) is not None
    with pytest.raises(AttributeError, match="module 'rl3_jax' has no attribute 'trian'"):
        rl3_jax.trian  # noqa: B018
    assert rl3_jax.training.TrainConfig is rl3_jax.TrainConfig
    assert rl3_jax.__version__ == importlib.metadata.version("rl3-jax")


PARTS = ("baselines", "object_rl", "policies", "ppo", "tasks", "testing", "training", "trial")


@pytest.mark.parametrize("part", PARTS)
def test_no_public_name_hides_a_module(part):
    """`import rl3_jax.part.name` would otherwise be a module, and `from rl3_jax.part import name` not."""
    names = importlib.import_module(f"rl3_jax.{part}").__all__
    hidden = [name for name in names if importlib.util.find_spec(f"rl3_jax.{part}.{name}") is not None]
    assert not hidden


def test_importing_the_package_starts_nothing_of_jax():
    code = "import sys, rl3_jax; print(*{'jax', 'gymnax', 'matplotlib', 'scipy', 'numpy'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "\n"
