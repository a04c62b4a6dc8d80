"""Mean returns on held-out tasks against known values (k=5 or S=10, A=5; H=100)."""

import numpy as np
import pytest

from rl3_jax.baselines import make_baselines
from rl3_jax.baselines.bandits import Ucb1
from rl3_jax.baselines.mdps import Beb, ModelGreedy, Psrl, Ucrl2
from rl3_jax.baselines.registry import BaselineSetting
from rl3_jax.report import literature
from rl3_jax.tasks import make_family
from rl3_jax.training.evaluation import evaluate, held_out_tasks
from rl3_jax.trial import TrialEnv, method_features
from tests.marks import slow

HORIZON = 100


def trial(family):
    task_family = make_family(family)
    return TrialEnv(task_family, horizon=HORIZON, features=method_features("rl2", task_family))


def returns(family, behaviour, num_tasks):
    """Return the return of one trial on each held-out task."""
    return evaluate(trial(family), behaviour, num_tasks=num_tasks).sum(axis=1, dtype=np.float64)


def bandit_optimum(num_tasks):
    """Return the expected return of the best arm of each held-out bandit."""
    tasks = held_out_tasks(trial("bandit"), 0, 0, num_tasks)
    return HORIZON * np.asarray(tasks.success_probability.max(axis=1), float)


def mean_and_error(values):
    return values.mean(), values.std(ddof=1) / np.sqrt(len(values))


KNOWN = [
    ("bandit", "clairvoyant", 100.0 * 5 / 6, 20_000),
    ("bandit", "random", 50.0, 20_000),
    ("bandit", "thompson", 74.9, 10_000),
    ("mdp", "random", 100.0, 20_000),
    ("mdp", "clairvoyant", 218.3, 20_000),
]


@pytest.mark.parametrize(("family", "name", "known", "num_tasks"), slow(KNOWN))
def test_the_mean_return_is_the_known_one(family, name, known, num_tasks):
    behaviour = make_baselines(make_family(family), HORIZON, [name])[name]
    mean, error = mean_and_error(returns(family, behaviour, num_tasks))
    assert error < 0.2
    assert abs(mean - known) < 3.0 * error


PUBLISHED = dict(literature.PUBLISHED["mdp"][f"states = 10, actions = 5, steps = 10, H = {HORIZON}"])
del PUBLISHED["rl2"]
PUBLISHED |= {
    variant: PUBLISHED[name] for name, variant in literature.SOURCE_VARIANTS.items() if name in PUBLISHED
}


@pytest.mark.parametrize("name", slow(PUBLISHED))
def test_with_a_prior_of_mean_zero_the_mean_return_is_the_published_one(name):
    prior = {"prior_reward": 0.0} if name.endswith(" (m = 0)") else {}
    (behaviour,) = (
        made
        for label, made in make_baselines(make_family("mdp"), HORIZON, **prior).items()
        if label.partition(" ")[0] == name.partition(" ")[0]
    )
    values = returns("mdp", behaviour, 4000)
    mean, error = mean_and_error(values)
    published_error = values.std() / np.sqrt(literature.TASKS)
    assert abs(mean - PUBLISHED[name]) < 3.0 * np.hypot(error, published_error)


@pytest.mark.slow
def test_optimism_about_rewards_pays_where_the_prior_is_too_low():
    plain, ucrl2, beb = (
        returns("mdp", behaviour, 2000) for behaviour in (ModelGreedy(0.0, 0.0), Ucrl2(0.0), Beb(0.0))
    )
    for optimistic in (ucrl2, beb):
        gain, error = mean_and_error(optimistic - plain)
        assert gain > 5.0
        assert gain > 3.0 * error


@pytest.mark.slow
def test_ucb1_is_tuned():
    # The return is lowered by the optimum of its task, whose mean over tasks is known to be H·k/(k + 1):
    # the same expectation, with less than half the standard error.
    num_tasks = 200_000
    optimum = bandit_optimum(num_tasks)
    textbook = {"prior_wins": 0.0, "prior_losses": 0.0}
    tuned, low, high, without_prior, theory = (
        returns("bandit", ucb1, num_tasks) - optimum + HORIZON * 5 / 6
        for ucb1 in (
            Ucb1(BaselineSetting(make_family("bandit"), HORIZON).bandit.exploration),
            Ucb1(0.2),
            Ucb1(0.4),
            Ucb1(0.28, **textbook),
            Ucb1(2**0.5, **textbook),
        )
    )
    mean, error = mean_and_error(tuned)
    assert error < 0.02
    assert mean > 78.35 - 3.0 * error
    mean, error = mean_and_error(without_prior)
    assert abs(mean - 77.5) < 3.0 * error
    for other in (low, high):
        gain, error = mean_and_error(tuned - other)
        assert gain > 3.0 * error
    mean, error = mean_and_error(theory)
    assert abs(mean - 66.0) < 0.1


@pytest.mark.slow
def test_psrl_lies_between_chance_and_the_clairvoyant():
    num_tasks = 2000
    mdp = make_baselines(make_family("mdp"), HORIZON)
    chance, psrl, clairvoyant = (
        returns("mdp", mdp[name], num_tasks) for name in ("random", "psrl", "clairvoyant")
    )
    assert (psrl - chance).mean() > 30.0
    assert (clairvoyant - psrl).mean() > 30.0


@pytest.mark.slow
def test_psrl_learns_within_the_trial():
    rewards = evaluate(trial("mdp"), Psrl(), num_tasks=2000)
    first, last = rewards[:, :10].sum(axis=1), rewards[:, -10:].sum(axis=1)
    gain, error = mean_and_error(np.asarray(last - first, float))
    assert gain > 3.0 * error
    assert gain > 3.0


@pytest.mark.slow
def test_no_baseline_beats_the_clairvoyant():
    num_tasks = 2000
    for family in ("bandit", "mdp"):
        baselines = make_baselines(make_family(family), HORIZON)
        best = returns(family, baselines.pop("clairvoyant"), num_tasks)
        for behaviour in baselines.values():
            gap, error = mean_and_error(best - returns(family, behaviour, num_tasks))
            assert gap > 3.0 * error
