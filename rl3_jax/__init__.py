"""Meta-reinforcement learning in JAX: RL³ and RL², compiled end to end."""

from rl3_jax.errors import ConfigError, NonFiniteError
from rl3_jax.object_rl import LEARNERS, make_learner
from rl3_jax.policies import CORES, PolicyConfig, make_core
from rl3_jax.ppo import PPOConfig
from rl3_jax.presets import PRESETS, make_config
from rl3_jax.run import (
    Interrupted,
    LoadedAgent,
    Run,
    compare,
    compile_cache,
    evaluate_baselines,
    evaluate_run,
    load_agent,
    plan,
    resume,
    train,
)
from rl3_jax.tasks import FAMILIES, make_family
from rl3_jax.training import EvaluationConfig, TrainConfig, evaluate
from rl3_jax.trial import METHODS, Features, TrialEnv, make

__all__ = [
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
