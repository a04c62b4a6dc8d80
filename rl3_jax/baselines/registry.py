"""The baselines of each family by name: a new one is one line here."""

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

from rl3_jax.baselines.bandits import BestArm, EpsilonGreedy, Ucb1
from rl3_jax.baselines.common import Baseline, Random
from rl3_jax.baselines.gittins import Gittins
from rl3_jax.baselines.gridworlds import ClairvoyantEpisode, ClairvoyantTrial
from rl3_jax.baselines.learners import LearnerAlone
from rl3_jax.baselines.mdp_experience import TRUE_PRIOR_REWARD
from rl3_jax.baselines.mdps import Clairvoyant, ModelGreedy
from rl3_jax.baselines.navigation import MapReader, Straight
from rl3_jax.baselines.optimism import Beb, Ucrl2
from rl3_jax.baselines.posterior_sampling import OptimisticThompson, Thompson
from rl3_jax.baselines.psrl import Opsrl, Psrl
from rl3_jax.baselines.tuned import TunedBandit, TunedMdp, tuned_bandit, tuned_mdp
from rl3_jax.object_rl import ModelBased, QLearning, RMax
from rl3_jax.tasks import (
    FAMILIES,
    Bandit,
    FourRoomsTasks,
    FrozenLakes,
    Gridworld,
    MetaMazes,
    PointRobots,
    RandomMdp,
    TaskFamily,
)
from rl3_jax.trial import Behaviour


@dataclasses.dataclass(frozen=True)
class BaselineSetting:
    """What a baseline may depend on.

    Attributes:
      family: the task family.
      horizon: trial length H.
      prior_reward: m, the mean reward that some baselines of random MDPs believe in beforehand.
    """

    family: Any
    horizon: int
    prior_reward: float = TRUE_PRIOR_REWARD

    @property
    def bandit(self) -> TunedBandit:
        """What is tuned for a bandit like this."""
        return tuned_bandit(self.family.num_arms, self.horizon)

    @property
    def mdp(self) -> TunedMdp:
        """What is tuned for random MDPs like these."""
        return tuned_mdp(self.horizon, self.prior_reward)


Maker = Callable[[BaselineSetting], Baseline]
"""Makes a baseline that depends on the setting."""

EVERYWHERE: dict[str, Baseline | Maker] = {"random": Random()}
"""Baselines for any family."""

BASELINES: dict[str, dict[str, Baseline | Maker]] = {
    Bandit.family: {
        "certainty-equivalence": LearnerAlone(epsilon=0.1),
        "greedy": EpsilonGreedy(),
        "epsilon-greedy": lambda at: EpsilonGreedy(at.bandit.epsilon),
        "ucb1": lambda at: Ucb1(at.bandit.exploration),
        "thompson": Thompson(),
        "optimistic-thompson": lambda at: OptimisticThompson(at.bandit.num_samples),
        "gittins": lambda at: Gittins.make(at.horizon),
        "clairvoyant": BestArm(),
    },
    RandomMdp.family: {
        "certainty-equivalence": LearnerAlone(epsilon=0.1),
        "greedy": lambda at: ModelGreedy(at.prior_reward),
        "epsilon-greedy": lambda at: ModelGreedy(at.prior_reward, at.mdp.epsilon),
        "psrl": lambda at: Psrl(at.prior_reward),
        "opsrl": lambda at: Opsrl(at.prior_reward, at.mdp.num_samples),
        "ucrl2": lambda at: Ucrl2(at.prior_reward, at.mdp.scale),
        "beb": lambda at: Beb(at.prior_reward, at.mdp.bonus),
        "clairvoyant": Clairvoyant(),
    },
    Gridworld.family: {
        "certainty-equivalence": LearnerAlone(
            epsilon=0.0, learner=ModelBased(smoothing=0.01, tolerance=0.0, max_sweeps=2)
        ),
        "q-learning": LearnerAlone(epsilon=0.0, learner=QLearning()),
        "r-max": LearnerAlone(epsilon=0.0, learner=RMax()),
        "clairvoyant-episode": ClairvoyantEpisode(),
        "clairvoyant": ClairvoyantTrial(),
    },
    FrozenLakes.family: {"clairvoyant": MapReader()},
    FourRoomsTasks.family: {"clairvoyant": MapReader()},
    MetaMazes.family: {"clairvoyant": MapReader()},
    PointRobots.family: {"clairvoyant": Straight()},
}
"""Further baselines, family by family; a family without an entry has none."""

BELIEVING = {RandomMdp.family: ("greedy", "epsilon-greedy", "psrl", "opsrl", "ucrl2", "beb")}
"""Baselines of each family that believe beforehand in a mean reward."""

PRIOR = " (m = "
"""What sets a baseline's name and the mean of its prior apart."""

LONGEST = {"gittins": 600}
"""The longest trial of those that do not serve all: the table of indices has H³/6 entries, here 145 MB."""


def baseline_names(family: TaskFamily | str, horizon: int, prior_reward: float | None = None) -> list[str]:
    """Return the names of a family's baselines for trials of H steps, the optimum last: see `LONGEST`.

    Args:
      family: the family, or its name if it is registered.
      horizon: H.
      prior_reward: m. If given, only of those that believe beforehand in a mean reward, e.g. `psrl (m = 0)`.
    """
    known = [name for name in _entries(family) if horizon <= LONGEST.get(name, horizon)]
    if prior_reward is None:
        return known
    believing = BELIEVING.get(family if isinstance(family, str) else family.family, ())
    return [with_prior(name, prior_reward) for name in known if name in believing]


def _entries(family: TaskFamily | str) -> dict[str, Any]:
    """Return all baselines of a family by name, with those that it brings itself."""
    if isinstance(family, str):
        own, name = FAMILIES[family].baselines if family in FAMILIES else {}, family
    else:
        own, name = family.baselines, family.family
    return EVERYWHERE | BASELINES.get(name, {}) | dict(own)


def with_prior(name: str, prior_reward: float) -> str:
    """Return the name of a baseline that believes beforehand in a mean reward m, e.g. `psrl (m = 0)`."""
    return f"{name}{PRIOR}{prior_reward:g})"


def plain_name(name: str) -> str:
    """Return the name of a baseline without its prior."""
    return name.partition(PRIOR)[0]


def asked_names(known: Collection[str], names: Collection[str]) -> list[str]:
    """Return those of the known names that are asked for, with or without their prior; all if none is."""
    return [name for name in known if not names or name in names or plain_name(name) in names]


def make_baselines(
    family: TaskFamily,
    horizon: int,
    names: Collection[str] | None = None,
    prior_reward: float | None = None,
) -> dict[str, Behaviour]:
    """Return name → behaviour for a family's baselines, the optimum last.

    Args:
      family: the task family; hyperparameters tuned for its sizes are taken where there are some.
      horizon: trial length H. Gittins indices are computed for it, which takes longer the larger it is
        (docs/measurements.md).
      names: make these only, of `baseline_names`; all of them, if not given.
      prior_reward: as in `baseline_names`.
    """
    prior = {} if prior_reward is None else {"prior_reward": prior_reward}
    setting, entries = BaselineSetting(family, horizon, **prior), _entries(family)
    return {
        name: _make(entries[plain_name(name)], setting)
        for name in baseline_names(family, horizon, prior_reward)
        if names is None or name in names
    }


def _make(baseline: Any, setting: BaselineSetting) -> Any:
    """Return a baseline for these trials."""
    is_made = isinstance(baseline, Behaviour) and not isinstance(baseline, type)
    make: Any = baseline
    return baseline if is_made else make(setting)
