"""The baselines of each family by name: a new one is one line here."""

from rl3_jax.baselines.bandits import BestArm, Thompson, Ucb1
from rl3_jax.baselines.common import Baseline, Random
from rl3_jax.baselines.gridworlds import ClairvoyantEpisode, ClairvoyantTrial
from rl3_jax.baselines.learners import CertaintyEquivalence
from rl3_jax.baselines.mdps import Clairvoyant, ModelGreedy
from rl3_jax.baselines.navigation import MapReader, Straight
from rl3_jax.baselines.optimism import Beb, Ucrl2
from rl3_jax.baselines.psrl import Opsrl, Psrl
from rl3_jax.object_rl import ModelBased
from rl3_jax.tasks import Bandit, FourRoomsTasks, FrozenLakes, Gridworld, MetaMazes, PointRobots, RandomMdp

EVERYWHERE: dict[str, Baseline] = {"random": Random()}
"""Baselines for any family."""

BASELINES: dict[str, dict[str, Baseline]] = {
    Bandit.family: {
        "certainty-equivalence": CertaintyEquivalence(epsilon=0.1),
        "ucb1": Ucb1(),
        "thompson": Thompson(),
        "clairvoyant": BestArm(),
    },
    RandomMdp.family: {
        "certainty-equivalence": CertaintyEquivalence(epsilon=0.1),
        "greedy": ModelGreedy(epsilon=0.0),
        "epsilon-greedy": ModelGreedy(),
        "psrl": Psrl(),
        "opsrl": Opsrl(),
        "ucrl2": Ucrl2(),
        "beb": Beb(),
        "clairvoyant": Clairvoyant(),
    },
    Gridworld.family: {
        "certainty-equivalence": CertaintyEquivalence(
            epsilon=0.0, learner=ModelBased(smoothing=0.01, tolerance=0.0, max_sweeps=2)
        ),
        "clairvoyant-episode": ClairvoyantEpisode(),
        "clairvoyant": ClairvoyantTrial(),
    },
    FrozenLakes.family: {"clairvoyant": MapReader()},
    FourRoomsTasks.family: {"clairvoyant": MapReader()},
    MetaMazes.family: {"clairvoyant": MapReader()},
    PointRobots.family: {"clairvoyant": Straight()},
}
"""Further baselines, family by family; a family without an entry has none."""


def make_baselines(family: str) -> dict[str, Baseline]:
    """Return name → behaviour for a family's baselines, weakest first."""
    return EVERYWHERE | BASELINES.get(family, {})
