"""What a gridworld says of a trial."""

from functools import cache

import jax
import numpy as np

from rl3_jax.tasks import Gridworld
from rl3_jax.trial import METHODS, TrialEnv
from tests.reference import gridworld as twin
from tests.trial.walk import walk

FAMILY = Gridworld()
NUM_TRIALS = 60


@cache
def trials():
    """Return the tasks and the steps of random trials."""
    env = TrialEnv(FAMILY, horizon=150, features=METHODS["rl2"])
    keys = jax.random.split(jax.random.key(0), NUM_TRIALS)
    _, first, recorded = jax.vmap(lambda key: walk(env, key))(keys)
    return jax.tree.map(np.asarray, (first.task, recorded[-1]["step"]))


def assert_equals_twin(tasks, steps):
    """Check each number of each trial; returns them."""
    found = jax.tree.map(np.asarray, jax.vmap(FAMILY.summarise_trial)(tasks, steps))
    ended = steps.terminated | steps.truncated
    for trial in range(NUM_TRIALS):
        columns = (steps.state.index[trial], steps.next_state.index[trial], ended[trial])
        expected = twin.summary(tasks.tiles[trial], list(zip(*columns, strict=True)))
        assert list(expected) == list(FAMILY.summary_names)
        for name, number in expected.items():
            np.testing.assert_allclose(found[name][trial], number, rtol=1e-6, err_msg=name)
    return found


def test_the_summary_of_random_trials_is_its_twins():
    found = assert_equals_twin(*trials())
    # All cases are among them.
    assert {0.0, 1.0} == set(found["found"])
    assert found["dangers"].max() >= 2.0
    assert np.nanmax(found["first_goal_step"]) > np.nanmin(found["first_goal_step"])
    np.testing.assert_array_equal(np.isnan(found["first_goal_step"]), found["found"] == 0.0)


def test_steps_that_end_an_episode_are_not_still():
    tasks, steps = trials()
    cut = np.random.default_rng(0).random(steps.terminated.shape) < 0.5
    without = assert_equals_twin(tasks, steps)["still"]
    assert (assert_equals_twin(tasks, steps.replace(truncated=cut))["still"] != without).any()
    all_end = assert_equals_twin(tasks, steps.replace(truncated=np.ones_like(cut)))
    assert np.isnan(all_end["still"]).all()
