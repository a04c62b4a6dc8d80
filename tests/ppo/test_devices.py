"""Devices that have a part of the trials each learn what one device learns from all of them.

`jax.vmap` over an axis with a name stands for a mesh of so many devices.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax import ppo
from rl3_jax.ppo.updates import minibatches, normalised
from tests.marks import slow
from tests.ppo.setting import CONFIG, TRIALS, collected, configure, make_env, make_policy, make_state, rates
from tests.trees import assert_close

KEY = jax.random.key(3)
DEVICES = (2, 4)


def shared(tree, num_devices):
    """Return what lies on each of so many devices: consecutive parts of the first axis."""
    return jax.tree.map(lambda x: x.reshape(num_devices, -1, *x.shape[1:]), tree)


def same_on_all(tree):
    """Return what all devices have, having seen that they do."""
    for leaf in jax.tree.leaves(tree):
        np.testing.assert_array_equal(leaf, np.broadcast_to(leaf[:1], leaf.shape))
    return jax.tree.map(lambda x: x[0], tree)


def on_devices(function, num_devices, tree, *same):
    """Return function(part of the tree, *same) of each device, stacked."""
    axes = (0, *(None for _ in same))
    return jax.jit(jax.vmap(function, axes, axis_name="tasks"))(shared(tree, num_devices), *same)


class WithoutRule:
    """A function that `jax.vmap` treats as any other, in place of one with a rule of its own."""

    def __init__(self, function):
        self.function = function

    def __call__(self, *arguments):
        return self.function(*arguments)

    def def_vmap(self, rule):
        return rule


def test_each_sequence_is_in_one_minibatch_and_each_group_in_all():
    config = configure(trials=24, minibatch_trials=8)
    batch = jax.tree.map(lambda x: jnp.concatenate([x] * 3), collected()[2])
    orders = {
        tuple(map(tuple, np.asarray(minibatches(config, batch, key)))) for key in jax.random.split(KEY, 9)
    }
    assert len(orders) == 9
    for order in map(np.array, orders):
        assert order.shape == (3, 8)
        assert sorted(order.ravel()) == list(range(24))
        np.testing.assert_array_equal(order // 3, np.broadcast_to(np.arange(8), (3, 8)))


@pytest.mark.parametrize("num_devices", DEVICES)
def test_minibatches_do_not_depend_on_the_number_of_devices(num_devices):
    config, batch = configure(minibatch_trials=4), collected()[2]
    whole = minibatches(config, batch, KEY)
    parts = on_devices(
        lambda batch: minibatches(config, batch, KEY), num_devices, batch.replace(axis="tasks")
    )
    first = TRIALS // num_devices * np.arange(num_devices)[:, None, None]
    np.testing.assert_array_equal(np.concatenate(parts + first, axis=1), whole)


@pytest.mark.parametrize("num_devices", DEVICES)
def test_advantages_are_normalised_over_all_devices(num_devices):
    batch = collected()[2].replace(axis="tasks")
    order = jnp.arange(TRIALS // num_devices)[None]
    found = on_devices(lambda batch: normalised(batch, order), num_devices, batch)
    expected = (batch.advantages - batch.advantages.mean()) / batch.advantages.std()
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_devices", DEVICES)
def test_trials_and_their_figures_are_the_same(num_devices):
    policy, params, batch, metrics = collected()
    keys = jax.random.split(jax.random.key(5), TRIALS)
    collect = partial(ppo.collect, CONFIG, make_env(), policy, params, axis="tasks")
    parts, figures = on_devices(lambda keys: collect(keys), num_devices, keys)
    assert_close(parts, shared(batch.replace(axis="tasks"), num_devices), rtol=1e-5, atol=1e-5)
    assert_close(same_on_all(figures), metrics, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("num_devices", "shared_trunk", "kl_estimate"),
    slow(
        [
            (2, True, "minibatches"),
            (4, False, "batch"),
            (4, True, "batch"),
            (2, False, "minibatches"),
        ]
    ),
)
@pytest.mark.parametrize("limit", [1e9, 1e-9])
def test_an_update_is_the_same(num_devices, shared_trunk, kl_estimate, limit, monkeypatch):
    """Two epochs of two minibatches; the second is without the actor if the KL limit is reached."""
    # The axis is one of devices: their epochs are not those of runs side by side.
    monkeypatch.setattr(jax.custom_batching, "custom_vmap", WithoutRule)
    policy, env = make_policy(shared_trunk=shared_trunk), make_env()
    config = configure(minibatch_trials=4, epochs=2, kl_limit=limit, kl_estimate=kl_estimate)
    state = make_state(policy, config)
    keys = jax.random.split(jax.random.key(5), TRIALS)
    batch = jax.jit(ppo.collect, static_argnums=(0, 1, 2))(config, env, policy, state.params, keys)[0]

    def learn(batch, state):
        return ppo.update(config, policy, state, batch, rates(0.02), KEY)

    def learn_in_parts(batch, state):
        cut = dataclasses.replace(config, part_steps=1)  # one trial at a time
        return ppo.update(cut, policy, state, batch, rates(0.02), KEY)

    alone, metrics = jax.jit(learn)(batch, state)
    for function in (learn, learn_in_parts):
        learnt, figures = same_on_all(on_devices(function, num_devices, batch.replace(axis="tasks"), state))
        assert_close(learnt.params, alone.params, rtol=1e-3, atol=1e-4)
        assert_close(figures, metrics, rtol=1e-3, atol=1e-5)
    assert metrics["actor_epochs"] == (2 if limit == 1e9 else 1)
