"""The baselines of each family by name, and what they are tuned to: a new one is one line here."""

import dataclasses
import math
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

from rl3_jax.baselines.bandits import BestArm, EpsilonGreedy, OptimisticThompson, Thompson, Ucb1
from rl3_jax.baselines.common import Baseline, LearnerAlone, Random
from rl3_jax.baselines.gittins import NUM_PULLS, Gittins, discounted_gittins, gittins_indices
from rl3_jax.baselines.mdps import (
    TRUE_PRIOR_REWARD,
    Beb,
    Clairvoyant,
    ModelGreedy,
    Opsrl,
    Psrl,
    TabulaBeb,
    TabulaUcrl2,
    Ucrl2,
)
from rl3_jax.baselines.navigation import ClairvoyantEpisode, ClairvoyantTrial, MapReader, Straight
from rl3_jax.lean_gymnax import spaces
from rl3_jax.object_rl import ModelBased, NoLearner, QLearning, RMax
from rl3_jax.tasks import TaskFamily
from rl3_jax.trial import METHODS, Behaviour, TrialEnv, family_abstraction, family_learner

# Tuned values are what `benchmarks/tuning.py` found best on tasks that no evaluation sees; a test holds them
# equal to the best ones in `results/tuning`. Two grids end where more would pay: N of optimistic Thompson
# sampling is bounded by what draws cost, and ε of MDPs by 0.05 from below, as greedy stands beside it.


class TunedBandit(NamedTuple):
    """c of UCB1, ε of ε-greedy, N of optimistic Thompson sampling and γ of discounted Gittins indices."""

    exploration: float
    epsilon: float
    num_samples: int
    discount: float


TUNED_BANDITS: dict[tuple[int, int], TunedBandit] = {
    (5, 10): TunedBandit(exploration=0.13, epsilon=0.0, num_samples=48, discount=0.9),
    (10, 10): TunedBandit(exploration=0.13, epsilon=0.0, num_samples=64, discount=0.9),
    (50, 10): TunedBandit(exploration=0.13, epsilon=0.0, num_samples=64, discount=0.9),
    (5, 100): TunedBandit(exploration=0.28, epsilon=0.01, num_samples=32, discount=0.99),
    (10, 100): TunedBandit(exploration=0.28, epsilon=0.01, num_samples=48, discount=0.99),
    (50, 100): TunedBandit(exploration=0.28, epsilon=0.04, num_samples=8, discount=0.99),
    (5, 500): TunedBandit(exploration=0.37, epsilon=0.04, num_samples=8, discount=0.999),
    (10, 500): TunedBandit(exploration=0.28, epsilon=0.06, num_samples=24, discount=0.999),
    (50, 500): TunedBandit(exploration=0.28, epsilon=0.06, num_samples=8, discount=0.999),
}
"""(k, H) → hyperparameters."""


class TunedMdp(NamedTuple):
    """ε of ε-greedy, N of optimistic posterior sampling, c of UCRL2, β of BEB, and c of both in TabulaRL."""

    epsilon: float
    num_samples: int
    scale: float
    bonus: float
    tabula_ucrl2: float
    tabula_beb: float


