import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.baselines.gittins import (
    DiscountedGittins,
    Gittins,
    discounted_gittins,
    discounted_indices,
    gittins_indices,
    position,
)
from rl3_jax.errors import ConfigError
from rl3_jax.object_rl.tabular_model import Experience
from rl3_jax.tasks import Bandit
from rl3_jax.trial import TrialEnv, method_features
from tests.reference import bandits as reference

LONG = 60


@pytest.fixture(scope="module")
def table():
    return np.asarray(gittins_indices(LONG))


@pytest.fixture(scope="module")
def places():
    """The places [w, n, m] in the table, −1 for what is no state of a trial of `LONG` steps."""
    wins, pulls, left = np.indices((LONG, LONG, LONG + 1), np.int32)
    found = position(jnp.asarray(wins), jnp.asarray(pulls), jnp.asarray(left))
    return np.where((wins <= pulls) & (left >= 1) & (pulls + left <= LONG), found, -1)


@pytest.fixture(scope="module")
def index(table, places):
    """The indices [w, n, m]."""
    return np.where(places >= 0, table[places], np.nan)


def trial(num_arms, horizon):
    family = Bandit(num_arms=num_arms)
    return TrialEnv(family, horizon=horizon, features=method_features("rl2", family))


def test_each_state_has_its_own_place_and_they_fill_the_table(table, places):
    np.testing.assert_array_equal(np.sort(places[places >= 0]), np.arange(len(table)))


def test_the_place_does_not_depend_on_the_horizon(table):
    short = gittins_indices(12)
    np.testing.assert_allclose(short, table[: len(short)], atol=1e-5)


def test_the_indices_equal_their_numpy_twin_in_each_state_of_short_trials(index):
    for pulls in range(12):
        for left in range(1, 13 - pulls):
            for wins in range(pulls + 1):
                assert abs(index[wins, pulls, left] - reference.gittins_index(wins, pulls, left)) < 1e-4


def test_the_indices_equal_their_numpy_twin_in_states_of_long_trials(index):
    last, half = LONG - 1, LONG // 2
    states = [(0, 0, LONG), (last, last, 1), (0, last, 1), (half, half, half), (0, half, half)]
    generator = np.random.default_rng(0)
    for _ in range(150):
        pulls = generator.integers(LONG)
        states.append((generator.integers(pulls + 1), pulls, generator.integers(1, LONG - pulls + 1)))
    for state in states:
        assert abs(index[state] - reference.gittins_index(*state)) < 1e-4


def test_the_last_pulls_have_the_index_that_one_finds_by_hand(index):
    assert index[3, 7, 1] == pytest.approx(4 / 9, abs=1e-6)
    # The second of two pulls is made only after a win: λ(1 + 1/2) = 1/2 + 1/2 · 2/3.
    assert index[0, 0, 2] == pytest.approx(5 / 9, abs=1e-4)


@pytest.mark.parametrize(("num_arms", "optimum", "of_the_policy"), [(2, 6.0218, 6.0215), (5, 6.6600, 6.6600)])
def test_the_policy_is_nearly_bayes_optimal(index, num_arms, optimum, of_the_policy):
    def choose(arms, left):
        wins, losses = np.array(arms).T
        return index[wins, wins + losses, left].argmax()

    assert reference.bayes_optimal_value(num_arms, 10) == pytest.approx(optimum, abs=5e-5)
    assert reference.policy_value(num_arms, 10, choose) == pytest.approx(of_the_policy, abs=5e-5)


def test_the_arm_of_the_largest_index_for_the_steps_left_is_pulled():
    env, behaviour = trial(3, 30), Gittins(gittins_indices(30))
    observation, state = env.start(jax.random.key(0), env.family.default_params)
    wins, pulls = np.array([5, 0, 6]), np.array([8, 0, 11])
    memory = Experience(jnp.float32([pulls, wins]))
    chosen = []
    for time in range(17, 30):
        now = state.replace(time=jnp.int32(time))
        _, arm = behaviour.act(env, memory, now, observation, jax.random.key(0))
        indices = [reference.gittins_index(w, n, 30 - time) for w, n in zip(wins, pulls, strict=True)]
        assert arm == np.argmax(indices)
        chosen.append(int(arm))
    assert len(set(chosen)) > 1, "the case must tell apart what depends on the steps left"


def test_a_table_for_shorter_trials_is_refused():
    env = trial(2, 11)
    with pytest.raises(ConfigError, match="horizon is 11"):
        Gittins(gittins_indices(10)).init(env, env.family.default_params)


@pytest.mark.parametrize("discount", [0.9, 0.99, 0.9999])
def test_the_discounted_indices_equal_their_numpy_twin(discount):
    found = np.asarray(discounted_indices(discount, LONG))
    assert found.shape == (LONG, LONG)
    for pulls in (0, 1, 2, 5, 12, 30, LONG - 2, LONG - 1):
        for wins in {0, 1, pulls // 3, pulls // 2, pulls - 1, pulls} & set(range(pulls + 1)):
            expected = reference.discounted_index(wins, pulls, discount, LONG)
            # In the last rows f has kinks as far apart as the costs of the grid, by which roots are then off.
            assert abs(found[pulls, wins] - expected) < (1e-4 if pulls <= 12 else 5e-4)


def test_the_discounted_indices_are_those_of_the_literature():
    # Gittins, Glazebrook and Weber 2011, table 8.1: γ = 0.9, for Beta(1, 1), Beta(2, 1) and Beta(1, 3).
    found = discounted_gittins(0.9).indices
    np.testing.assert_allclose([found[0, 0], found[1, 1], found[2, 0]], [0.7029, 0.8001, 0.3796], atol=2e-4)


def test_a_table_of_discounted_indices_for_shorter_trials_is_refused():
    env = trial(2, 13)
    behaviour = DiscountedGittins(discount=0.9, indices=discounted_indices(0.9, 12))
    with pytest.raises(ConfigError, match="horizon is 13"):
        behaviour.init(env, env.family.default_params)


def test_the_arm_of_the_largest_discounted_index_is_pulled():
    env = trial(3, 30)
    observation, state = env.start(jax.random.key(0), env.family.default_params)
    wins, pulls = np.array([13, 0, 6]), np.array([17, 0, 8])
    memory, chosen = Experience(jnp.float32([pulls, wins])), []
    for discount in (0.9, 0.999):
        _, arm = discounted_gittins(discount).act(env, memory, state, observation, jax.random.key(0))
        indices = [reference.discounted_index(w, n, discount, 1000) for w, n in zip(wins, pulls, strict=True)]
        assert arm == np.argmax(indices)
        chosen.append(int(arm))
    assert len(set(chosen)) > 1, "the case must tell discounts apart"
