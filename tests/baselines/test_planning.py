import dataclasses
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from rl3_jax.baselines.mdps import Clairvoyant, Psrl, steps_to_go
from rl3_jax.baselines.planning import backward_induction, optimistic_mean
from rl3_jax.tasks import RandomMdp, TabularState
from rl3_jax.trial import TrialEnv, method_features
from tests.reference import baselines as reference
from tests.reference import mdp_baselines


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


def linear_program(probabilities, value, radius):
    """Return max_p p·V over probabilities p = T + u − w with u, w ≥ 0 and Σ (u + w) ≤ radius."""
    num_states = len(value)
    identity, ones, zeros = np.eye(num_states), np.ones(num_states), np.zeros(num_states)
    result = linprog(
        -np.concatenate([value, zeros, zeros]),
        A_ub=np.concatenate([zeros, ones, ones])[None],
        b_ub=[radius],
        A_eq=np.vstack([np.hstack([identity, -identity, identity]), np.concatenate([ones, zeros, zeros])]),
        b_eq=np.append(probabilities, 1.0),
    )
    assert result.status == 0
    return -result.fun


def rows(kind, generator, num_states):
    """Return [S, A, S] probabilities, some of them 0 if sparse, all on one state if deterministic."""
    concentration = {"dense": 1.0, "sparse": 0.1, "deterministic": 1e-3}[kind]
    found = generator.dirichlet(np.full(num_states, concentration), (num_states, 3))
    found[found < 1e-3] = 0.0
    return found / found.sum(-1, keepdims=True)


@pytest.mark.parametrize("kind", ["dense", "sparse", "deterministic"])
@pytest.mark.parametrize("ties", [False, True])
def test_the_optimistic_mean_is_the_value_of_a_linear_program_and_equals_its_numpy_twin(kind, ties):
    generator = np.random.default_rng(0)
    for num_states in (1, 2, 5):
        transition = rows(kind, generator, num_states)
        value = generator.normal(0.0, 3.0, num_states).round(0 if ties else 6)
        radius = generator.choice([0.0, 0.1, 0.5, 1.2, 2.0, 7.0], (num_states, 3))
        arguments = [jnp.asarray(x, jnp.float32) for x in (transition, value, radius)]
        found = np.asarray(optimistic_mean(*arguments))
        for pair in np.ndindex(num_states, 3):
            row = (transition[pair], value, radius[pair])
            best = mdp_baselines.best_transition(*row)
            assert abs(found[pair] - best @ value) < 1e-5
            assert abs(found[pair] - linear_program(*row)) < 1e-5


def test_an_optimistic_mean_by_hand():
    # A quarter of the mass moves from the state of value 0 to that of value 4; with a radius of 3, all does.
    transition = jnp.array([[[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]]] * 3)
    radius = jnp.array([[0.5, 3.0]] * 3)
    found = optimistic_mean(transition, jnp.array([0.0, 4.0, 1.0]), radius)
    np.testing.assert_array_equal(found, [[0.25 * 0 + 0.5 * 4 + 0.25 * 1, 4.0]] * 3)


@pytest.mark.parametrize(("states", "actions", "steps"), [(10, 5, 10), (3, 2, 7), (1, 4, 3)])
def test_optimistic_induction_equals_its_numpy_twin(states, actions, steps):
    family = RandomMdp(states=states, actions=actions, steps=steps)
    for seed in range(3):
        task, transition, reward = random_task(family, seed)
        radius = np.random.default_rng(seed).uniform(0.0, 1.5, reward.shape).astype(np.float32)
        values = backward_induction(task.transition, task.mean_reward, steps, jnp.asarray(radius))
        expected = mdp_baselines.optimistic_induction(transition, reward, radius, steps)
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-4)


def test_optimism_without_a_radius_is_backward_induction_and_grows_with_it():
    task, *_ = random_task(RandomMdp(), 0)
    plans = [
        np.asarray(backward_induction(task.transition, task.mean_reward, 10, jnp.full((10, 5), radius)))
        for radius in (0.0, 0.1, 0.5, 2.0)
    ]
    np.testing.assert_allclose(plans[0], backward_induction(task.transition, task.mean_reward, 10), atol=1e-4)
    for less, more in pairwise(plans):
        assert (more[1:] > less[1:] - 1e-4).all()
        assert more[-1].mean() > less[-1].mean() + 0.1
    # With every p allowed, each later step pays the largest mean reward.
    steps_left = np.arange(10.0)[:, None, None]
    np.testing.assert_allclose(
        plans[-1], task.mean_reward + steps_left * task.mean_reward.max(), rtol=1e-4, atol=1e-4
    )


def test_ties_are_broken_evenly_and_rounding_does_not_break_them():
    env = trial(RandomMdp(states=3, actions=4, steps=5), horizon=5)
    behaviour, task = Psrl(), env.family.default_params
    _, state = env.start(jax.random.key(0), task)
    values = jnp.zeros((5, 3, 4)).at[4, 0].set(jnp.array([9.0, 9.00001, 8.99, 9.0]))
    memory = dataclasses.replace(behaviour.init(env, task), values=values)
    keys = jax.random.split(jax.random.key(1), 3000)
    counts = np.bincount(jax.vmap(lambda key: behaviour.action(env, memory, state, key))(keys), minlength=4)
    assert counts[2] == 0
    assert (np.abs(counts[[0, 1, 3]] - 1000) < 4.0 * np.sqrt(3000 * (1 / 3) * (2 / 3))).all()


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
