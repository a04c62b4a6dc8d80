"""The RL inside a trial: learners behind one interface, and what they take for a state."""

from rl3_jax.object_rl.abstraction import Abstraction, Clusters, Identity, Tiling
from rl3_jax.object_rl.base import ActionValues, Learner, NoLearner, TableSpec, Transition
from rl3_jax.object_rl.model_based import ModelBased
from rl3_jax.object_rl.q_learning import DynaQ, QLearning
from rl3_jax.object_rl.r_max import RMax
from rl3_jax.object_rl.registry import ABSTRACTIONS, LEARNERS, make_learner

__all__ = [
    "ABSTRACTIONS",
    "LEARNERS",
    "Abstraction",
    "ActionValues",
    "Clusters",
    "DynaQ",
    "Identity",
    "Learner",
    "ModelBased",
    "NoLearner",
    "QLearning",
    "RMax",
    "TableSpec",
    "Tiling",
    "Transition",
    "make_learner",
]
