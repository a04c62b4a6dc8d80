import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.baselines import BestArm, EpsilonGreedy, Ucb1
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


NO_PRIOR = {"prior_wins": 0.0, "prior_losses": 0.0}


@pytest.mark.parametrize("history", [*HISTORIES.values(), ([], [])], ids=[*HISTORIES, "none"])
@pytest.mark.parametrize("exploration", [0.0, 0.28, 2**0.5])
@pytest.mark.parametrize("prior", [(0.0, 0.0), (1.0, 1.0), (0.5, 2.0)])
def test_the_ucb1_index_equals_its_numpy_twin(history, exploration, prior):
    behaviour = Ucb1(exploration, prior_wins=prior[0], prior_losses=prior[1])
    memory = remember(behaviour, *history)
    found = ucb1_index(*behaviour.posterior(memory), memory.counts.sum(), exploration)
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
