"""Conformance of a task family."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from rl3_jax.tasks import FAMILIES, make_family
from tests.conformance.trees import assert_close, assert_finite, at, differs, signature

NUM_TASKS = 4


def check_family(family):
    """Check one variation of a family, as an environment of its own and under gymnax's `step`."""
    assert family.problems() == []
    assert family == make_family(family.family, variation=family.variation)
    assert hash(family) == hash(make_family(family.family, variation=family.variation))
    assert family.name == f"{family.family}-{family.variation}"
    tasks = jax.vmap(family.sample_task)(jax.random.split(jax.random.key(0), NUM_TASKS))
    _check_tasks(family, tasks)
    _check_spaces(family, at(tasks, 0))
    _check_steps(family, tasks)
    _check_gymnax_step(family, at(tasks, 1))


def check_variations_differ(name):
    """Check that the variations of a family are different distributions."""
    tasks = {
        variation: make_family(name, variation=variation).sample_task(jax.random.key(0))
        for variation in FAMILIES[name].variations
    }
    base, *others = tasks.values()
    assert all(differs(base, other) for other in others)
    assert make_family(name) == make_family(name, variation=FAMILIES[name].variations[0])


def _check_tasks(family, tasks):
    """Tasks are finite, differ with the key, and depend on nothing else."""
    assert_finite(tasks)
    assert all(differs(at(tasks, 0), at(tasks, other)) for other in range(1, NUM_TASKS))
    again = jax.vmap(family.sample_task)(jax.random.split(jax.random.key(0), NUM_TASKS))
    assert not differs(tasks, again)
    assert (tasks.max_steps_in_episode == family.episode_length).all()


def _check_spaces(family, task):
    """The spaces of observation, action and state hold what they should."""
    assert family.action_space(task).n == family.num_actions
    assert family.observation_space(task).n == family.num_states
    observation, state = family.reset_env(jax.random.key(1), task)
    assert family.observation_space(task).contains(observation)
    assert family.state_space(task).contains(state)
    assert not family.is_terminated(state, task)
    assert state.time == 0


@partial(jax.jit, static_argnums=0)
def _walk(family, key, task):
    """Take random actions for an episode and return all that was seen; a scan, so types are stable."""
    observation, state = family.reset_env(key, task)

    def step(state, key):
        action = family.action_space(task).sample(key)
        observation, next_state, reward, terminated, info = family.step_env(key, state, action, task)
        truncated = family.is_truncated(next_state, task)
        return next_state, (action, observation, next_state, reward, terminated, truncated, info)

    return observation, state, jax.lax.scan(step, state, jax.random.split(key, family.episode_length))[1]


def _check_steps(family, tasks):
    """Steps are of stable type, valid, finite, the same under vmap, and end in time."""
    keys = jax.random.split(jax.random.key(2), NUM_TASKS)
    many = jax.vmap(partial(_walk, family))(keys, tasks)
    one = _walk(family, keys[0], at(tasks, 0))
    assert signature(at(many, 0)) == signature(one)
    assert_close(at(many, 0), one, rtol=1e-6, atol=1e-6)
    assert_finite(many)
    _, _, (actions, observations, states, rewards, terminated, truncated, info) = many
    assert rewards.dtype == jnp.float32
    assert terminated.dtype == truncated.dtype == bool
    assert jax.vmap(jax.vmap(family.action_space().contains))(actions).all()
    assert jax.vmap(jax.vmap(family.observation_space().contains))(observations).all()
    assert jax.vmap(jax.vmap(family.state_space().contains))(states).all()
    np.testing.assert_array_equal(info["discount"], 1.0 - terminated)
    # An episode runs out at its length at the latest, and not before unless it terminates.
    assert (terminated | truncated)[:, -1].all()
    assert not truncated[:, :-1].any()


def _check_gymnax_step(family, task):
    """gymnax's own `step` returns six values and starts a new episode where one ended."""
    key = jax.random.key(3)
    observation, state = family.reset(key, task)
    for _ in range(2 * family.episode_length + 1):
        key, key_action, key_step = jax.random.split(key, 3)
        old = state
        action = family.action_space(task).sample(key_action)
        observation, state, reward, terminated, truncated, info = family.step(key_step, old, action, task)
        assert signature(state) == signature(old)
        assert reward.shape == terminated.shape == truncated.shape == ()
        assert family.observation_space(task).contains(info["final_observation"])
        if terminated or truncated:
            assert state.time == 0
            assert observation == family.reset_env(key, task)[0]
        else:
            assert state.time == old.time + 1
            assert observation == info["final_observation"]
