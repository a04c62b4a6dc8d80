"""Conformance of a task family."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments import spaces

from rl3_jax.constraints import problems
from rl3_jax.run.metrics import FIELDS
from rl3_jax.tasks import FAMILIES, UNLIMITED, Step, make_family
from tests.conformance.trees import assert_close, assert_finite, at, differs, signature

NUM_TASKS = 4
FEW_TASKS = {"four-rooms", "meta-maze", "frozen-lake"}
"""Families with so few tasks that two of those drawn may be the same by chance."""
ENDLESS = 40
"""Steps that are taken of an episode without end."""


def check_family(family):
    """Check one variation of a family, as an environment of its own and under gymnax's `step`."""
    assert problems(family) == []
    assert family == make_family(family.family, variation=family.variation)
    assert hash(family) == hash(make_family(family.family, variation=family.variation))
    assert family.name == f"{family.family}-{family.variation}"
    tasks = jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), NUM_TASKS))
    _check_tasks(family, tasks)
    _check_spaces(family, at(tasks, 0))
    _check_steps(family, tasks)
    if family.exchangeable_actions:
        _check_exchangeable(family)
    if family.knows_mean_reward:
        _check_mean_reward(family, at(tasks, 0))
    _check_gymnax_step(family, at(tasks, 1))


def check_variations_differ(name):
    """Check that the variations of a family are different distributions."""
    tasks = {
        variation: jax.jit(make_family(name, variation=variation).sample_task)(jax.random.key(0))
        for variation in FAMILIES[name].variations
    }
    base, *others = tasks.values()
    assert all(differs(base, other) for other in others)
    assert make_family(name) == make_family(name, variation=FAMILIES[name].variations[0])


def _check_tasks(family, tasks):
    """Tasks are finite, differ with the key, and depend on nothing else."""
    assert_finite(tasks)
    distinct = []
    for task in (at(tasks, i) for i in range(NUM_TASKS)):
        if all(differs(task, other) for other in distinct):
            distinct.append(task)
    assert len(distinct) >= NUM_TASKS - (family.family in FEW_TASKS)
    again = jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), NUM_TASKS))
    assert not differs(tasks, again)
    assert (tasks.max_steps_in_episode == (family.episode_length or UNLIMITED)).all()


def _check_exchangeable(family, num_tasks=2000):
    """What a task has of each action is on average the same for all, within five standard errors."""
    assert isinstance(family.action_space(), spaces.Discrete)
    assert family.action_space().n == family.num_actions
    tasks = jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(3), num_tasks))
    of_actions = [
        np.moveaxis(np.asarray(leaf), axis, 1).reshape(num_tasks, family.num_actions, -1)
        for leaf in jax.tree.leaves(tasks)
        for axis in range(1, leaf.ndim)
        if leaf.shape[axis] == family.num_actions
    ]
    assert of_actions
    for numbers in of_actions:
        for statistic in (numbers[..., 0], (numbers**2).mean(-1)):
            apart = statistic - statistic.mean(axis=1, keepdims=True)
            assert (np.abs(apart.mean(axis=0)) < 5.0 * apart.std(axis=0) / num_tasks**0.5).all()


def _check_mean_reward(family, task, num_draws=4000):
    """Of an episode's second state each action pays on average what is said, within five standard errors.

    Where an episode has one step only, of its first.
    """
    state = family.reset_env(jax.random.key(0), task)[1]
    if family.episode_length != 1:
        state = family.step_env(jax.random.key(2), state, jnp.int32(0), task)[1]
    for action in range(family.num_actions):

        def pay(key, action=action):
            _, entered, reward, *_ = family.step_env(key, state, action, task)
            before, after = family.concrete(state, task), family.concrete(entered, task)
            step = Step(before, after, reward, jnp.bool_(False), jnp.bool_(False))
            return reward, family.mean_reward(task, step, action)

        paid, mean = jax.jit(jax.vmap(pay))(jax.random.split(jax.random.key(1), num_draws))
        assert abs(paid.mean() - mean.mean()) < 5.0 * paid.std() / num_draws**0.5 + 1e-6


