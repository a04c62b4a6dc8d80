"""Published returns of classic algorithms and of RL², to set ours beside."""

import dataclasses
from collections.abc import Mapping
from typing import Any

SOURCE = "Duan et al. 2016, arXiv 1611.02779, tables 1 and 2"
TASKS = 1000
"""Tasks assumed to lie behind a published mean; the paper does not say how many there were."""

BANDITS: dict[tuple[int, int], dict[str, float]] = {
    (5, 100): {
        "random": 49.9,
        "gittins": 78.3,
        "thompson": 74.7,
        "optimistic-thompson": 77.9,
        "ucb1": 78.0,
        "epsilon-greedy": 75.4,
        "greedy": 74.8,
        "rl2": 78.7,
    },
    (10, 100): {
        "random": 49.9,
        "gittins": 82.8,
        "thompson": 76.7,
        "optimistic-thompson": 81.4,
        "ucb1": 82.4,
        "epsilon-greedy": 77.4,
        "greedy": 77.1,
        "rl2": 83.5,
    },
    (5, 500): {
        "random": 249.8,
        "gittins": 405.8,
        "thompson": 402.0,
        "optimistic-thompson": 406.7,
        "ucb1": 405.8,
        "epsilon-greedy": 388.2,
        "greedy": 380.6,
        "rl2": 401.6,
    },
    (10, 500): {
        "random": 249.0,
        "gittins": 437.8,
        "thompson": 429.5,
        "optimistic-thompson": 438.9,
        "ucb1": 437.1,
        "epsilon-greedy": 408.0,
        "greedy": 395.0,
        "rl2": 432.5,
    },
}
"""Mean return of Bernoulli bandits by (k, H)."""

MDPS: dict[int, dict[str, float]] = {
    100: {
        "random": 100.1,
        "psrl": 138.1,
        "opsrl": 144.1,
        "ucrl2": 146.6,
        "beb": 150.2,
        "epsilon-greedy": 132.8,
        "greedy": 134.8,
        "rl2": 156.2,
    },
    250: {
        "random": 250.2,
        "psrl": 408.8,
        "opsrl": 425.2,
        "ucrl2": 424.1,
        "beb": 427.8,
        "epsilon-greedy": 377.3,
        "greedy": 368.8,
        "rl2": 445.7,
    },
    500: {
        "random": 499.7,
        "psrl": 904.4,
        "opsrl": 930.7,
        "ucrl2": 918.9,
        "beb": 917.8,
        "epsilon-greedy": 823.3,
        "greedy": 769.3,
        "rl2": 936.1,
    },
}
"""Mean return of random MDPs (S=10, A=5, episodes of 10 steps) by H."""
WITHOUT_PRIOR = ("random", "rl2")
"""Of those, what believes nothing of rewards beforehand; all others believe that they average m = 0."""

FAR = 3.0
"""Standard errors beyond which a figure of ours is told apart from the published one, with the reason."""
_ANEW = "ours plans anew for each episode, tuned for the trial; the published one may have done otherwise."
REASONS = {
    "gittins": "ours is the exact index over the steps that are left, and scores more than the published.",
    "ucrl2": _ANEW,
    "beb": _ANEW,
}
"""Why a baseline may be far from what was published."""


@dataclasses.dataclass(frozen=True)
class Published:
    """A published mean return beside ours.

    Attributes:
      value: as published.
      deviation: (ours − published) / √(our variance of the mean + variance of the published mean), the latter
        that of `TASKS` tasks whose returns spread as ours do.
    """

    value: float
    deviation: float


def published_returns(result: Mapping[str, Any]) -> dict[str, float]:
    """Return what was published for the setting of a result file, by name; nothing if nothing was."""
    task, horizon = result["task"], result["horizon"]
    if result["variation"] != "default":
        return {}
    if result["family"] == "bandit":
        return BANDITS.get((task["num_arms"], horizon), {})
    if result["family"] == "mdp" and (task["states"], task["actions"], task["steps"]) == (10, 5, 10):
        published = MDPS.get(horizon, {})
        return {x if x in WITHOUT_PRIOR else f"{x} (m = 0)": value for x, value in published.items()}
    return {}


def beside(entry: Mapping[str, Any], value: float) -> Published:
    """Return a published value with how far an entry of a result file is from it."""
    num_tasks, error = len(entry["returns"]), entry["standard_error"]
    combined = error * (1.0 + num_tasks / TASKS) ** 0.5
    return Published(value, (entry["mean_return"] - value) / combined)