TUNED_MDPS: dict[tuple[int, float], TunedMdp] = {
    (100, 0.0): TunedMdp(
        epsilon=0.05, num_samples=30, scale=0.34, bonus=38.0, tabula_ucrl2=0.4, tabula_beb=0.0016
    ),
    (250, 0.0): TunedMdp(
        epsilon=0.1, num_samples=50, scale=0.34, bonus=29.0, tabula_ucrl2=0.4, tabula_beb=0.0016
    ),
    (500, 0.0): TunedMdp(
        epsilon=0.15, num_samples=30, scale=0.34, bonus=26.0, tabula_ucrl2=0.4, tabula_beb=0.0016
    ),
    (750, 0.0): TunedMdp(
        epsilon=0.15, num_samples=20, scale=0.37, bonus=26.0, tabula_ucrl2=0.4, tabula_beb=0.0016
    ),
    (1000, 0.0): TunedMdp(
        epsilon=0.1, num_samples=20, scale=0.37, bonus=26.0, tabula_ucrl2=0.4, tabula_beb=0.0016
    ),
    (100, 1.0): TunedMdp(
        epsilon=0.05, num_samples=20, scale=0.15, bonus=12.0, tabula_ucrl2=0.1, tabula_beb=0.0
    ),
    (250, 1.0): TunedMdp(
        epsilon=0.05, num_samples=20, scale=0.03, bonus=14.0, tabula_ucrl2=0.16, tabula_beb=0.0004
    ),
    (500, 1.0): TunedMdp(
        epsilon=0.05, num_samples=20, scale=0.04, bonus=14.0, tabula_ucrl2=0.16, tabula_beb=0.0004
    ),
    (750, 1.0): TunedMdp(
        epsilon=0.05, num_samples=5, scale=0.04, bonus=14.0, tabula_ucrl2=0.16, tabula_beb=0.00063
    ),
    (1000, 1.0): TunedMdp(
        epsilon=0.05, num_samples=5, scale=0.04, bonus=14.0, tabula_ucrl2=0.16, tabula_beb=0.00063
    ),
}
"""(H, m) → hyperparameters."""


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
        """What is tuned for the nearest bandit, by the distance |log k/k'| + |log H/H'|."""
        k, h = self.family.num_arms, self.horizon
        return TUNED_BANDITS[min(TUNED_BANDITS, key=lambda at: _ratio(k, at[0]) + _ratio(h, at[1]))]

    @property
    def mdp(self) -> TunedMdp:
        """What is tuned for the prior whose mean m is nearest, and of those for the nearest log H."""
        m, h = self.prior_reward, self.horizon
        return TUNED_MDPS[min(TUNED_MDPS, key=lambda at: (abs(at[1] - m), _ratio(h, at[0])))]


def _ratio(x: int, y: int) -> float:
    """Return |log x/y|."""
    return abs(math.log(x / y))


BASELINES: dict[str, dict[str, Baseline | Callable[[BaselineSetting], Baseline]]] = {
    "bandit": {
        "certainty-equivalence": LearnerAlone(epsilon=0.1),
        "greedy": EpsilonGreedy(),
        "epsilon-greedy": lambda at: EpsilonGreedy(at.bandit.epsilon),
        "ucb1": lambda at: Ucb1(at.bandit.exploration),
        "thompson": Thompson(),
        "optimistic-thompson": lambda at: OptimisticThompson(at.bandit.num_samples),
        "gittins-discounted": lambda at: discounted_gittins(at.bandit.discount),
        "gittins": lambda at: Gittins(gittins_indices(at.horizon)),
        "clairvoyant": BestArm(),
    },
    "mdp": {
        "certainty-equivalence": LearnerAlone(epsilon=0.1),
        "greedy": lambda at: ModelGreedy(at.prior_reward),
        "epsilon-greedy": lambda at: ModelGreedy(at.prior_reward, at.mdp.epsilon),
        "psrl": lambda at: Psrl(at.prior_reward),
        "opsrl": lambda at: Opsrl(at.prior_reward, at.mdp.num_samples),
        "ucrl2": lambda at: Ucrl2(at.prior_reward, at.mdp.scale),
        "beb": lambda at: Beb(at.prior_reward, at.mdp.bonus),
        "ucrl2-tabularl": lambda at: TabulaUcrl2(at.prior_reward, at.mdp.tabula_ucrl2),
        "beb-tabularl": lambda at: TabulaBeb(at.prior_reward, at.mdp.tabula_beb),
        "clairvoyant": Clairvoyant(),
    },
    "gridworld": {
        "certainty-equivalence": LearnerAlone(
            learner=ModelBased(smoothing=0.01, tolerance=0.0, max_sweeps=2)
        ),
        "q-learning": LearnerAlone(learner=QLearning()),
        "r-max": LearnerAlone(learner=RMax()),
        "clairvoyant-episode": ClairvoyantEpisode(),
        "clairvoyant": ClairvoyantTrial(),
    },
    "frozen-lake": {"clairvoyant": MapReader()},
    "four-rooms": {"clairvoyant": MapReader()},
    "meta-maze": {"clairvoyant": MapReader()},
    "point-robot": {"clairvoyant": Straight()},
}
"""Baselines beside chance, or what makes one, family by family; a family without an entry has none."""