def _check_spaces(family, task):
    """The spaces of observation and action hold what they should."""
    actions, seen = family.action_space(task), family.observation_space(task)
    assert isinstance(actions, spaces.Box) or actions.n == family.num_actions
    assert isinstance(seen, spaces.Box) or seen.n == family.num_states
    observation, state = family.reset_env(jax.random.key(1), task)
    assert family.observation_space(task).contains(observation)
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

    keys = jax.random.split(key, family.episode_length or ENDLESS)
    return observation, state, jax.lax.scan(step, state, keys)[1]


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
    assert ((states.time >= 1) & (states.time <= (family.episode_length or ENDLESS))).all()
    np.testing.assert_array_equal(info["discount"], 1.0 - terminated)
    _check_table(family, tasks, actions, states)
    _check_summary(family, tasks, many)
    # An episode runs out at its length at the latest, and not before unless it terminates.
    assert (terminated | truncated)[:, -1].all() or family.episode_length is None
    assert not truncated[:, :-1].any()


def _check_table(family, tasks, actions, states):
    """Object-level RL gets an action and a state of its table, both within what the family says."""
    table = jax.vmap(jax.vmap(family.table_action))(actions)
    assert ((table >= 0) & (table < family.num_actions)).all()
    at = jax.vmap(jax.vmap(family.concrete, in_axes=(0, None)))(states, tasks)
    assert (at.index is not None) == (family.num_states > 0)
    if at.index is not None:
        assert ((at.index >= 0) & (at.index < family.num_states)).all()
    if at.coordinates is not None:
        assert at.coordinates.shape[2:] == (len(family.coordinate_bounds),)
        assert len(family.tiles) == (0 if family.num_states else len(family.coordinate_bounds))


def _check_summary(family, tasks, many):
    """A summary has exactly its names, which nothing else has, and numbers that are finite or undefined."""
    names = family.summary_names
    assert len(set(names)) == len(names)
    assert not {*names, *(f"evaluation_{name}" for name in names)} & set(FIELDS)
    assert set(family.progress_names) <= set(names)
    concrete = jax.vmap(jax.vmap(family.concrete, in_axes=(0, None)))
    _, first, (_, _, states, rewards, terminated, truncated, _) = many
    before = jax.tree.map(lambda one, all_: jnp.concatenate([one[:, None], all_[:, :-1]], 1), first, states)
    steps = Step(concrete(before, tasks), concrete(states, tasks), rewards, terminated, truncated)
    found = jax.jit(jax.vmap(family.summarise_trial))(tasks, steps)
    assert set(found) == set(names)
    for values in found.values():
        assert (values.shape, values.dtype) == ((NUM_TASKS,), jnp.float32)
        assert not jnp.isinf(values).any()


def _check_gymnax_step(family, task):
    """gymnax's own `step` returns six values and starts a new episode where one ended."""
    length = min(family.episode_length or ENDLESS, 6)
    task = dataclasses.replace(task, max_steps_in_episode=length)
    key = jax.random.key(3)
    step = jax.jit(family.step)
    observation, state = family.reset(key, task)
    for _ in range(2 * length + 1):
        key, key_action, key_step = jax.random.split(key, 3)
        old = state
        action = family.action_space(task).sample(key_action)
        observation, state, reward, terminated, truncated, info = step(key_step, old, action, task)
        assert signature(state) == signature(old)
        assert reward.shape == terminated.shape == truncated.shape == ()
        assert family.observation_space(task).contains(info["final_observation"])
        if terminated or truncated:
            assert state.time == 0
            fresh = family.reset_env(jax.random.split(key_step)[1], task)[0]
            np.testing.assert_allclose(observation, fresh, rtol=1e-6)
        else:
            assert state.time == old.time + 1
            np.testing.assert_array_equal(observation, info["final_observation"])
