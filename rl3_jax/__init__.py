"""Meta-reinforcement learning in JAX: RL³ and RL², compiled end to end."""

import importlib
import importlib.metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rl3_jax.errors import ConfigError, NonFiniteError
    from rl3_jax.object_rl import LEARNERS, make_learner
    from rl3_jax.policies import CORES, PolicyConfig, make_core
    from rl3_jax.ppo import PPOConfig
    from rl3_jax.presets import PRESETS, make_config
    from rl3_jax.run.agent import LoadedAgent, load_agent
    from rl3_jax.run.baselines import evaluate_baselines
    from rl3_jax.run.evaluation import evaluate_run
    from rl3_jax.run.planning import plan
    from rl3_jax.run.program_cache import compile_cache
    from rl3_jax.run.remarks import check
    from rl3_jax.run.report import compare
    from rl3_jax.run.runs import Run, UnsavedRun, resume, resume_seeds, train, train_seeds
    from rl3_jax.run.signals import Interrupted
    from rl3_jax.run.sweeps import Range, SweepConfig, sweep
    from rl3_jax.tasks import FAMILIES, make_family
    from rl3_jax.training import (
        EvaluationConfig,
        Hyper,
        TrainConfig,
        TrainState,
        agent_of,
        config_of,
        evaluate,
        hyper_of,
        init,
        register,
        train_iteration,
        train_steps,
    )
    from rl3_jax.trial import METHODS, Features, TrialEnv, make

_HOMES = {
    "errors": "ConfigError NonFiniteError",
    "object_rl": "LEARNERS make_learner",
    "policies": "CORES PolicyConfig make_core",
    "ppo": "PPOConfig",
    "presets": "PRESETS make_config",
    "run.agent": "LoadedAgent load_agent",
    "run.baselines": "evaluate_baselines",
    "run.evaluation": "evaluate_run",
    "run.planning": "plan",
    "run.program_cache": "compile_cache",
    "run.remarks": "check",
    "run.report": "compare",
    "run.runs": "Run UnsavedRun resume resume_seeds train train_seeds",
    "run.signals": "Interrupted",
    "run.sweeps": "Range SweepConfig sweep",
    "tasks": "FAMILIES make_family",
    "training": "EvaluationConfig Hyper TrainConfig TrainState agent_of config_of evaluate hyper_of"
    " init register train_iteration train_steps",
    "trial": "METHODS Features TrialEnv make",
}
"""The public names of each module. A name is imported when it is first used: `import rl3_jax` alone loads
nothing of JAX, so that `jax.distributed.initialize` can still come first."""
_PARTS = {"testing", *(home.partition(".")[0] for home in _HOMES)}

__all__ = [
    "CORES", "FAMILIES", "LEARNERS", "METHODS", "PRESETS", "ConfigError", "EvaluationConfig", "Features",
    "Hyper", "Interrupted", "LoadedAgent", "NonFiniteError", "PPOConfig", "PolicyConfig", "Range", "Run",
    "SweepConfig", "TrainConfig", "TrainState", "TrialEnv", "UnsavedRun", "agent_of", "check", "compare",
    "compile_cache", "config_of", "evaluate", "evaluate_baselines", "evaluate_run", "hyper_of", "init",
    "load_agent", "make", "make_config", "make_core", "make_family", "make_learner", "plan", "register",
    "resume", "resume_seeds", "sweep", "train", "train_iteration", "train_seeds", "train_steps",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Return a public name, a part of the package or its version, imported now."""
    if name == "__version__":
        return importlib.metadata.version("rl3-jax")
    if name in _PARTS:
        return importlib.import_module(f"rl3_jax.{name}")
    for part, names in _HOMES.items():
        if name in names.split():
            return getattr(importlib.import_module(f"rl3_jax.{part}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Return the public names, the parts, and what is there already."""
    return sorted({*globals(), *__all__, *_PARTS, "__version__"})
