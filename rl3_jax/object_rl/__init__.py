"""The RL inside a trial: learners behind one interface, and what they take for a state."""

from rl3_jax.object_rl.abstraction import Abstraction, Clusters, Coordinates, Identity, Tiling
from rl3_jax.object_rl.base import (
    ActionValues,
    Learner,
    NoLearner,
    State,
    TableSpec,
    Transition,
    learner_problems,
)
from rl3_jax.object_rl.deep_q import DeepQ
from rl3_jax.object_rl.hashing import Hashed
from rl3_jax.object_rl.kernel import Kernel
from rl3_jax.object_rl.linear import LeastSquaresQ, LinearQ
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
    "Coordinates",
    "DeepQ",
    "DynaQ",
    "Hashed",
    "Identity",
    "Kernel",
    "Learner",
    "LeastSquaresQ",
    "LinearQ",
    "ModelBased",
    "NoLearner",
    "QLearning",
    "RMax",
    "State",
    "TableSpec",
    "Tiling",
    "Transition",
    "learner_problems",
    "make_learner",
]
