"""Classic bandit and MDP algorithms, and clairvoyant optima, on the same trials."""

from rl3_jax.baselines.bandits import BestArm, EpsilonGreedy, Ucb1
from rl3_jax.baselines.common import Baseline, Random
from rl3_jax.baselines.gittins import Gittins
from rl3_jax.baselines.gridworlds import ClairvoyantEpisode, ClairvoyantTrial
from rl3_jax.baselines.learners import LearnerAlone
from rl3_jax.baselines.mdps import Clairvoyant, ModelGreedy
from rl3_jax.baselines.navigation import MapReader, Straight
from rl3_jax.baselines.optimism import Beb, Ucrl2
from rl3_jax.baselines.posterior_sampling import OptimisticThompson, Thompson
from rl3_jax.baselines.psrl import Opsrl, Psrl
from rl3_jax.baselines.registry import asked_names, baseline_names, make_baselines, plain_name

__all__ = [
    "Baseline",
    "Beb",
    "BestArm",
    "Clairvoyant",
    "ClairvoyantEpisode",
    "ClairvoyantTrial",
    "EpsilonGreedy",
    "Gittins",
    "LearnerAlone",
    "MapReader",
    "ModelGreedy",
    "Opsrl",
    "OptimisticThompson",
    "Psrl",
    "Random",
    "Straight",
    "Thompson",
    "Ucb1",
    "Ucrl2",
    "asked_names",
    "baseline_names",
    "make_baselines",
    "plain_name",
]
