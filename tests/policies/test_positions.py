"""Positions and windows of the transformer: against a NumPy twin, beyond the horizon, and in parts."""

import dataclasses
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.constraints import problems
from rl3_jax.policies import CoreSpec, Transformer
from rl3_jax.policies.attention import QUERY_BLOCK, Reading, causal_attention, rotate
from rl3_jax.testing.cores import opinionated
from rl3_jax.testing.trees import signature
from tests.marks import slow
from tests.reference import attention
from tests.trees import assert_close, assert_near

NUM_TASKS, HORIZON, WIDTH, LONG = 3, 8, 8, 2 * QUERY_BLOCK + 5
SPEC = CoreSpec(width=WIDTH, horizon=HORIZON)
BASE = Transformer(layers=2, heads=2, feed_forward=12, positions="rotary", window=5, cache_parts=2)
INPUTS = jax.random.normal(jax.random.key(0), (NUM_TASKS, LONG, WIDTH))


def core_of(**fields):
    return dataclasses.replace(BASE, **fields)


def carries(core, num_tasks=NUM_TASKS):
    """Memories of no steps."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (num_tasks, *x.shape)), core.initial_carry(SPEC))


PARAMS = opinionated(jax.jit(BASE.module(SPEC).init)(jax.random.key(1), carries(BASE), INPUTS)["params"])
"""Those of any positions but learned ones, which are parameters."""


@partial(jax.jit, static_argnums=0)
def run(core, params, carry, inputs) -> Any:
    """Memories and outputs of parts of trials."""
    return core.module(SPEC).apply({"params": params}, carry, inputs)


@partial(jax.jit, static_argnums=0)
def stepwise(core, params, inputs) -> Any:
    """The same of whole trials, one step at a time."""

    def step(carry, x):
        return core.module(SPEC).apply({"params": params}, carry, x, method="step")

    return jax.vmap(lambda x: jax.lax.scan(step, core.initial_carry(SPEC), x))(inputs)


def twin(core, inputs):
    """The outputs of one trial, by NumPy."""
    window = core.window or len(inputs)
    if core.positions == "rotary":
        reads = [partial(attention.rotary_read, window=window)] * core.heads
    else:
        shares = [(head + 1) / core.heads for head in range(core.heads)]
        reads = [partial(attention.alibi_read, window=window, slope=2.0 ** (-8.0 * x)) for x in shares]
    return attention.core(jax.tree.map(lambda x: np.asarray(x, np.float64), PARAMS), inputs, reads)


KINDS = [("rotary", 5), ("alibi", 5), ("rotary", 0), ("alibi", 0)]


@pytest.mark.parametrize(("positions", "window"), KINDS)
def test_it_is_its_twin(positions, window):
    """With a window also in a trial of three horizons."""
    core = core_of(positions=positions, window=window)
    inputs = INPUTS[:, : 3 * HORIZON if window else HORIZON]
    expected = [twin(core, x) for x in inputs]
    np.testing.assert_allclose(run(core, PARAMS, carries(core), inputs)[1], expected, atol=2e-5)


@pytest.mark.parametrize("positions", slow(["rotary", "alibi"]))
@pytest.mark.parametrize(("window", "parts"), [(5, 2), *slow([(70, 4), (1, 1), (6, 20)], keep=0)])
def test_acting_is_training_where_the_ring_wraps_round(positions, window, parts):
    """Far beyond the horizon, over several blocks of queries, with windows of a step to over a block."""
    core = core_of(positions=positions, window=window, cache_parts=parts)
    after, outputs = run(core, PARAMS, carries(core), INPUTS)
    stepped_after, stepped = stepwise(core, PARAMS, INPUTS)
    np.testing.assert_allclose(stepped, outputs, atol=1e-5)
    assert signature(stepped_after) == signature(after)
    assert_close(stepped_after, after, atol=1e-5)


CUTS = (0, 3, 4, 30)


@pytest.mark.parametrize("positions", slow(["rotary", "alibi"]))
def test_parts_of_a_trial_are_the_whole(positions):
    """Shorter and longer than the window; the gradient goes through the memory handed on."""
    core, inputs = core_of(positions=positions), INPUTS[:, : CUTS[-1]]
    weights = jax.random.normal(jax.random.key(2), inputs.shape)

    def loss(cuts, params, inputs):
        carry, outputs = carries(core), []
        for first, last in pairwise(cuts):
            carry, part = run(core, params, carry, inputs[:, first:last])
            outputs.append(part)
        outputs = jnp.concatenate(outputs, axis=1)
        return (weights * outputs).sum(), (carry, outputs)

    (in_parts, gradient), (whole, expected) = (
        jax.jit(jax.grad(partial(loss, cuts), argnums=(0, 1), has_aux=True))(PARAMS, inputs)[::-1]
        for cuts in (CUTS, (0, CUTS[-1]))
    )
    assert_close(in_parts, whole, atol=1e-5)
    assert_near(gradient, expected, relative=2e-5)


def test_trials_at_different_steps_go_on_together():
    """As the segments of a minibatch do."""
    _, expected = run(BASE, PARAMS, carries(BASE), INPUTS)
    ahead = [0, 3, 41]
    later = [run(BASE, PARAMS, carries(BASE, 1), INPUTS[i : i + 1, : ahead[i]])[0] for i in (1, 2)]
    starts = jax.tree.map(lambda *x: jnp.concatenate(x), carries(BASE, 1), *later)
    inputs = jnp.stack([INPUTS[i, n : n + 30] for i, n in enumerate(ahead)])
    after, outputs = run(BASE, PARAMS, starts, inputs)
    np.testing.assert_allclose(outputs, [expected[i, n : n + 30] for i, n in enumerate(ahead)], atol=1e-5)
    assert after.position.tolist() == [n + 30 for n in ahead]


@pytest.mark.parametrize("positions", slow(["rotary", "alibi"]))
def test_a_step_sees_a_window_a_layer_and_nothing_before(positions):
    """(window − 1)·layers steps back; what it makes of them does not depend on when a trial began."""
    core, last = core_of(positions=positions), 40
    reach = (core.window - 1) * core.layers

    def change(back):
        moved = run(core, PARAMS, carries(core), INPUTS.at[:, last - back].multiply(-1.0))[1]
        return jnp.abs(moved[:, last] - whole[:, last]).max()

    whole = run(core, PARAMS, carries(core), INPUTS)[1]
    assert change(reach) > 1e-4
    assert change(reach + 1) == 0.0
    late = run(core, PARAMS, carries(core), INPUTS[:, last - reach :])[1]
    np.testing.assert_allclose(late[:, reach:], whole[:, last:], atol=2e-5)


def test_the_memory_does_not_depend_on_the_horizon():
    sizes = [signature(BASE.initial_carry(CoreSpec(WIDTH, horizon))) for horizon in (3, 1000)]
    assert sizes[0] == sizes[1]
    assert BASE.constant_carry
    assert not core_of(window=0).constant_carry


@pytest.mark.parametrize("alibi", [False, True])
@pytest.mark.parametrize("window", slow([20, 1, QUERY_BLOCK + 1]))
def test_blocks_of_queries_are_a_band(alibi, window):
    """Outputs and gradients are those of all products, masked."""
    keys = jax.random.split(jax.random.key(3), 4)
    q, k, v, weights = (jax.random.normal(key, (LONG, 2, 4)) for key in keys)
    ages = jnp.arange(LONG)[:, None] - jnp.arange(LONG)

    def banded(q, k, v):
        past = jnp.ones((window, 2, 4))  # before the trial: not to be seen
        k, v = (jnp.concatenate([past, x]) for x in (k, v))
        return causal_attention(q, k, v, 0, Reading(window=window, alibi=alibi))

    def masked(q, k, v):
        scores = jnp.einsum("thd,shd->hts", q, k) / 2.0
        scores -= alibi * jnp.array([1 / 16, 1 / 256])[:, None, None] * ages
        scores = jnp.where((ages >= 0) & (ages < window), scores, -jnp.inf)
        return jnp.einsum("hts,shd->thd", jax.nn.softmax(scores), v)

    def values_and_gradients(function):
        loss = lambda *x: (weights * function(*x)).sum()  # noqa: E731
        return jax.jit(function)(q, k, v), jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(q, k, v)

    assert_close(values_and_gradients(banded), values_and_gradients(masked), rtol=1e-4, atol=2e-5)


def test_rotated_products_depend_on_the_distance_alone():
    """Also late in a long trial, where float32 has few bits left for the angle."""
    q, k = jax.random.normal(jax.random.key(4), (2, 1, 2, 16))
    at = lambda x, step: rotate(x, jnp.array([step]))  # noqa: E731
    near, late = ((at(q, step) * at(k, step - 7)).sum(-1) for step in (7, 10_007))
    np.testing.assert_allclose(near, late, atol=5e-3)
    assert jnp.abs(near - (q * k).sum(-1)).max() > 0.1


def test_what_is_wrong_is_said():
    assert problems(BASE) == []
    (message,) = problems(Transformer(window=64), "policy.core")
    assert message.startswith("policy.core.window is 64, but learned positions end with the horizon; set")
    assert problems(Transformer(positions="absolute", window=-1), "policy.core") == [
        "unknown policy.core.positions 'absolute'; choose from: alibi, learned, rotary",
        "policy.core.window is -1; it must be at least 0",
    ]
    (message,) = Transformer(heads=4, positions="rotary").spec_problems(CoreSpec(20, 10))
    assert "policy.width 20, 5 for each head; rotary positions turn pairs" in message
    assert Transformer(heads=4, positions="alibi").spec_problems(CoreSpec(20, 10)) == []
    assert len(Transformer(heads=3, positions="rotary").spec_problems(CoreSpec(20, 10))) == 1
