"""The shell: what touches disk, clock and signals around the compiled training."""

from rl3_jax.run.agent import LoadedAgent, load_agent
from rl3_jax.run.baselines import evaluate_baselines
from rl3_jax.run.evaluation import evaluate_run
from rl3_jax.run.folder import read_config_file
from rl3_jax.run.planning import plan
from rl3_jax.run.program_cache import compile_cache
from rl3_jax.run.report import compare
from rl3_jax.run.runs import Run, UnsavedRun, resume, resume_seeds, train, train_seeds
from rl3_jax.run.signals import Interrupted
from rl3_jax.run.sweeps import Range, SweepConfig, sweep

__all__ = [
    "Interrupted",
    "LoadedAgent",
    "Range",
    "Run",
    "SweepConfig",
    "UnsavedRun",
    "compare",
    "compile_cache",
    "evaluate_baselines",
    "evaluate_run",
    "load_agent",
    "plan",
    "read_config_file",
    "resume",
    "resume_seeds",
    "sweep",
    "train",
    "train_seeds",
]
