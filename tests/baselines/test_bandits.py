import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rl3_jax.baselines.bandits import (
    BestArm,
    EpsilonGreedy,
    OptimisticThompson,
    Thompson,
    Ucb1,
    log_density,
    log_gamma_draws,
    log_odds_draws,
)
from rl3_jax.object_rl import Transition
from rl3_jax.tasks import Bandit
from rl3_jax.trial import TrialEnv, method_features
from tests.marks import slow
from tests.reference import bandits as exact
from tests.reference import baselines as reference

ENV = TrialEnv(Bandit(num_arms=4), horizon=100, features=method_features("rl2", Bandit()))
HISTORIES = {
    "one arm never pulled": ([0, 1, 1, 2, 0, 1], [1.0, 0.0, 1.0, 0.0, 1.0, 1.0]),
    "each arm once": ([3, 1, 0, 2], [0.0, 1.0, 1.0, 0.0]),
    "long": (
        np.random.default_rng(0).integers(0, 4, 97).tolist(),
        np.random.default_rng(1).integers(0, 2, 97).astype(float).tolist(),
    ),
}


def start():
    """Return a trial's first state and the observation there."""
    observation, state = ENV.start(jax.random.key(0), ENV.family.default_params)
    return state, observation


def remember(behaviour, arms, rewards):
    """Return the memory after a history of pulls."""
    memory = behaviour.init(ENV, ENV.family.default_params)
    for arm, reward in zip(arms, rewards, strict=True):
        pull = Transition(
            s=jnp.int32(0),
            a=jnp.int32(arm),
            r=jnp.float32(reward),
            next_s=jnp.int32(1),
            terminated=jnp.bool_(True),
            truncated=jnp.bool_(False),
        )
        memory = behaviour.learn(ENV, memory, pull)
    return memory


NO_PRIOR = {"prior_wins": 0.0, "prior_losses": 0.0}


@pytest.mark.parametrize("history", [*HISTORIES.values(), ([], [])], ids=[*HISTORIES, "none"])
@pytest.mark.parametrize("exploration", [0.0, 0.28, 2**0.5])
@pytest.mark.parametrize("prior", [(0.0, 0.0), (1.0, 1.0), (0.5, 2.0)])
def test_the_ucb1_index_equals_its_numpy_twin(history, exploration, prior):
    behaviour = Ucb1(exploration, prior_wins=prior[0], prior_losses=prior[1])
    found = behaviour.index(remember(behaviour, *history))
    expected = reference.ucb1_index(*history, ENV.num_actions, exploration, *prior)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
@pytest.mark.parametrize("exploration", [0.0, 2**0.5])
def test_ucb1_pulls_the_arm_of_the_largest_index(history, exploration):
    behaviour = Ucb1(exploration)
    _, arm = behaviour.act(ENV, remember(behaviour, *history), *start(), jax.random.key(0))
    assert arm == reference.ucb1_index(*history, ENV.num_actions, exploration, 1.0, 1.0).argmax()


def test_ucb1_without_a_prior_pulls_each_arm_once_first():
    behaviour, (state, observation) = Ucb1(**NO_PRIOR), start()
    arms, rewards = [], []
    for reward in (1.0, 0.0, 1.0, 1.0):
        memory = remember(behaviour, arms, rewards)
        _, arm = behaviour.act(ENV, memory, state, observation, jax.random.key(0))
        arms.append(int(arm))
        rewards.append(reward)
    assert arms == [0, 1, 2, 3]


@pytest.mark.parametrize("behaviour", [EpsilonGreedy(), Ucb1(0.0)], ids=["greedy", "ucb1"])
@pytest.mark.parametrize(
    ("arms", "rewards", "expected"),
    [
        pytest.param([], [], 0, id="all equal"),
        pytest.param([0], [0.0], 1, id="a loss: the next"),
        pytest.param([0], [1.0], 0, id="a win: stay"),
        pytest.param([0, 0, 0], [1.0, 0.0, 0.0], 1, id="below the prior's mean"),
        pytest.param([0, 0, 1, 1, 1], [1.0, 1.0, 1.0, 1.0, 1.0], 1, id="more wins"),
        pytest.param([2, 2, 1, 1], [1.0, 0.0, 1.0, 0.0], 0, id="an even record equals none"),
    ],
)
def test_greed_takes_the_first_arm_of_the_largest_posterior_mean(behaviour, arms, rewards, expected):
    _, arm = behaviour.act(ENV, remember(behaviour, arms, rewards), *start(), jax.random.key(0))
    assert arm == expected


def test_epsilon_is_how_often_an_arm_is_drawn_uniformly():
    num_draws, epsilon = 20_000, 0.4
    behaviour, (state, observation) = EpsilonGreedy(epsilon=epsilon), start()
    memory = remember(behaviour, [2], [1.0])
    keys = jax.random.split(jax.random.key(0), num_draws)
    arms = jax.vmap(lambda key: behaviour.act(ENV, memory, state, observation, key)[1])(keys)
    expected = np.array([0.1, 0.1, 0.7, 0.1])
    error = np.sqrt(expected * (1.0 - expected) / num_draws)
    assert (np.abs(np.bincount(arms, minlength=4) / num_draws - expected) < 4.0 * error).all()


def test_the_clairvoyant_pulls_the_best_arm():
    behaviour, (state, observation) = BestArm(), start()
    for seed in range(10):
        task = ENV.family.sample_task(jax.random.key(seed))
        _, arm = behaviour.act(ENV, behaviour.init(ENV, task), state, observation, jax.random.key(0))
        assert task.success_probability[arm] == task.success_probability.max()


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
