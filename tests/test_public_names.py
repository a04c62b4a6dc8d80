"""The public names; a change here is a change for users."""

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
    "Interrupted",
    "LoadedAgent",
    "NonFiniteError",
    "PPOConfig",
    "PolicyConfig",
    "Run",
    "TrainConfig",
    "TrialEnv",
    "compare",
    "compile_cache",
    "evaluate",
    "evaluate_baselines",
    "evaluate_run",
    "load_agent",
    "make",
    "make_config",
    "make_core",
    "make_family",
    "make_learner",
    "plan",
    "resume",
    "train",
]


def test_the_public_names():
    assert rl3_jax.__all__ == NAMES
    assert all(hasattr(rl3_jax, name) for name in NAMES)
