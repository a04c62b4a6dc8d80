"""Compiled training and evaluation, as pure functions of one configuration."""

from rl3_jax.training.config import EvaluationConfig, TrainConfig
from rl3_jax.training.evaluation import (
    Agent,
    agent_of,
    dropped_message,
    evaluate,
    evaluate_trials,
    outside_message,
    task_statistics,
)
from rl3_jax.training.hyper import Hyper, config_of, hyper_of, made_for, program_of
from rl3_jax.training.results import over_tasks, result_file, summarise
from rl3_jax.training.serialise import register
from rl3_jax.training.steps import CHUNK_CAPACITY, TASKS, lower_steps, sharing_problems, train_steps
from rl3_jax.training.train import FIELDS, METRICS, TrainState, init, train_iteration

__all__ = [
    "CHUNK_CAPACITY",
    "FIELDS",
    "METRICS",
    "TASKS",
    "Agent",
    "EvaluationConfig",
    "Hyper",
    "TrainConfig",
    "TrainState",
    "agent_of",
    "config_of",
    "dropped_message",
    "evaluate",
    "evaluate_trials",
    "hyper_of",
    "init",
    "lower_steps",
    "made_for",
    "outside_message",
    "over_tasks",
    "program_of",
    "register",
    "result_file",
    "sharing_problems",
    "summarise",
    "task_statistics",
    "train_iteration",
    "train_steps",
]
