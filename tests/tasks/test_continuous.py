import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments.misc import point_robot, reacher

from rl3_jax.bins import bin_of
from rl3_jax.tasks import PointRobots, Reachers
from rl3_jax.tasks.continuous import LINK_LENGTH, ArmParams, tip
from tests.reference.gymnax_tasks import reacher_step
from tests.statistics import assert_mean


def sample(family, number=2000):
    return jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), number))


@pytest.mark.parametrize(("variation", "low"), [("semicircle", 0.0), ("circle", -math.pi)])
def test_goals_are_uniform_on_the_circle(variation, low):
    goal = np.asarray(sample(PointRobots(variation=variation)).fields["goal"])
    np.testing.assert_allclose(np.linalg.norm(goal, axis=1), 1.0, atol=1e-6)
    angle = (np.arctan2(goal[:, 1], goal[:, 0]) - low) / (math.pi - low)
    assert ((angle >= 0.0) & (angle <= 1.0)).all()
    assert_mean(angle, 1 / 2)
    assert_mean(angle**2, 1 / 3)


def test_the_reward_is_minus_the_distance_also_in_the_goal():
    family = PointRobots()
    task = family.sample_task(jax.random.key(0))
    goal = np.asarray(task.fields["goal"], float)
    _, state = family.reset_env(jax.random.key(1), task)
    step = jax.jit(family.step_env)
    position = np.zeros(2)
    for seed in range(family.episode_length):
        action = np.clip(goal - position, -0.1, 0.1)
        observation, state, reward, terminated, _ = step(
            jax.random.key(seed), state, jnp.float32(action), task
        )
        assert reward == pytest.approx(-np.linalg.norm(goal - position), abs=1e-5)
        position = position + action
        np.testing.assert_allclose(observation, position, atol=1e-5)
        assert not terminated
    assert reward == pytest.approx(0.0, abs=1e-5)
    assert family.is_truncated(state, task)


def test_the_sparse_task_is_gymnaxs():
    family = PointRobots(dense=False)
    task = family.sample_task(jax.random.key(0))
    env, params = point_robot.PointRobot(), point_robot.EnvParams(center_init=True, max_steps_in_episode=25)
    _, state = family.reset_env(jax.random.key(1), task)
    old, total = state.wrapped, 0.0
    step, own_step = jax.jit(family.step_env), jax.jit(env.step_env)
    for seed in range(family.episode_length):
        key, action = jax.random.key(seed), task.fields["goal"] / 10
        observation, state, reward, _, _ = step(key, state, action, task)
        _, old, paid, _, _ = own_step(key, old, action, params)
        np.testing.assert_array_equal(observation, old.pos)
        assert reward == paid
        total += reward
    assert total == 2.0  # begun in the goal at steps 9 and 18: eight steps of 0.1 lead to the edge


def test_tiles_follow_their_neighbours():
    """The start is the centre of a tile; a step leads to at most nine of them."""
    family = PointRobots()
    places = jnp.stack(jnp.meshgrid(*2 * [jnp.linspace(-1.5, 1.5, 31)]), -1).reshape(-1, 1, 2)
    moves = jnp.stack(jnp.meshgrid(*2 * [jnp.linspace(-0.1, 0.1, 3)]), -1).reshape(1, -1, 2)
    locate = jax.vmap(jax.vmap(lambda x: bin_of(x, family.coordinate_bounds, family.tiles)))
    before = np.broadcast_to(locate(places), (len(places), 9)).ravel()
    after = np.asarray(locate(places + moves)).ravel()
    followers = [len(np.unique(after[before == s])) for s in np.unique(before)]
    assert len(followers) == 121
    assert max(followers) <= 9 < family.num_successors
    assert bin_of(jnp.zeros(2), family.coordinate_bounds, family.tiles) == 60
    assert (bin_of(jnp.full(2, 0.12), family.coordinate_bounds, family.tiles)) == 60


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


def test_the_sparse_arm_is_paid_near_the_goal():
    family = Reachers(dense=False)
    task = family.sample_task(jax.random.key(0))
    _, state = family.reset_env(jax.random.key(1), task)
    still = jnp.zeros(2)
    end = tip(state.wrapped.angles + 0.05 * state.wrapped.angle_vels, task.params.link_lengths)
    for apart, paid in ((0.29, 1.0), (0.31, 0.0)):
        near = dataclasses.replace(state.wrapped, goal_xy=end + jnp.array([0.0, apart]))
        there = dataclasses.replace(state, wrapped=near)
        assert family.step_env(jax.random.key(0), there, still, task)[2] == paid
    others = sample(Reachers(), 5), sample(family, 5)
    np.testing.assert_array_equal(*(tasks.params.link_lengths for tasks in others))


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
