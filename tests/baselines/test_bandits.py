import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.baselines import BestArm, Thompson, Ucb1
from rl3_jax.baselines.bandits import ucb1_index
from rl3_jax.object_rl import Transition
from rl3_jax.tasks import Bandit
from rl3_jax.trial import TrialEnv, method_features
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


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
@pytest.mark.parametrize("exploration", [0.0, 0.28, 2**0.5])
def test_the_ucb1_index_equals_its_numpy_twin(history, exploration):
    memory = remember(Ucb1(), *history)
    expected = reference.ucb1_index(*history, ENV.num_actions, exploration)
    np.testing.assert_allclose(ucb1_index(memory, exploration), expected, rtol=1e-6)


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
@pytest.mark.parametrize("exploration", [0.0, 2**0.5])
def test_ucb1_pulls_the_arm_of_the_largest_index(history, exploration):
    behaviour = Ucb1(exploration)
    _, arm = behaviour.act(ENV, remember(behaviour, *history), *start(), jax.random.key(0))
    assert arm == reference.ucb1_index(*history, ENV.num_actions, exploration).argmax()


def test_ucb1_pulls_each_arm_once_first():
    behaviour, (state, observation) = Ucb1(), start()
    arms, rewards = [], []
    for reward in (1.0, 0.0, 1.0, 1.0):
        memory = remember(behaviour, arms, rewards)
        _, arm = behaviour.act(ENV, memory, state, observation, jax.random.key(0))
        arms.append(int(arm))
        rewards.append(reward)
    assert sorted(arms) == [0, 1, 2, 3]


@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
@pytest.mark.parametrize("prior", [(1.0, 1.0), (0.5, 3.0)])
def test_the_thompson_posterior_equals_its_numpy_twin(history, prior):
    behaviour = Thompson(*prior)
    posterior = behaviour.posterior(remember(behaviour, *history))
    expected = reference.beta_posterior(*history, ENV.num_actions, *prior)
    np.testing.assert_allclose(posterior, expected, rtol=1e-6)


def test_thompson_pulls_an_arm_as_often_as_it_is_likely_to_be_the_best():
    num_draws, history = 20_000, HISTORIES["one arm never pulled"]
    behaviour, (state, observation) = Thompson(), start()
    memory = remember(behaviour, *history)
    keys = jax.random.split(jax.random.key(0), num_draws)
    arms = jax.vmap(lambda key: behaviour.act(ENV, memory, state, observation, key)[1])(keys)
    found = np.bincount(arms, minlength=ENV.num_actions) / num_draws

    alpha, beta = reference.beta_posterior(*history, ENV.num_actions)
    draws = np.random.default_rng(0).beta(alpha, beta, (num_draws, ENV.num_actions))
    expected = np.bincount(draws.argmax(axis=1), minlength=ENV.num_actions) / num_draws
    standard_error = np.sqrt(2.0 * expected * (1.0 - expected) / num_draws)
    assert (np.abs(found - expected) < 3.0 * standard_error).all()


def test_the_clairvoyant_pulls_the_best_arm():
    behaviour, (state, observation) = BestArm(), start()
    for seed in range(10):
        task = ENV.family.sample_task(jax.random.key(seed))
        _, arm = behaviour.act(ENV, behaviour.init(ENV, task), state, observation, jax.random.key(0))
        assert task.success_probability[arm] == task.success_probability.max()
