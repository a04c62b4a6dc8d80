import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments.misc import reacher

from rl3_jax.tasks import Reachers
from rl3_jax.tasks.reacher import LINK_LENGTH, ArmParams, tip
from tests.reference.gymnax_tasks import reacher_step
from tests.statistics import assert_mean


def sample(family, number=2000):
    return jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), number))


@pytest.mark.parametrize("variation", Reachers.variations)
def test_lengths_are_uniform_and_goals_within_reach(variation):
    tasks = sample(Reachers(variation=variation))
    lengths, goal = np.asarray(tasks.params.link_lengths), np.asarray(tasks.fields["goal_xy"])
    low, high = LINK_LENGTH[variation]
    assert ((lengths >= low) & (lengths <= high)).all()
    assert_mean(lengths, (low + high) / 2)
    assert_mean((lengths - low) ** 2, (high - low) ** 2 / 3)
    distance = np.linalg.norm(goal, axis=1)
    assert (distance <= lengths.sum(axis=1) + 1e-5).all()
    assert (distance >= np.abs(lengths[:, 0] - lengths[:, 1]) - 1e-5).all()
    # E|x|² = l₁² + l₂² at independent uniform angles.
    assert_mean(distance**2 - (lengths**2).sum(axis=1), 0.0)
    assert_mean(goal, 0.0)


def test_steps_equal_their_twin():
    family = Reachers()
    task = family.sample_task(jax.random.key(0))
    _, state = family.reset_env(jax.random.key(1), task)
    lengths, goal = np.asarray(task.params.link_lengths, float), np.asarray(task.fields["goal_xy"], float)
    angles = np.asarray(state.wrapped.angles, float)
    speeds = np.asarray(state.wrapped.angle_vels, float)
    step, concrete = jax.jit(family.step_env), jax.jit(family.concrete)
    for seed in range(40):
        torque = np.asarray(family.action_space().sample(jax.random.key(seed)))
        observation, state, reward, terminated, _ = step(jax.random.key(seed), state, torque, task)
        angles, speeds, paid = reacher_step(angles, speeds, torque.astype(float), lengths, goal)
        expected = [*np.cos(angles), *np.sin(angles), *speeds]
        np.testing.assert_allclose(observation, expected, atol=1e-4)
        assert reward == pytest.approx(paid, abs=1e-4)
        assert not terminated
        wrapped = (angles + np.pi) % (2 * np.pi) - np.pi
        np.testing.assert_allclose(concrete(state, task).coordinates, [*wrapped, *speeds], atol=1e-4)


def test_links_of_length_one_are_gymnaxs():
    env, own = Reachers().environment, reacher.Reacher()
    params = ArmParams(link_lengths=jnp.ones(2))
    _, state = env.reset_env(jax.random.key(0), params)
    for seed in range(3):
        action = jnp.array([0.5, -1.0 + seed])
        one = env.step_env(jax.random.key(0), state, action, params)
        other = own.step_env(jax.random.key(0), state, action, reacher.EnvParams())
        np.testing.assert_allclose(one[0], other[0])
        np.testing.assert_allclose(one[2], other[2], rtol=1e-5)
        state = one[1]


def test_the_goal_and_the_lengths_are_not_seen():
    family = Reachers()
    one, other = (family.sample_task(jax.random.key(seed)) for seed in range(2))
    seen, state = family.reset_env(jax.random.key(2), one)
    also, there = family.reset_env(jax.random.key(2), other)
    np.testing.assert_array_equal(seen, also)
    at, place = family.concrete(state, one), family.concrete(there, other)
    np.testing.assert_array_equal(at.coordinates, place.coordinates)
    assert not np.allclose(one.fields["goal_xy"], other.fields["goal_xy"])


def test_the_tip_of_a_stretched_arm():
    np.testing.assert_allclose(tip(jnp.array([0.0, 0.0]), jnp.array([0.5, 1.5])), [2.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(
        tip(jnp.array([0.0, jnp.pi / 2]), jnp.array([0.5, 1.5])), [0.5, 1.5], atol=1e-6
    )


def test_statistics_say_lengths_and_distance():
    family = Reachers()
    tasks = sample(family, 3)
    numbers = family.statistics(tasks)
    np.testing.assert_array_equal(numbers["link_length_1"], tasks.params.link_lengths[:, 1])
    np.testing.assert_allclose(
        numbers["goal_distance"], np.linalg.norm(tasks.fields["goal_xy"], axis=1), rtol=1e-6
    )
