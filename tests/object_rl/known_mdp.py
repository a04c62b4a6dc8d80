"""One small MDP whose optimum is known, and experience of it under uniform behaviour."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from rl3_jax.object_rl import Transition
from tests.reference.tabular import optimal_q

# Three states in a ring and an absorbing one: action 0 stays, 1 goes on (mostly), state 2's step on
# pays 4 and may end the episode.
_T = np.zeros((4, 2, 4))
_T[[0, 1, 2], 0, [0, 1, 2]] = 1.0
_T[0, 1] = [0.2, 0.8, 0.0, 0.0]
_T[1, 1] = [0.1, 0.1, 0.8, 0.0]
_T[2, 1] = [0.5, 0.0, 0.0, 0.5]
_T[3, :, 3] = 1.0
_R = np.array([[0.3, 0.0], [0.1, -0.5], [0.4, 4.0], [0.0, 0.0]])

MDP = SimpleNamespace(
    num_states=4,
    num_actions=2,
    discount=0.9,
    transition=_T,
    reward=_R,
    end=3,
    optimal_q=optimal_q(_T, _R, 0.9)[:3],
)


def uniform_experience(key, num_steps):
    """Return transitions from uniform states and actions, as many from each."""
    key_s, key_a, key_next = jax.random.split(key, 3)
    s = jax.random.randint(key_s, num_steps, 0, MDP.end)
    a = jax.random.randint(key_a, num_steps, 0, MDP.num_actions)
    next_s = jax.random.categorical(key_next, jnp.log(jnp.asarray(_T, jnp.float32)[s, a]))
    return Transition(
        s=s,
        a=a,
        r=jnp.asarray(_R, jnp.float32)[s, a],
        next_s=next_s.astype(jnp.int32),
        terminated=next_s == MDP.end,
        truncated=jnp.zeros(num_steps, bool),
    )


def learnt_q(learner, spec, num_steps=60_000):
    """Return [3, A] values of the states that are not absorbing, learnt under uniform behaviour."""

    @jax.jit
    def run(stream):
        state = jax.lax.scan(lambda s, t: (learner.update(spec, s, t), None), learner.init(spec), stream)[0]
        return jax.vmap(lambda s: learner.values(spec, state, s).q)(jnp.arange(MDP.end))

    return run(uniform_experience(jax.random.key(0), num_steps))
