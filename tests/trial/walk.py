"""Trials under random behaviour, recorded."""

from functools import partial

import jax
import numpy as np


@partial(jax.jit, static_argnums=0)
def walk(env, key):
    """Return the first observation and state, and what each of the H random steps returned."""
    key_reset, key_steps = jax.random.split(key)
    params = env.default_params
    observation, state = env.reset_env(key_reset, params)

    def step(state, key):
        key_action, key_step = jax.random.split(key)
        action = env.action_space().sample(key_action)
        observation, state, reward, terminated, info = env.step_env(key_step, state, action, params)
        return state, (observation, state, action, reward, terminated, info)

    return observation, state, jax.lax.scan(step, state, jax.random.split(key_steps, env.horizon))[1]


def transitions(recorded):
    """Return the transitions of a walk as tuples of Python numbers."""
    info = recorded[2][-1]
    columns = (np.asarray(column).tolist() for column in jax.tree.leaves(info["transition"]))
    return list(zip(*columns, strict=True))
