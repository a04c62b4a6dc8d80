"""Hyperparameters of the bandit baselines, tuned for each number of arms and trial length.

c and ε earned most on 100 000 to 5000 tuning tasks, or lie between two grid values that did. N is rough: its
returns are flat within the errors of 200 to 4000 tasks, but for k=10, where the largest N tried earned a
little more: 48 at H=10 (6.38 against 6.29 with 32) and 24 at H=100 (81.7 against 81.4 with 16).
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
    (5, 10): TunedBandit(exploration=0.16, epsilon=0.0, num_samples=32),
    (10, 10): TunedBandit(exploration=0.16, epsilon=0.0, num_samples=32),
    (50, 10): TunedBandit(exploration=0.16, epsilon=0.0, num_samples=32),
    (5, 100): TunedBandit(exploration=0.3, epsilon=0.01, num_samples=12),
    (10, 100): TunedBandit(exploration=0.28, epsilon=0.03, num_samples=12),
    (50, 100): TunedBandit(exploration=0.28, epsilon=0.05, num_samples=8),
    (5, 500): TunedBandit(exploration=0.35, epsilon=0.04, num_samples=8),
    (10, 500): TunedBandit(exploration=0.28, epsilon=0.06, num_samples=8),
    (50, 500): TunedBandit(exploration=0.28, epsilon=0.06, num_samples=8),
}
"""(k, H) → hyperparameters."""


def tuned_bandit(num_arms: int, horizon: int) -> TunedBandit:
    """Return what is tuned for the nearest setting, by the distance |log k/k'| + |log H/H'|."""

    def distance(setting: tuple[int, int]) -> float:
        return abs(math.log(num_arms / setting[0])) + abs(math.log(horizon / setting[1]))

    return TUNED_BANDITS[min(TUNED_BANDITS, key=distance)]
