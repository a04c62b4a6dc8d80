"""Which values of the baselines' hyperparameters are tried, when they are tuned."""

import dataclasses
from typing import Any

from rl3_jax.baselines.common import Baseline
from rl3_jax.tasks import Bandit, Gridworld, RandomMdp


@dataclasses.dataclass(frozen=True)
class Grid:
    """The values of one hyperparameter that are tried.

    Attributes:
      field: the hyperparameter, a field of the baseline.
      candidates: the values.
      static: whether the value sets sizes, so that each is a program of its own.
      draws: whether the value is a number of posterior draws, whose cost bounds it: see `MOST_DRAWS`.
    """

    field: str
    candidates: tuple[int | float, ...]
    static: bool = False
    draws: bool = False

    def make(self, baseline: Baseline, value: Any) -> Baseline:
        """Return a baseline with this value of the hyperparameter."""
        return dataclasses.replace(baseline, **{self.field: value})


GRIDS: dict[str, dict[str, Grid]] = {
    Bandit.family: {
        "epsilon-greedy": Grid("epsilon", (0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15)),
        "ucb1": Grid(
            "exploration", (0.1, 0.13, 0.16, 0.19, 0.22, 0.25, 0.28, 0.31, 0.34, 0.37, 0.4, 0.45, 0.5)
        ),
        "optimistic-thompson": Grid("num_samples", (4, 8, 12, 16, 24, 32, 48, 64), static=True, draws=True),
    },
    RandomMdp.family: {
        # Greedy, which stands beside it, is the limit of less.
        "epsilon-greedy": Grid("epsilon", (0.05, 0.1, 0.15, 0.2, 0.3)),
        "ucrl2": Grid(
            "scale", (0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.28, 0.31, 0.34, 0.37, 0.4, 0.45)
        ),
        "beb": Grid(
            "bonus", (6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 23.0, 26.0, 29.0, 32.0, 38.0, 45.0)
        ),
        "opsrl": Grid("num_samples", (5, 10, 20, 30, 50), static=True),
    },
    Gridworld.family: {"q-learning": Grid("epsilon", (0.0, 0.02, 0.05, 0.1, 0.2, 0.3))},
}
"""Family → name of a baseline → what is tuned of it."""

MOST_DRAWS = 50_000
"""Numbers drawn in the first 100 steps of a trial, at most, by optimistic Thompson sampling.

It bounds the time that an evaluation takes (docs/measurements.md).
"""


def candidates(grid: Grid, env: Any) -> tuple[int | float, ...]:
    """Return the values that are tried in a trial."""
    if not grid.draws:
        return grid.candidates
    each = env.num_actions * min(env.horizon, 100)
    bearable = tuple(value for value in grid.candidates if value * each <= MOST_DRAWS)
    return bearable or (min(grid.candidates),)
