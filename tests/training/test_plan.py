"""The sizes of a run, beside those of the arrays that it really makes."""

import dataclasses

import jax
import pytest

from rl3_jax import ppo, training
from rl3_jax.presets import make_config
from rl3_jax.training.plan import count, num_bytes


def config(policy="gru", horizon=8, **hyper):
    """A small run on bandits."""
    hyper = {"trials": 8, "minibatch_trials": 4, "epochs": 2} | hyper
    return make_config("bandit-h100-quick", policy=policy, horizon=horizon, ppo=hyper)


def real_bytes(tree):
    """Bytes of arrays that were made; of keys, what they are made of."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize("hyper", [{}, {"segment_length": 2, "segment_carries": "stored"}])
def test_sizes_are_those_of_the_arrays(hyper):
    run = config(**hyper)
    policy, counts = run.network, count(run)
    learnt = training.init(run, jax.random.key(0)).learnt
    batch, _ = jax.jit(lambda params, keys: ppo.collect(run.ppo, run.env, policy, params, keys))(
        learnt.params, jax.random.split(jax.random.key(1), 8)
    )
    assert counts["parameters"] == 4 * sum(leaf.size for leaf in jax.tree.leaves(learnt.params))
    assert counts["parameters"] == real_bytes(learnt.params)
    assert counts["optimiser"] == real_bytes(learnt.opt_state)
    assert counts["trajectory"] == real_bytes(batch)
    assert counts["carries"] == 8 * real_bytes(policy.initial_carry())
    dropped = (batch.trajectory.rewards, batch.trajectory.values, batch.value_scale)
    assert counts["update"] == real_bytes(batch) - real_bytes(dropped)


def test_activations_grow_with_the_minibatch_and_shrink_with_segments():
    def activations(**hyper):
        return count(config(horizon=32, **hyper))["activations"]

    one, two = activations(minibatch_trials=2), activations(minibatch_trials=4)
    assert 1.8 < two / one < 2.2
    assert activations(segment_length=4) < two / 3
    assert activations(part_steps=64, minibatch_trials=4) == one
    # At the least the trunk's inputs and outputs, 64 units each at each step.
    assert two > 4 * 32 * (64 + 64) * 4


def test_a_shared_trunk_takes_the_activations_of_one_network():
    apart = config()
    shared = dataclasses.replace(apart, policy=dataclasses.replace(apart.policy, shared_trunk=True))
    apart = dataclasses.replace(apart, policy=dataclasses.replace(apart.policy, shared_trunk=False))
    one, two = count(shared), count(apart)
    assert one["parameters"] < 0.6 * two["parameters"]
    assert one["activations"] == pytest.approx(two["activations"], rel=0.2)


@pytest.mark.parametrize(("every", "num_tasks", "at_once"), [(0, 7, 0), (3, 7, 7), (3, 1200, 500)])
def test_an_evaluation_holds_the_memories_of_a_batch_of_tasks(every, num_tasks, at_once):
    hyper = training.EvaluationConfig(every=every, num_tasks=num_tasks)
    run = dataclasses.replace(config(), evaluation=hyper)
    assert count(run)["evaluation"] == at_once * real_bytes(run.network.initial_carry())


def test_bytes_of_a_tree():
    assert (
        num_bytes({"a": jax.numpy.zeros((3, 2)), "b": (jax.random.key(0), jax.numpy.int8(1))}) == 24 + 8 + 1
    )
