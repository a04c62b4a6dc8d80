"""Random experience for learners and their twins."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rl3_jax.object_rl import Transition

STATES, ACTIONS, STEPS = 4, 3, 25


def streams(num_states=STATES, num_actions=ACTIONS, num_steps=STEPS):
    """Strategy for transitions; not a walk, so that learners can rely on each transition alone."""

    def integers(limit):
        return hnp.arrays(np.int32, num_steps, elements=st.integers(0, limit - 1))

    rewards = st.floats(-2, 2, width=32, allow_subnormal=False)
    ends = st.sampled_from([False, False, False, True])
    return st.builds(
        make_stream,
        integers(num_states),
        integers(num_actions),
        hnp.arrays(np.float32, num_steps, elements=rewards),
        integers(num_states),
        hnp.arrays(bool, num_steps, elements=ends),
        hnp.arrays(bool, num_steps, elements=ends),
    )


def few_successors(num_states, num_successors):
    """Strategy for transitions with so many successors a state, which differ from state to state."""

    def shift(stream):
        return stream.replace(next_s=(stream.s * 5 + stream.next_s * 3) % num_states)

    # States met may be few, so that most states stay unmet.
    some_states = st.integers(1, num_states).flatmap(lambda some: streams(some, ACTIONS, STEPS))
    return some_states.map(lambda stream: shift(stream.replace(next_s=stream.next_s % num_successors)))


def make_stream(s, a, r, next_s, terminated, truncated):
    """Return stacked transitions."""
    return Transition(
        *map(jnp.asarray, (s, a, r, next_s, terminated)), truncated=jnp.asarray(truncated & ~terminated)
    )


def random_stream(key, shape, num_states=STATES, num_actions=ACTIONS):
    """Return stacked transitions of any shape, without a strategy."""
    keys = jax.random.split(key, 5)
    return Transition(
        s=jax.random.randint(keys[0], shape, 0, num_states),
        a=jax.random.randint(keys[1], shape, 0, num_actions),
        r=jax.random.normal(keys[2], shape),
        next_s=jax.random.randint(keys[3], shape, 0, num_states),
        terminated=jax.random.bernoulli(keys[4], 0.1, shape),
        truncated=jnp.zeros(shape, bool),
    )


def learn(learner, spec, stream):
    """Return the values [N, S] of all states after each transition."""

    def step(state, transition):
        state = learner.update(spec, state, transition)
        return state, jax.vmap(lambda s: learner.values(spec, state, s))(jnp.arange(spec.num_states))

    return jax.lax.scan(step, learner.init(spec), stream)[1]


def learn_slowly(twin, num_states, stream):
    """Return the twin's q and counts [N, S, A] after each transition, and its errors where it has any."""
    tables = []
    columns = map(np.asarray, (stream.s, stream.a, stream.r, stream.next_s, stream.terminated))
    for s, a, r, next_s, terminated in zip(*columns, strict=True):
        twin.update(s, a, float(r), next_s, terminated)
        values = [twin.values(state) for state in range(num_states)]
        tables.append([np.array(column) for column in zip(*values, strict=True)])
    return tuple(np.array(table) for table in zip(*tables, strict=True))
