import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments.misc import point_robot

from rl3_jax.bins import bin_of
from rl3_jax.tasks import PointRobots
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
