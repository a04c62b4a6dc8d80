import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rl3_jax.baselines import OptimisticThompson, Thompson
from rl3_jax.baselines.beta_draws import log_gamma_draws, log_odds_draws
from rl3_jax.baselines.posterior_sampling import log_density
from tests.baselines.test_bandits import ENV, HISTORIES, remember, start
from tests.marks import slow
from tests.reference import bandits as exact
from tests.reference import baselines as reference

NUM_DRAWS = 200_000
PARAMETERS = [(1.0, 1.0), (1.0, 2.0), (3.0, 7.0), (1.0, 501.0), (480.0, 22.0), (0.5, 0.5), (0.2, 3.0)]


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_the_draws_follow_the_beta_distribution(parameters):
    a, b = (jnp.full(NUM_DRAWS, value) for value in parameters)
    log_odds = np.asarray(log_odds_draws(jax.random.key(0), a, b), float)
    # In log-odds, in which both ends of the interval are resolved.
    found = stats.kstest(log_odds, lambda x: stats.beta(*parameters).cdf(1.0 / (1.0 + np.exp(-x))))
    assert found.pvalue > 1e-3


@pytest.mark.parametrize("shape", [0.2, 1.0, 1.5, 30.0])
def test_the_draws_follow_the_gamma_distribution(shape):
    log_g = np.asarray(log_gamma_draws(jax.random.key(1), jnp.full(NUM_DRAWS, shape)), float)
    assert stats.kstest(log_g, lambda x: stats.gamma(shape).cdf(np.exp(x))).pvalue > 1e-3


def test_draws_are_independent_and_each_of_its_own_parameters():
    wins = jnp.tile(jnp.array([[2.0, 5.0, 40.0]]), (NUM_DRAWS, 1))
    p = np.asarray(jax.nn.sigmoid(log_odds_draws(jax.random.key(2), wins, wins[:, ::-1])), float)
    for column, a, b in zip(p.T, (2.0, 5.0, 40.0), (40.0, 5.0, 2.0), strict=True):
        assert stats.kstest(column, stats.beta(a, b).cdf).pvalue > 1e-3
    correlation = np.corrcoef(p.T) - np.eye(3)
    assert np.abs(correlation).max() < 4.0 / np.sqrt(NUM_DRAWS)


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
@pytest.mark.parametrize("prior", [(1.0, 1.0), (0.5, 3.0)])
def test_the_posterior_equals_its_numpy_twin(history, prior):
    behaviour = Thompson(prior_wins=prior[0], prior_losses=prior[1])
    posterior = behaviour.posterior(remember(behaviour, *history))
    expected = reference.beta_posterior(*history, ENV.num_actions, *prior)
    np.testing.assert_allclose(posterior, expected, rtol=1e-6)


def frequencies(behaviour, history, num_draws):
    """Return how often each arm is pulled next."""
    memory, (state, observation) = remember(behaviour, *history), start()
    keys = jax.random.split(jax.random.key(0), num_draws)
    arms = jax.vmap(lambda key: behaviour.act(ENV, memory, state, observation, key)[1])(keys)
    return np.bincount(arms, minlength=ENV.num_actions) / num_draws


def assert_same_frequencies(found, expected, num_draws):
    standard_error = np.sqrt(2.0 * expected * (1.0 - expected) / num_draws)
    assert (np.abs(found - expected) < 3.0 * standard_error + 1e-12).all()


def test_thompson_pulls_an_arm_as_often_as_it_is_likely_to_be_the_best():
    num_draws, history = 20_000, HISTORIES["one arm never pulled"]
    alpha, beta = reference.beta_posterior(*history, ENV.num_actions)
    draws = np.random.default_rng(0).beta(alpha, beta, (num_draws, ENV.num_actions))
    expected = np.bincount(draws.argmax(axis=1), minlength=ENV.num_actions) / num_draws
    assert_same_frequencies(frequencies(Thompson(), history, num_draws), expected, num_draws)


@pytest.mark.parametrize("num_samples", slow([1, 7]))
def test_optimistic_thompson_acts_on_the_likeliest_of_its_draws(num_samples):
    num_draws, history = 10_000, HISTORIES["one arm never pulled"]
    alpha, beta = reference.beta_posterior(*history, ENV.num_actions)
    generator, expected = np.random.default_rng(0), np.zeros(ENV.num_actions)
    for _ in range(num_draws):
        draws = generator.beta(alpha, beta, (num_samples, ENV.num_actions))
        densities = [exact.beta_log_density(draw, alpha, beta) for draw in draws]
        expected[draws[np.argmax(densities)].argmax()] += 1.0 / num_draws
    found = frequencies(OptimisticThompson(num_samples=num_samples), history, num_draws)
    assert_same_frequencies(found, expected, num_draws)


def test_the_density_equals_its_numpy_twin_up_to_a_constant():
    wins, losses = np.array([1.0, 4.0, 30.0]), np.array([1.0, 2.0, 300.0])
    draws = np.random.default_rng(0).beta(wins, losses, (50, 3))
    expected = np.array([exact.beta_log_density(draw, wins, losses) for draw in draws])
    found = np.asarray(log_density(*(jnp.float32(x) for x in (np.log(draws / (1.0 - draws)), wins, losses))))
    np.testing.assert_allclose(found - found[0], expected - expected[0], rtol=1e-4, atol=1e-3)
