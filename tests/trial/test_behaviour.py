import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rl3_jax.tasks import Bandit
from rl3_jax.trial import METHODS, TrialEnv, run_trials
from tests.probes import Chain

HORIZON = 11


@struct.dataclass
class Counting:
    """Acts by the number of times a method was called; the reward then tells it."""

    counted: str = struct.field(pytree_node=False)

    def init(self, env, task):
        return {"begin_episode": jnp.int32(0), "learn": jnp.int32(0), "act": jnp.int32(0)}

    def begin_episode(self, env, memory, state, key):
        return memory | {"begin_episode": memory["begin_episode"] + 1}

    def act(self, env, memory, state, observation, key):
        return memory | {"act": memory["act"] + 1}, memory[self.counted]

    def learn(self, env, memory, transition):
        return memory | {"learn": memory["learn"] + 1}


@struct.dataclass
class Always:
    """Takes one action, with or without use of its random key."""

    action: jax.Array
    wasteful: bool = struct.field(pytree_node=False, default=False)

    def init(self, env, task):
        return jnp.float32(0.0)

    def begin_episode(self, env, memory, state, key):
        return memory

    def act(self, env, memory, state, observation, key):
        return (memory + jax.random.normal(key) if self.wasteful else memory), self.action

    def learn(self, env, memory, transition):
        return memory


def run(behaviour, family, num_tasks=3, seed=0):
    env = TrialEnv(family, horizon=HORIZON, features=METHODS["rl2"])
    keys = jax.random.split(jax.random.key(seed), num_tasks)
    tasks = jax.vmap(family.sample_task)(keys)
    return jax.jit(run_trials, static_argnums=0)(env, behaviour, tasks, keys)[0]


def test_learns_and_acts_once_a_step():
    for method in ("learn", "act"):
        np.testing.assert_array_equal(run(Counting(method), Chain(steps=4)), [range(HORIZON)] * 3)


def test_plans_once_an_episode_though_tasks_start_theirs_at_different_times():
    family = Chain(steps=4, uneven=True)
    keys = jax.random.split(jax.random.key(0), 8)
    lengths = jax.vmap(family.sample_task)(keys).max_steps_in_episode
    assert len(set(lengths.tolist())) > 2
    begun = run(Counting("begin_episode"), family, num_tasks=8)
    np.testing.assert_array_equal(begun, 1 + np.arange(HORIZON) // lengths[:, None])


def test_equal_actions_meet_equal_outcomes():
    family = Bandit(num_arms=2)
    thrifty, wasteful = (run(Always(jnp.int32(1), wasteful), family, 50) for wasteful in (False, True))
    np.testing.assert_array_equal(thrifty, wasteful)
    assert set(np.unique(thrifty)) == {0.0, 1.0}
    assert (thrifty != run(Always(jnp.int32(1)), family, 50, seed=1)).any()
    # Outcomes differ between the steps of a trial and between trials.
    assert (thrifty.std(axis=0) > 0).all()
    assert (thrifty.std(axis=1) > 0).any()
