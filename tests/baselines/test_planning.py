import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.baselines import Clairvoyant
from rl3_jax.baselines.planning import backward_induction, steps_to_go
from rl3_jax.tasks import RandomMdp, TabularState
from rl3_jax.trial import TrialEnv, method_features
from tests.reference import baselines as reference


def trial(family, horizon):
    return TrialEnv(family, horizon=horizon, features=method_features("rl2", family))


def random_task(family, seed):
    """Return a task, and its arrays as float64."""
    task = family.sample_task(jax.random.key(seed))
    return task, np.asarray(task.transition, float), np.asarray(task.mean_reward, float)


@pytest.mark.parametrize(("states", "actions", "steps"), [(10, 5, 10), (3, 2, 7), (1, 4, 3), (6, 1, 1)])
@pytest.mark.parametrize("variation", RandomMdp.variations)
def test_backward_induction_equals_its_numpy_twin(states, actions, steps, variation):
    family = RandomMdp(variation, states=states, actions=actions, steps=steps)
    for seed in range(5):
        task, transition, reward = random_task(family, seed)
        values = backward_induction(task.transition, task.mean_reward, steps)
        expected = reference.backward_induction(transition, reward, steps)
        assert values.shape == (steps, states, actions)
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)


def test_a_task_solved_by_hand():
    # State 0: action 0 pays 1 and stays, action 1 pays 0 and leads to state 1, where all actions pay 3 and
    # lead to the absorbing state 2. One or two steps to go: 1 or 2 by staying against 0 or 3 by moving.
    transition = jnp.zeros((3, 2, 3)).at[0, 0, 0].set(1.0).at[0, 1, 1].set(1.0).at[1:, :, 2].set(1.0)
    reward = jnp.array([[1.0, 0.0], [3.0, 3.0], [0.0, 0.0]])
    values = backward_induction(transition, reward, 3)
    np.testing.assert_array_equal(values[:, 0], [[1.0, 0.0], [2.0, 3.0], [4.0, 3.0]])
    np.testing.assert_array_equal(values[:, 1], [[3.0, 3.0]] * 3)
    np.testing.assert_array_equal(values[:, 2], [[0.0, 0.0]] * 3)


def test_the_steps_to_go_count_down_in_each_episode_also_one_cut_short():
    env = trial(RandomMdp(steps=10), horizon=23)
    _, state = env.start(jax.random.key(0), env.family.default_params)
    found = []
    for _ in range(env.horizon):
        found.append(int(steps_to_go(env, state)))
        _, state, *_ = env.step_env(jax.random.key(1), state, jnp.int32(0), env.default_params)
    assert found == [*range(10, 0, -1), *range(10, 0, -1), 3, 2, 1]


@pytest.mark.parametrize("horizon", [3, 10, 23])
def test_the_clairvoyant_acts_optimally_in_every_state_at_every_step_of_the_trial(horizon):
    family = RandomMdp(states=6, actions=4, steps=10)
    env, behaviour = trial(family, horizon), Clairvoyant()

    @jax.jit
    def actions(task):
        _, first = env.start(jax.random.key(0), task)
        memory = behaviour.init(env, task)

        def action(t, s):
            inner = TabularState(time=t % family.episode_length, s=s)
            state = dataclasses.replace(first, time=t, inner=inner)
            return behaviour.act(env, memory, state, env.get_obs(state), jax.random.key(0))[1]

        over_states = jax.vmap(action, in_axes=(None, 0))
        return jax.vmap(over_states, in_axes=(0, None))(jnp.arange(horizon), jnp.arange(family.num_states))

    for seed in range(20):
        task, transition, reward = random_task(family, seed)
        q = reference.trial_values(transition, reward, horizon, family.episode_length)
        taken = np.take_along_axis(q, np.asarray(actions(task))[..., None], axis=-1)[..., 0]
        # Values rather than actions, as float32 may order near-equal actions differently.
        np.testing.assert_allclose(taken, q.max(axis=-1), rtol=0.0, atol=1e-4)