BELIEVING = {
    "mdp": ("greedy", "epsilon-greedy", "psrl", "opsrl", "ucrl2", "beb", "ucrl2-tabularl", "beb-tabularl")
}
"""Baselines of each family that believe beforehand in a mean reward."""
PRIOR = " (m = "
"""What sets a baseline's name and the mean of its prior apart."""
LARGEST_DENSE = 100
"""States of a table up to which all triples of states and actions are planned on soon enough."""
TILED_SWEEPS = 10
"""Planning sweeps a step of object-level RL alone in tiles; a tolerance would go by the size of rewards."""
LONGEST = {"gittins": 600, "gittins-discounted": NUM_PULLS}
"""The longest trial of those that do not serve all: the table of indices of `gittins` takes 145 MB there."""


def baseline_env(family: TaskFamily, horizon: int) -> TrialEnv:
    """Return the trial in which a family's baselines act, which bring their own object-level RL.

    That of the trial learns nothing, but tells in which tile or row a vector lies.
    """
    if family.integer_states or not family.has_table:
        return TrialEnv(family, horizon=horizon, features=METHODS["rl2"])
    learner = NoLearner()
    return TrialEnv(family, horizon, METHODS["rl3"], learner, family_abstraction(family, learner))


def baseline_names(family: TaskFamily, horizon: int, prior_reward: float | None = None) -> list[str]:
    """Return the names of a family's baselines for trials of H steps, the optimum last: see `LONGEST`.

    With a `prior_reward` m, only of those that believe beforehand in a mean reward, e.g. `psrl (m = 0)`.
    """
    known = [name for name in _entries(family) if horizon <= LONGEST.get(name, horizon)]
    if prior_reward is None:
        return known
    believing = BELIEVING.get(family.family, ())
    return [f"{name}{PRIOR}{prior_reward:g})" for name in known if name in believing]


def _entries(family: TaskFamily) -> dict[str, Any]:
    """Return all baselines of a family by name, with those that it brings itself.

    Object-level RL alone is one wherever it learns in a table, and plans on it in reasonable time.
    """
    known = {**BASELINES.get(family.family, {}), **family.baselines}
    plans = family.has_table and (family.num_successors or _table_size(family) <= LARGEST_DENSE)
    if plans and "certainty-equivalence" not in known and _takes_table_actions(family):
        learner: Any = family_learner("model-based", family)
        if family.tiles:
            learner = dataclasses.replace(learner, tolerance=0.0, max_sweeps=TILED_SWEEPS)
        known = {"certainty-equivalence": LearnerAlone(epsilon=0.1, learner=learner), **known}
    return {"random": Random(), **known}


def _table_size(family: TaskFamily) -> int:
    """Return the number of tiles, of rows for hashed states, or of integer states."""
    return math.prod(family.tiles) if family.tiles else family.hashed_rows or family.num_states


def _takes_table_actions(family: TaskFamily) -> bool:
    """Whether there is an action for each of object-level RL's."""
    own = type(family).action_of is not TaskFamily.action_of
    return own or isinstance(family.action_space(), spaces.Discrete)


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

    Hyperparameters are those tuned for the nearest setting. Gittins indices take longer the larger H is
    (docs/measurements.md).

    Args:
      family: the task family.
      horizon: trial length H.
      names: make these only, of `baseline_names`; all of them, if not given.
      prior_reward: as in `baseline_names`.
    """
    prior = {} if prior_reward is None else {"prior_reward": prior_reward}
    setting, entries, made = BaselineSetting(family, horizon, **prior), _entries(family), {}
    for name in baseline_names(family, horizon, prior_reward):
        if names is None or name in names:
            entry = entries[plain_name(name)]
            # A class has the methods of a behaviour too.
            if isinstance(entry, type) or not isinstance(entry, Behaviour):
                entry = entry(setting)
            made[name] = entry
    return made
