"""Compiled training and evaluation, as pure functions of one configuration."""

from rl3_jax.training.config import EvaluationConfig, TrainConfig
from rl3_jax.training.evaluate import Agent, dropped_message, evaluate, evaluate_trials, task_set_hash
from rl3_jax.training.results import over_tasks, result_file, summarise
from rl3_jax.training.train import (
    CHUNK_CAPACITY,
    METRICS,
    TrainState,
    init,
    metric_names,
    train_chunk,
    train_iteration,
)
from rl3_jax.training.tuning import TUNING_SEED, Tuning, tune

__all__ = [
    "CHUNK_CAPACITY",
    "METRICS",
    "TUNING_SEED",
    "Agent",
    "EvaluationConfig",
    "TrainConfig",
    "TrainState",
    "Tuning",
    "dropped_message",
    "evaluate",
    "evaluate_trials",
    "init",
    "metric_names",
    "over_tasks",
    "result_file",
    "summarise",
    "task_set_hash",
    "train_chunk",
    "train_iteration",
    "tune",
]
