"""The loop over the steps of trials: what it hands on, and what it keeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.tasks import RandomMdp
from rl3_jax.trial import METHODS, Acting, TrialEnv, rollout, run_trials, trial_keys
from tests.marks import slow

NUM_TASKS, HORIZON = 3, 12
ENV = TrialEnv(RandomMdp(states=3, actions=2, steps=5), horizon=HORIZON, features=METHODS["rl2"])
KEYS = jax.random.split(jax.random.key(0), NUM_TASKS)
TASKS = jax.vmap(ENV.family.sample_task)(KEYS)


def count(memory, state, observation, key):
    """Act by the number of steps taken so far, which is the memory."""
    return memory + 1, memory % 2, (memory, observation)


def live(acting, keep, num_segments=1):
    return jax.jit(
        lambda tasks, keys: rollout(ENV, acting, tasks, *trial_keys(keys, HORIZON), keep, num_segments)
    )(TASKS, KEYS)


ACTING = Acting(init=lambda task: jnp.int32(0), act=count)


@pytest.mark.parametrize("num_segments", slow([4, 1, 12], 1))
def test_memories_are_those_at_the_starts_of_segments_and_cuts_change_nothing(num_segments):
    cut, whole = (live(ACTING, lambda now: (now.chosen[0], now.reward), n) for n in (num_segments, 1))
    starts = np.arange(num_segments) * (HORIZON // num_segments)
    np.testing.assert_array_equal(cut.memories, np.tile(starts[:, None], NUM_TASKS))
    jax.tree.map(np.testing.assert_array_equal, (cut.kept, cut.final), (whole.kept, whole.final))
    np.testing.assert_array_equal(cut.kept[0], np.tile(np.arange(HORIZON)[:, None], NUM_TASKS))


@pytest.mark.parametrize("num_segments", slow([4, 1, 12], 1))
def test_each_step_has_the_noise_of_its_key(num_segments):
    def act(memory, state, observation, noise):
        return memory, jnp.int32(0), noise

    acting = Acting(init=lambda task: (), act=act, draw=lambda key: jax.random.normal(key, (2,)))
    kept = live(acting, lambda now: now.chosen, num_segments).kept
    keys = trial_keys(KEYS, HORIZON)[1].act
    np.testing.assert_array_equal(kept, jax.vmap(jax.vmap(acting.draw))(keys))


def test_a_moment_tells_one_step():
    kept = live(ACTING, lambda now: now).kept
    np.testing.assert_array_equal(kept.action, kept.chosen[0] % 2)
    np.testing.assert_array_equal(kept.observation, kept.chosen[1])
    np.testing.assert_array_equal(kept.state.time, np.tile(np.arange(HORIZON)[:, None], NUM_TASKS))
    np.testing.assert_array_equal(kept.step.reward, kept.reward)
    # The state before a step, and where it led: the next state unless an episode began between.
    where = kept.state.inner.s
    np.testing.assert_array_equal(kept.step.state.index, where)
    goes_on = ~(kept.transition.terminated | kept.transition.truncated)[:-1]
    np.testing.assert_array_equal(kept.step.next_state.index[:-1][goes_on], where[1:][goes_on])
    assert goes_on.any()
    assert not goes_on.all()


def test_learning_and_planning_happen_where_they_are_asked_for():
    """An episode's first step plans before it acts; each step is learnt from after it."""
    acting = ACTING._replace(
        act=lambda memory, state, observation, key: (memory, 0, memory),
        begin_episode=lambda memory, state, key: memory + 100,
        learn=lambda memory, transition: memory + 1,
    )
    chosen = live(acting, lambda now: now.chosen).kept
    steps = np.arange(HORIZON)
    np.testing.assert_array_equal(chosen, np.tile((steps + 100 * (1 + steps // 5))[:, None], NUM_TASKS))


def test_it_is_the_loop_of_evaluation():
    class First:
        """Takes action 0; neither plans nor learns."""

        def init(self, env, task):
            return ()

        def begin_episode(self, env, memory, state, key):
            return memory

        def act(self, env, memory, state, observation, key):
            return memory, jnp.int32(0)

        def learn(self, env, memory, transition):
            return memory

    rewards = run_trials(ENV, First(), TASKS, KEYS).rewards
    acting = Acting(init=lambda task: (), act=lambda memory, *_: (memory, jnp.int32(0), None))
    np.testing.assert_array_equal(live(acting, lambda now: now.reward).kept.T, rewards)
