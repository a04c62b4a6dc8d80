import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.errors import ConfigError
from rl3_jax.object_rl import ModelBased, QLearning
from rl3_jax.tasks import FAMILIES, Bandit, Gridworld, RandomMdp, make_family
from rl3_jax.testing.trees import at, differs, signature
from rl3_jax.trial import METHODS, TrialEnv, family_learner, make, method_abstraction, method_features
from tests.marks import where_installed
from tests.trial.walk import transitions, walk

MDP = RandomMdp(states=6, actions=3, steps=5)


def make_env(family, horizon, method="rl2"):
    return TrialEnv(family, horizon=horizon, features=method_features(method, family))


@pytest.fixture(scope="module")
def long_trial():
    return walk(make_env(RandomMdp(), 512), jax.random.key(0))


def test_a_trial_of_512_steps_ends_with_an_episode_of_2(long_trial):
    _, _, (_, states, _, _, _, info) = long_trial
    truncated = np.flatnonzero(info["transition"].truncated)
    np.testing.assert_array_equal(truncated, np.arange(9, 510, 10))
    assert states.inner.time[-1] == 2


def test_a_trial_is_terminal_after_exactly_its_steps(long_trial):
    _, _, (_, states, _, _, terminated, info) = long_trial
    np.testing.assert_array_equal(np.flatnonzero(terminated), [511])
    np.testing.assert_array_equal(states.time, np.arange(1, 513))
    np.testing.assert_array_equal(info["discount"], 1.0 - terminated)


def test_the_task_stays_the_same(long_trial):
    _, first, (_, states, _, _, _, _) = long_trial
    for time in (0, 10, 511):
        assert not differs(at(states.task, time), first.task)


@pytest.mark.parametrize("family", [MDP, Bandit(num_arms=3)], ids=lambda family: family.family)
def test_object_rl_sees_where_an_episode_ended(family):
    """The transition names the final state; the next one starts from the start state."""
    recorded = walk(make_env(family, 23), jax.random.key(1))
    seen = transitions(recorded)
    _, first, (_, states, actions, rewards, _, _) = recorded
    s = int(first.inner.s)
    for time, (old_s, action, reward, next_s, terminated, truncated) in enumerate(seen):
        assert (old_s, action) == (s, int(actions[time]))
        assert reward == float(rewards[time])
        ended = terminated or truncated
        s = family.start_state if ended else next_s
        assert states.inner.s[time] == s
        assert not (terminated and truncated)
        assert (states.inner.time[time] == 0) == ended
    ends = [transition for transition in seen if transition[4] or transition[5]]
    if family.family == "bandit":
        assert [end[3:] for end in ends] == [(1, True, False)] * 23
    else:
        assert len(ends) == 4
        assert all(end[5] for end in ends)
        assert {end[3] for end in ends} != {family.start_state}


def test_each_trial_draws_its_own_task_and_forgets_the_last():
    env = make_env(MDP, 5, "rl3")
    trials = [walk(env, jax.random.key(seed)) for seed in (0, 1)]
    assert differs(trials[0][1].task, trials[1][1].task)
    assert differs(at(trials[0][2][1].object_rl, -1), trials[0][1].object_rl)
    assert not differs(trials[0][1].object_rl, trials[1][1].object_rl)


@pytest.mark.parametrize("pooled", [True, False], ids=["pool", "fresh tasks"])
@pytest.mark.parametrize("family", [MDP, Bandit(num_arms=3)], ids=lambda family: family.family)
def test_gymnax_step_starts_a_new_trial_by_itself(family, pooled):
    horizon = 7
    env = make_env(family, horizon, "rl3")
    params = env.pool(jax.random.key(0), 50) if pooled else env.default_params
    observation, state = env.reset(jax.random.key(1), params)

    @jax.jit
    def run(state, keys):
        def step(state, key):
            action = env.action_space(params).sample(key)
            observation, state, _, terminated, truncated, info = env.step(key, state, action, params)
            return state, (observation, state, terminated, truncated, info["final_observation"])

        return jax.lax.scan(step, state, keys)

    final, (observations, states, terminated, truncated, last_seen) = run(
        state, jax.random.split(jax.random.key(2), 2 * horizon + 1)
    )
    assert signature(final) == signature(state)
    np.testing.assert_array_equal(np.flatnonzero(terminated), [horizon - 1, 2 * horizon - 1])
    assert not truncated.any()
    np.testing.assert_array_equal(states.time, [*range(1, 7), 0, *range(1, 7), 0, 1])
    # The step that ends a trial shows the next one's first observation, and the old one's last apart.
    np.testing.assert_array_equal(observations[horizon - 1], observation)
    start, clock = env.layout["trial_start"], env.layout["trial_time"]
    assert observations[horizon - 1, start] == 1.0
    assert last_seen[horizon - 1, clock] == 1.0
    tasks = [at(states.task, time) for time in (0, horizon, 2 * horizon)]
    assert differs(tasks[0], tasks[1])
    assert differs(tasks[1], tasks[2])
    assert not differs(at(states.object_rl, horizon - 1), state.object_rl)
    space = env.observation_space(params)
    assert observations.shape[1:] == space.shape
    assert jax.vmap(space.contains)(observations).all()
    assert jax.vmap(env.action_space(params).contains)(states.previous_action).all()
    assert ((states.time >= 0) & (states.time < env.horizon)).all()
    assert ((states.inner.time >= 0) & (states.inner.time < env.episode_length)).all()


