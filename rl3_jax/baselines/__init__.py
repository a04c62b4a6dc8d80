"""Classic bandit and MDP algorithms, and clairvoyant optima, on the same trials."""

from rl3_jax.baselines.bandits import BestArm, EpsilonGreedy, OptimisticThompson, Thompson, Ucb1
from rl3_jax.baselines.common import Baseline, LearnerAlone, Random
from rl3_jax.baselines.gittins import Gittins
from rl3_jax.baselines.mdps import Beb, Clairvoyant, ModelGreedy, Opsrl, Psrl, Ucrl2
from rl3_jax.baselines.navigation import ClairvoyantEpisode, ClairvoyantTrial, MapReader, Straight
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
