"""Statistics with known answers."""

import numpy as np
import pytest
import scipy.stats

from rl3_jax.report import statistics

RNG = np.random.default_rng(1)


def test_the_mean_of_one_seed_is_that_of_a_t_test():
    returns = RNG.normal(3.0, 2.0, (1, 40))
    found, expected = statistics.mean(returns), scipy.stats.ttest_1samp(returns[0], 0.0)
    assert found.value == pytest.approx(returns.mean())
    assert found.standard_error == pytest.approx(scipy.stats.sem(returns[0]))
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_tasks_that_are_all_alike_leave_a_t_test_over_seeds():
    seeds = RNG.normal(3.0, 2.0, 5)
    found = statistics.mean(np.repeat(seeds[:, None], 30, axis=1))
    assert found.standard_error == pytest.approx(scipy.stats.sem(seeds))
    interval = scipy.stats.ttest_1samp(seeds, 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(interval))


def test_seeds_that_are_all_alike_add_no_error():
    returns = np.repeat(RNG.normal(3.0, 2.0, (1, 40)), 3, axis=0)
    assert statistics.mean(returns).standard_error == pytest.approx(scipy.stats.sem(returns[0]))


def test_the_error_of_a_mean_is_not_biased():
    rng = np.random.default_rng(0)
    drawn = [statistics.mean(seeded(rng, 4, 30)) for _ in range(3000)]
    # The variance of the mean of 4 seeds and 30 tasks of `seeded`.
    truth = 1.0 / 4 + 9.0 / 30 + 1.0 / 120
    np.testing.assert_allclose(np.var([one.value for one in drawn]), truth, rtol=0.1)
    np.testing.assert_allclose(np.mean([one.standard_error**2 for one in drawn]), truth, rtol=0.03)


@pytest.mark.parametrize("shape", [(1, 7), (1, 40), (3, 50)])
def test_the_trimmed_mean_is_scipys(shape):
    returns = RNG.standard_cauchy(shape)
    expected = scipy.stats.trim_mean(returns.ravel(), 0.25)
    assert statistics.trimmed_mean(returns).value == pytest.approx(expected)


def test_a_paired_difference_is_that_of_a_paired_test():
    tasks = RNG.normal(0.0, 10.0, 300)
    a, b = tasks + RNG.normal(0.3, 1.0, 300), tasks + RNG.normal(0.0, 1.0, 300)
    found, expected = statistics.difference(a[None], b[None]), scipy.stats.ttest_rel(a, b)
    assert found.value == pytest.approx((a - b).mean())
    assert found.value / found.standard_error == pytest.approx(expected.statistic)
    interval = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(interval))
    # Unpaired, a spread of 10 between tasks would hide it.
    assert found.standard_error < 0.2 * scipy.stats.sem(a)


def test_a_difference_is_what_the_first_has_more():
    best, agent = np.array([[2.0, 2.0, 5.0]]), np.array([[1.0, 2.0, 3.0]])
    assert statistics.difference(best, agent).value == pytest.approx(1.0)


def test_equal_agents_differ_by_nothing():
    returns = RNG.integers(0, 9, (1, 30)).astype(float)
    same = statistics.difference(returns, returns)
    assert (same.value, same.low, same.high, same.standard_error) == (0.0, 0.0, 0.0, 0.0)
    shifted = statistics.difference(returns + 1.0, returns)
    assert (shifted.value, shifted.standard_error) == (1.0, 0.0)


def test_other_tasks_cannot_be_paired():
    with pytest.raises(ValueError, match="same tasks, not 3 and 4"):
        statistics.difference(np.zeros((1, 3)), np.zeros((1, 4)))


def coverage(draw, estimate, truth, simulations=400):
    """How often the interval of simulated returns holds the truth."""
    rng = np.random.default_rng(2)
    found = [estimate(draw(rng)) for _ in range(simulations)]
    return np.mean([one.low <= truth <= one.high for one in found])


MARGIN = 3 * np.sqrt(0.95 * 0.05 / 400)
"""Three standard errors of a proportion of 0.95 among 400 simulations."""


def test_the_interval_of_a_mean_holds_the_truth_as_often_as_it_says():
    skewed = coverage(lambda rng: rng.exponential(1.0, (1, 200)), statistics.mean, 1.0)
    assert abs(skewed - 0.95) < MARGIN


@pytest.mark.parametrize("draw", [np.random.Generator.standard_normal, np.random.Generator.standard_cauchy])
def test_the_interval_of_a_trimmed_mean_does_so_too(draw):
    """Outliers do not widen it, either."""
    found = coverage(lambda rng: draw(rng, (1, 200)), statistics.trimmed_mean, 0.0)
    assert abs(found - 0.95) < MARGIN


def seeded(rng, num_seeds=10, num_tasks=100):
    """Returns with an effect of the seed, of the task, and of both."""
    seeds, tasks = rng.normal(0.0, 1.0, (num_seeds, 1)), rng.normal(0.0, 3.0, (1, num_tasks))
    return 5.0 + seeds + tasks + rng.normal(0.0, 1.0, (num_seeds, num_tasks))


@pytest.mark.parametrize("num_seeds", [3, 10])
def test_with_several_seeds_the_interval_holds_what_other_seeds_would_give(num_seeds):
    """With three seeds Satterthwaite's degrees of freedom are rough: 93 % are held, not 95."""
    found = coverage(lambda rng: seeded(rng, num_seeds), statistics.mean, 5.0)
    assert 0.88 < found < 0.95 + MARGIN
    pooled = coverage(lambda rng: seeded(rng, num_seeds).mean(axis=0, keepdims=True), statistics.mean, 5.0)
    assert pooled < 0.85  # tasks alone do not tell how much seeds differ


def test_the_interval_of_a_trimmed_mean_with_several_seeds():
    assert abs(coverage(seeded, statistics.trimmed_mean, 5.0) - 0.95) < MARGIN


def test_a_trimmed_mean_is_as_sure_as_a_bootstrap_says():
    returns = np.random.default_rng(3).exponential(1.0, (1, 2000))
    drawn = scipy.stats.bootstrap(
        (returns[0],), lambda x, axis: scipy.stats.trim_mean(x, 0.25, axis=axis), n_resamples=2000, rng=4
    )
    assert statistics.trimmed_mean(returns).standard_error == pytest.approx(drawn.standard_error, rel=0.06)


@pytest.mark.parametrize("num_seeds", [3, 8])
def test_the_interval_of_a_difference_holds_what_other_seeds_would_give(num_seeds):
    def two(rng):
        tasks = rng.normal(0.0, 30.0, (1, 100))
        return tasks + seeded(rng), tasks + seeded(rng, num_seeds) - 2.0

    found = coverage(two, lambda pair: statistics.difference(*pair), 2.0)
    assert abs(found - 0.95) < MARGIN
