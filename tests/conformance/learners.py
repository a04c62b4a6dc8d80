"""Conformance of an object-level learner."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from rl3_jax.constraints import problems
from rl3_jax.object_rl import ActionValues, Transition
from tests.conformance.trees import assert_close, assert_finite, at, differs, signature

NUM_TASKS, NUM_STEPS = 3, 60


def check_learner(learner, spec):
    """Check one learner on tasks of one size."""
    assert problems(learner) == []
    assert learner.table_problems(spec) == []
    assert hash(learner) == hash(type(learner)())
    fresh = learner.init(spec)
    assert_finite(fresh)
    experience = _random_experience(spec)
    run = jax.jit(partial(_learn, learner, spec))
    final, tables = jax.vmap(run)(experience)
    assert_finite((final, tables))
    np.testing.assert_array_equal(jax.vmap(lambda state: learner.dropped(spec, state))(final), 0)
    _check_values(spec, learner.values(spec, fresh, jnp.int32(0)), tables, experience)
    for task in range(NUM_TASKS):
        alone = run(at(experience, task))
        assert signature(alone[0]) == signature(fresh)
        assert_close(at((final, tables), task), alone, rtol=1e-5, atol=1e-5)
    # Nothing is kept outside the state: a fresh one has forgotten all.
    assert not differs(learner.init(spec), fresh)
    assert differs(at(final, 0), fresh)
    assert differs(at(tables, 0), at(tables, 1))


def _random_experience(spec):
    """Return [NUM_TASKS, NUM_STEPS] transitions that enter the last state as an absorbing one."""
    keys = jax.random.split(jax.random.key(0), 4)
    shape = (NUM_TASKS, NUM_STEPS)
    one_step = spec.episode_length == 1
    s = jax.random.randint(keys[0], shape, 0, spec.num_states - 1)
    next_s = jax.random.randint(keys[2], shape, spec.num_states - 1 if one_step else 0, spec.num_states)
    if spec.num_successors:
        next_s = (s + 1 + next_s % spec.num_successors) % spec.num_states
    if spec.grid is not None:  # beyond the first cell and the last it stays
        columns = spec.grid.columns
        ways = jnp.array((0, -columns, 1, columns, -1))[next_s % 5]
        next_s = jnp.where((s + ways < 0) | (s + ways >= spec.num_states), s, s + ways)
    return Transition(
        s=s,
        a=jax.random.randint(keys[1], shape, 0, spec.num_actions),
        r=jax.random.normal(keys[3], shape),
        next_s=next_s,
        terminated=next_s == spec.num_states - 1,
        truncated=jnp.zeros(shape, bool),
    )


def _learn(learner, spec, experience):
    """Return the final state and, after each step, the values of all states but the absorbing one."""

    def step(state, transition):
        state = learner.update(spec, state, transition)
        states = jnp.arange(spec.num_states - 1)
        return state, jax.vmap(lambda s: learner.values(spec, state, s))(states)

    return jax.lax.scan(step, learner.init(spec), experience)


def _check_values(spec, first, tables, experience):
    """Values are float32 and for each action; counts count."""
    assert isinstance(first, ActionValues)
    for values in (first.q, first.counts):
        assert values.shape == (spec.num_actions,)
        assert values.dtype == jnp.float32
    np.testing.assert_array_equal(first.counts, 0.0)
    counts = np.zeros((NUM_TASKS, spec.num_states - 1, spec.num_actions))
    tasks = np.arange(NUM_TASKS)
    for step in range(NUM_STEPS):
        counts[tasks, experience.s[:, step], experience.a[:, step]] += 1
        np.testing.assert_array_equal(tables.counts[:, step], counts)
