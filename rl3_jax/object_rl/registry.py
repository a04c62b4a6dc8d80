"""The object-level learners and the state abstractions by name."""

from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.object_rl.abstraction import Abstraction, Clusters, Coordinates, Identity, Tiling
from rl3_jax.object_rl.base import Learner
from rl3_jax.object_rl.deep_q import DeepQ
from rl3_jax.object_rl.hashing import Hashed
from rl3_jax.object_rl.kernel import Kernel
from rl3_jax.object_rl.linear import LeastSquaresQ, LinearQ
from rl3_jax.object_rl.model_based import ModelBased
from rl3_jax.object_rl.q_learning import DynaQ, QLearning
from rl3_jax.object_rl.r_max import RMax

LEARNERS: dict[str, type[Learner]] = {
    learner.learner: learner
    for learner in (ModelBased, QLearning, DynaQ, RMax, LinearQ, LeastSquaresQ, Kernel, DeepQ)
}

ABSTRACTIONS: dict[str, type[Abstraction]] = {
    abstraction.abstraction: abstraction for abstraction in (Identity, Tiling, Hashed, Coordinates, Clusters)
}


def make_learner(name: str) -> Learner:
    """Return the learner of that name with its default configuration; `ConfigError` if there is none."""
    if name not in LEARNERS:
        raise ConfigError(unknown_choice("learner", name, list(LEARNERS)))
    return LEARNERS[name]()
