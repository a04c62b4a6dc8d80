"""The RL inside a trial: learners behind one interface."""

from rl3_jax.object_rl.base import ActionValues, Learner, TableSpec, Transition
from rl3_jax.object_rl.model_based import ModelBased
from rl3_jax.object_rl.q_learning import QLearning
from rl3_jax.object_rl.registry import LEARNERS, make_learner

__all__ = [
    "LEARNERS",
    "ActionValues",
    "Learner",
    "ModelBased",
    "QLearning",
    "TableSpec",
    "Transition",
    "make_learner",
]