def test_a_pool_is_drawn_on_uniformly():
    env = make_env(MDP, 5)
    params = env.pool(jax.random.key(0), 4)
    reset = jax.jit(jax.vmap(env.reset_env, (0, None)))
    tasks = reset(jax.random.split(jax.random.key(1), 400), params)[1].task.mean_reward[:, 0, 0]
    counts = [(tasks == pooled).sum() for pooled in params.tasks.mean_reward[:, 0, 0]]
    assert sum(counts) == 400
    assert min(counts) > 60


def test_equal_trials_share_compiled_programs():
    assert make_env(MDP, 5) == make_env(RandomMdp(states=6, actions=3, steps=5), 5)
    assert hash(make_env(MDP, 5)) == hash(make_env(RandomMdp(states=6, actions=3, steps=5), 5))
    assert make_env(MDP, 5) != make_env(MDP, 6)


def test_make():
    env, params = make("bandit", method="rl2", horizon=20, num_arms=3, variation="ood")
    assert (env.horizon, env.num_actions, env.name) == (20, 3, "bandit-ood-h20")
    assert env.features == METHODS["rl2"].__class__(
        advantages=False, value=False, counts=False, value_scale=1.0
    )
    assert params.tasks.success_probability.shape[1:] == (3,)
    assert len(params.tasks.success_probability) > 100
    assert jnp.isfinite(env.reset(jax.random.key(0), params)[0]).all()


def test_a_step_of_five_values_is_that_of_six():
    """Trainers that know no truncation get `done` in its place, and may copy the trial."""
    (six, params), (five, _) = (
        make("bandit", horizon=2, pool_size=7, step_api=api) for api in ("six", "five")
    )
    assert len(params.tasks.success_probability) == 7
    assert isinstance(five, TrialEnv)
    assert copy.deepcopy(five) == five != six
    key = jax.random.key(0)
    (_, state), (_, same) = six.reset(key, params), five.reset(key, params)
    for ended in (False, True, False):
        *seen, terminated, truncated, info = six.step(key, state, 1, params)
        *found, done, told = jax.vmap(five.step, (None, None, 0, None))(key, same, jnp.array([1, 0]), params)
        assert not differs((seen, info), at((found, told), 0))
        assert done.tolist() == [ended, ended] == [bool(terminated | truncated)] * 2
        state, same = seen[1], at(found[1], 0)


def test_a_learner_has_the_numbers_of_its_family():
    assert family_learner("model-based", MDP) == ModelBased()
    assert family_learner("model-based", Gridworld()) == ModelBased(smoothing=0.01, tolerance=0.1)
    assert family_learner("q-learning", Gridworld()) == QLearning()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", where_installed(FAMILIES))
def test_only_states_met_count_in_gridworlds_for_vectors_and_under_clusters(name, method):
    family = make_family(name)
    abstraction = method_abstraction(method, family, ModelBased())
    table = TrialEnv(family, abstraction=abstraction).object_rl.table
    assert table.discovered == (name == "gridworld" or not family.integer_states or method == "rl3-coarse")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"family": "x"}, "unknown family 'x'"),
        ({"family": "mdp", "method": "rl4"}, "unknown method 'rl4'; choose from: rl2, rl3, rl3-coarse"),
        (
            {"family": "mdp", "learner": "x"},
            "unknown learner 'x'; choose from: deep-q, dyna-q, kernel, linear-q, lstd-q, model-based",
        ),
        ({"family": "mdp", "horizon": 0}, "horizon is 0"),
        ({"family": "mdp", "pool_size": 0}, "pool_size is 0; a pool has at least 1 task"),
        ({"family": "reacher", "method": "rl3-coarse"}, "clusters"),
        ({"family": "mdp", "step_api": "four"}, "unknown step_api 'four'; choose from: five, six"),
    ],
)
def test_make_names_what_is_wrong(arguments, message):
    with pytest.raises(ConfigError, match=message):
        make(**arguments)


def test_make_names_all_that_is_wrong_at_once():
    with pytest.raises(ConfigError) as error:
        make("mdp", method="rl4", learner="x", horizon=0, states=0, num_arms=3)
    assert len(error.value.problems) == 5
