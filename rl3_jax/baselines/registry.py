"""The baselines of each family by name: a new one is one line here."""

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

from rl3_jax.baselines.bandits import BestArm, EpsilonGreedy, Ucb1
from rl3_jax.baselines.common import Baseline, Random
from rl3_jax.baselines.gittins import Gittins
from rl3_jax.baselines.gridworlds import ClairvoyantEpisode, ClairvoyantTrial
from rl3_jax.baselines.learners import CertaintyEquivalence
from rl3_jax.baselines.mdp_experience import EpisodePlanner
from rl3_jax.baselines.mdps import Clairvoyant, ModelGreedy
from rl3_jax.baselines.navigation import MapReader, Straight
from rl3_jax.baselines.optimism import Beb, Ucrl2
from rl3_jax.baselines.posterior_sampling import OptimisticThompson, Thompson
from rl3_jax.baselines.psrl import Opsrl, Psrl
from rl3_jax.baselines.tuned import tuned_bandit
from rl3_jax.object_rl import ModelBased
from rl3_jax.tasks import (
    Bandit,
    FourRoomsTasks,
    FrozenLakes,
    Gridworld,
    MetaMazes,
    PointRobots,
    RandomMdp,
    TaskFamily,
)

Maker = Callable[[Any, int], Baseline]
"""Makes a baseline that depends on the family's sizes or on the trial's length."""

EVERYWHERE: dict[str, Baseline | Maker] = {"random": Random()}
"""Baselines for any family."""

BASELINES: dict[str, dict[str, Baseline | Maker]] = {
    Bandit.family: {
        "certainty-equivalence": CertaintyEquivalence(epsilon=0.1),
        "greedy": EpsilonGreedy(),
        "epsilon-greedy": lambda family, horizon: EpsilonGreedy(
            epsilon=tuned_bandit(family.num_arms, horizon).epsilon
        ),
        "ucb1": lambda family, horizon: Ucb1(tuned_bandit(family.num_arms, horizon).exploration),
        "thompson": Thompson(),
        "optimistic-thompson": lambda family, horizon: OptimisticThompson(
            tuned_bandit(family.num_arms, horizon).num_samples
        ),
        "gittins": lambda _, horizon: Gittins.make(horizon),
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

LONGEST = {"gittins": 600}
"""The longest trial of those that do not serve all: the table of indices has H³/6 entries, here 145 MB."""


def baseline_names(family: str, horizon: int, prior_reward: float | None = None) -> list[str]:
    """Return the names of a family's baselines for trials of H steps, the optimum last: see `LONGEST`.

    Args:
      family: name of the family.
      horizon: H.
      prior_reward: m. If given, only of those that believe beforehand in a mean reward, e.g. `psrl (m = 0)`.
    """
    names = _entries(family, prior_reward)
    return [name for name in names if horizon <= LONGEST.get(name, horizon)]


def make_baselines(
    family: TaskFamily,
    horizon: int,
    names: Collection[str] | None = None,
    prior_reward: float | None = None,
) -> dict[str, Baseline]:
    """Return name → behaviour for a family's baselines, the optimum last.

    Args:
      family: the task family; hyperparameters tuned for its sizes are taken where there are some.
      horizon: trial length H. Gittins indices are computed for it, a matter of seconds (H=100) or half
        a minute (H=500).
      names: make these only, of `baseline_names`; all of them, if not given.
      prior_reward: as in `baseline_names`.
    """
    entries = _entries(family.family, prior_reward)
    wanted = baseline_names(family.family, horizon, prior_reward)
    return {name: _make(entries[name], family, horizon) for name in wanted if names is None or name in names}


def _entries(family: str, prior_reward: float | None) -> dict[str, Baseline | Maker]:
    """Return what the registry has for a family, with another prior if one is given."""
    entries = EVERYWHERE | BASELINES.get(family, {})
    if prior_reward is None:
        return entries
    return {
        f"{name} (m = {prior_reward:g})": dataclasses.replace(entry, prior_reward=prior_reward)
        for name, entry in entries.items()
        if isinstance(entry, EpisodePlanner)
    }


def _make(baseline: Baseline | Maker, family: TaskFamily, horizon: int) -> Baseline:
    """Return a baseline for these trials."""
    return baseline if isinstance(baseline, Baseline) else baseline(family, horizon)
