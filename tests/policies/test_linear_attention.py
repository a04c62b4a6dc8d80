"""Linear attention against a NumPy twin; its chunks, memory and recomputed layers."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.constraints import problems
from rl3_jax.policies import CoreSpec, LinearAttention
from rl3_jax.policies.linear_attention import Past, chunked_attention, features, read
from rl3_jax.testing.cores import opinionated
from tests.reference import attention
from tests.trees import assert_near

NUM_TASKS, NUM_STEPS, WIDTH = 3, 11, 8
SPEC = CoreSpec(width=WIDTH, horizon=NUM_STEPS)
CORE = LinearAttention(layers=2, heads=2, feed_forward=12, chunk=4)
INPUTS = jax.random.normal(jax.random.key(0), (NUM_TASKS, NUM_STEPS, WIDTH))


def carries(core, spec, num_tasks):
    """Memories of no steps."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (num_tasks, *x.shape)), core.initial_carry(spec))


EMPTY = carries(CORE, SPEC, NUM_TASKS)
PARAMS = opinionated(jax.jit(CORE.module(SPEC).init)(jax.random.key(1), EMPTY, INPUTS)["params"])


def run(core, params, carry, inputs) -> Any:
    """Memories and outputs of parts of trials."""
    return core.module(SPEC).apply({"params": params}, carry, inputs)


def test_it_is_its_twin():
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), PARAMS)
    expected = [attention.core(params, x, [attention.linear_read] * CORE.heads) for x in INPUTS]
    np.testing.assert_allclose(jax.jit(partial(run, CORE))(PARAMS, EMPTY, INPUTS)[1], expected, atol=2e-5)


def setting():
    """Sums of some past, queries, keys and values of one trial, in the type that JAX now takes numbers in."""
    keys = jax.random.split(jax.random.key(2), 6)
    past = Past(jax.random.normal(keys[0], (2, 4, 4)), jnp.exp(jax.random.normal(keys[1], (2, 4))))
    return past, *(jax.random.normal(key, (NUM_STEPS, 2, 4)) for key in keys[2:5])


def by_steps(past, *steps):
    """Sums and what is read, one step at a time."""
    return jax.lax.scan(lambda past, x: read(past, *x), past, steps)


def in_two(middle, past, *steps):
    """Sums and what is read, the sums handed on at some step."""
    past, first = chunked_attention(past, *(x[:middle] for x in steps), chunk=4)
    past, second = chunked_attention(past, *(x[middle:] for x in steps), chunk=4)
    return past, jnp.concatenate([first, second])


FORMS = {f"chunks of {size}": partial(chunked_attention, chunk=size) for size in (1, 3, 4, 11, 64)}
FORMS |= {f"cut at {middle}": partial(in_two, middle) for middle in (1, 4, 7)}


@pytest.mark.parametrize("form", FORMS)
def test_chunks_and_segments_are_steps(form):
    """The same sums, reads and gradients to the rounding of float64, also with a past."""
    with jax.enable_x64(True):
        assert_near(sums_reads_and_gradients(FORMS[form]), sums_reads_and_gradients(by_steps), relative=1e-12)


def sums_reads_and_gradients(function):
    """What a form computes, and gradients of a loss in which each number of it matters."""

    def loss(*arrays):
        return sum(jnp.sin(leaf).sum() for leaf in jax.tree.leaves(function(*arrays)))

    return jax.jit(function)(*setting()), jax.jit(jax.grad(loss, argnums=(0, 1, 2, 3)))(*setting())


CHANGES = [{"tasks": "all"}, {"tasks": "all", "remat": True}, {"tasks": "each", "remat": True}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_gradient_does_not_depend_on_how_it_is_computed(change):
    ours, plain = dataclasses.replace(CORE, **change), dataclasses.replace(CORE, tasks="each")
    assert_near(gradients(ours), gradients(plain))


def gradients(core):
    """Gradients of a loss in which each output and each number of the last memories matters."""
    weights = jax.random.normal(jax.random.key(2), INPUTS.shape)

    def loss(params, carry, inputs):
        after, outputs = run(core, params, carry, inputs)
        return (weights * outputs).sum() + sum(leaf.sum() for leaf in jax.tree.leaves(after))

    return jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(PARAMS, EMPTY, INPUTS)


def test_a_long_trial_stays_exact():
    """Sums over 4096 steps in float32 read what float64 reads, whatever the size of the features."""
    keys = jax.random.split(jax.random.key(3), 3)
    scale = jnp.array([0.1, 30.0])[:, None]  # one head with usual features, one with huge and tiny ones
    q, k, v = (
        scale**power * jax.random.normal(key, (4096, 2, 4))
        for key, power in zip(keys, (1, 1, 0), strict=True)
    )
    empty = Past(jnp.zeros((2, 4, 4)), jnp.zeros((2, 4)))
    _, mixed = jax.jit(partial(chunked_attention, chunk=32))(empty, q, k, v)
    _, stepped = jax.jit(partial(jax.lax.scan, lambda past, x: read(past, *x)))(empty, (q, k, v))
    query, key, value = (np.asarray(x, np.float64)[:, 0] for x in (q, k, v))
    exact = attention.linear_read(query[-1], key, value)
    np.testing.assert_allclose(mixed, stepped, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mixed[-1, 0], exact, atol=1e-5)


def test_features_are_elu_plus_one_and_smooth():
    x = jnp.linspace(-20.0, 20.0, 81)
    np.testing.assert_allclose(features(x), jax.nn.elu(x) + 1.0, rtol=1e-6, atol=1e-7)
    slopes = jax.vmap(jax.grad(features))(x)
    np.testing.assert_allclose(slopes, jnp.where(x > 0, 1.0, jnp.exp(x)), rtol=1e-6)
    assert features(jnp.float32(-1e4)) == 0.0


def test_fresh_outputs_depend_on_the_input():
    spec = CoreSpec(width=64, horizon=40)
    inputs = jnp.tanh(jax.random.normal(jax.random.key(4), (8, 40, 64)))
    core = LinearAttention()
    module, carry = core.module(spec), carries(core, spec, 8)
    params = jax.jit(module.init)(jax.random.key(5), carry, inputs)
    outputs = jax.jit(module.apply)(params, carry, inputs)[1]
    # Each unit differs among tasks at the same step, and among the steps of a task.
    assert outputs.std(axis=0).mean(0).min() > 0.5
    assert outputs.std(axis=1).min() > 0.4


def test_what_is_wrong_is_said():
    assert problems(LinearAttention()) == []
    found = problems(LinearAttention(layers=0, heads=-1, feed_forward=0, chunk=0), "policy.core")
    assert [message.split(" is ")[0].split(".")[-1] for message in found] == [
        "layers",
        "heads",
        "feed_forward",
        "chunk",
    ]
    assert LinearAttention(heads=4).spec_problems(CoreSpec(64, 10)) == []
    (message,) = LinearAttention(heads=3).spec_problems(CoreSpec(64, 10))
    assert "heads is 3" in message
    assert "width 64" in message
