"""Hyperparameters of the baselines, tuned for each setting: what `benchmarks/tuning.py` found best.

`results/tuning` holds, for each setting, what every candidate earned on tasks that no
evaluation sees; a test holds these values equal to the best ones there. Two grids end where more would pay:
N of optimistic Thompson sampling is bounded by what draws cost (k=10 at H ≤ 100, k=50), and ε of MDPs by 0.05
from below (m = 1, and m = 0 at H=100), as greedy stands beside it.
"""

import math
from typing import NamedTuple


class TunedBandit(NamedTuple):
    """Hyperparameters for one number of arms and trial length.

    Attributes:
      exploration: c of UCB1.
      epsilon: ε of ε-greedy.
      num_samples: N of optimistic Thompson sampling.
    """

    exploration: float
    epsilon: float
    num_samples: int


TUNED_BANDITS: dict[tuple[int, int], TunedBandit] = {
    (5, 10): TunedBandit(exploration=0.13, epsilon=0.0, num_samples=48),
    (10, 10): TunedBandit(exploration=0.13, epsilon=0.0, num_samples=64),
    (50, 10): TunedBandit(exploration=0.13, epsilon=0.0, num_samples=64),
    (5, 100): TunedBandit(exploration=0.28, epsilon=0.01, num_samples=32),
    (10, 100): TunedBandit(exploration=0.28, epsilon=0.01, num_samples=48),
    (50, 100): TunedBandit(exploration=0.28, epsilon=0.04, num_samples=8),
    (5, 500): TunedBandit(exploration=0.37, epsilon=0.04, num_samples=8),
    (10, 500): TunedBandit(exploration=0.28, epsilon=0.06, num_samples=24),
    (50, 500): TunedBandit(exploration=0.28, epsilon=0.06, num_samples=8),
}
"""(k, H) → hyperparameters."""


class TunedMdp(NamedTuple):
    """Hyperparameters for one trial length and one mean of the prior.

    Attributes:
      epsilon: ε of ε-greedy.
      num_samples: N of optimistic posterior sampling.
      scale: c of UCRL2.
      bonus: β of BEB.
    """

    epsilon: float
    num_samples: int
    scale: float
    bonus: float


TUNED_MDPS: dict[tuple[int, float], TunedMdp] = {
    (100, 0.0): TunedMdp(epsilon=0.05, num_samples=30, scale=0.34, bonus=38.0),
    (250, 0.0): TunedMdp(epsilon=0.1, num_samples=50, scale=0.34, bonus=29.0),
    (500, 0.0): TunedMdp(epsilon=0.15, num_samples=30, scale=0.34, bonus=26.0),
    (750, 0.0): TunedMdp(epsilon=0.15, num_samples=20, scale=0.37, bonus=26.0),
    (1000, 0.0): TunedMdp(epsilon=0.1, num_samples=20, scale=0.37, bonus=26.0),
    (100, 1.0): TunedMdp(epsilon=0.05, num_samples=20, scale=0.15, bonus=12.0),
    (250, 1.0): TunedMdp(epsilon=0.05, num_samples=20, scale=0.03, bonus=14.0),
    (500, 1.0): TunedMdp(epsilon=0.05, num_samples=20, scale=0.04, bonus=14.0),
    (750, 1.0): TunedMdp(epsilon=0.05, num_samples=5, scale=0.04, bonus=14.0),
    (1000, 1.0): TunedMdp(epsilon=0.05, num_samples=5, scale=0.04, bonus=14.0),
}
"""(H, m) → hyperparameters."""


def tuned_bandit(num_arms: int, horizon: int) -> TunedBandit:
    """Return what is tuned for the nearest setting, by the distance |log k/k'| + |log H/H'|."""

    def distance(setting: tuple[int, int]) -> float:
        return abs(math.log(num_arms / setting[0])) + abs(math.log(horizon / setting[1]))

    return TUNED_BANDITS[min(TUNED_BANDITS, key=distance)]


def tuned_mdp(horizon: int, prior_reward: float) -> TunedMdp:
    """Return what is tuned for the prior whose mean m is nearest, and of those for the nearest log H."""

    def distance(setting: tuple[int, float]) -> tuple[float, float]:
        return abs(setting[1] - prior_reward), abs(math.log(horizon / setting[0]))

    return TUNED_MDPS[min(TUNED_MDPS, key=distance)]
