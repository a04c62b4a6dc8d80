"""A history of steps in a small random MDP, and the memory that a baseline has of it."""

import jax.numpy as jnp
import numpy as np

from rl3_jax.object_rl import Transition
from rl3_jax.tasks import RandomMdp
from rl3_jax.trial import TrialEnv, method_features

FAMILY = RandomMdp(states=3, actions=2, steps=5)
ENV = TrialEnv(FAMILY, horizon=23, features=method_features("rl2", FAMILY))


def history(num_steps):
    """Return a list of (s, a, r, s') in which one pair is never tried and one is tried often."""
    generator = np.random.default_rng(0)
    pairs = [(0, 0), (0, 0), (0, 0), (1, 1), (2, 0), (0, 1), (1, 0)]
    return [
        (
            *pairs[generator.integers(len(pairs))],
            np.float32(generator.normal(1.0, 2.0)),
            generator.integers(3),
        )
        for _ in range(num_steps)
    ]


def remember(behaviour, steps):
    """Return the memory after a history."""
    memory = behaviour.init(ENV, FAMILY.default_params)
    for s, a, r, next_s in steps:
        transition = Transition(
            s=jnp.int32(s),
            a=jnp.int32(a),
            r=jnp.float32(r),
            next_s=jnp.int32(next_s),
            terminated=jnp.bool_(False),
            truncated=jnp.bool_(False),
        )
        memory = behaviour.learn(ENV, memory, transition)
    return memory
