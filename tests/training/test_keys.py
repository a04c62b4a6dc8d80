import jax
import numpy as np

from rl3_jax.training.train import Purpose, stream, task_keys


def test_no_two_streams_share_a_key():
    """Not between purposes, iterations, tasks or seeds; so evaluation is held out whatever its seed."""
    keys = [
        jax.random.key_data(task_keys(stream(jax.random.key(seed), purpose, iteration), 0, 50))
        for seed in (0, 1)
        for purpose in Purpose
        for iteration in (0, 1, 2)
    ]
    keys = np.concatenate(keys)
    assert len(np.unique(keys, axis=0)) == len(keys) == 2 * len(Purpose) * 3 * 50


def test_keys_of_tasks_do_not_depend_on_the_cut():
    key = stream(jax.random.key(0), Purpose.COLLECT, 7)
    whole, part = (jax.random.key_data(task_keys(key, *cut)) for cut in ((0, 20), (5, 10)))
    np.testing.assert_array_equal(whole[5:15], part)
