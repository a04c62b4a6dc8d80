"""The minGRU core against a NumPy twin, its gradients against autodiff, and its two scans."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.constraints import problems
from rl3_jax.policies import CoreSpec, MinGru
from rl3_jax.policies.mingru import gated_average
from rl3_jax.policies.products import project_steps
from rl3_jax.testing.cores import opinionated
from tests.policies.test_gru import assert_close_trees, loss_of
from tests.reference import recurrent

NUM_TASKS, NUM_STEPS, WIDTH = 3, 13, 8
SPEC = CoreSpec(width=WIDTH, horizon=NUM_STEPS)
SCANS = ("sequential", "associative")


def steps(seed=0):
    """Gates and values [T, B, W], first memories [B, W], and what multiplies the results in a loss."""
    keys = jax.random.split(jax.random.key(seed), 5)
    gate, value, weights = (2.0 * jax.random.normal(key, (NUM_STEPS, NUM_TASKS, WIDTH)) for key in keys[:3])
    carry, last = (jax.random.normal(key, (NUM_TASKS, WIDTH)) for key in keys[3:])
    return (gate, value, carry), (last, weights)


def setting(layers):
    """Weights, memories [B, W] of each layer, inputs [B, T, W], and what multiplies them in a loss."""
    keys = jax.random.split(jax.random.key(layers), 3 + 2 * layers)
    inputs, weights = (jax.random.normal(key, (NUM_TASKS, NUM_STEPS, WIDTH)) for key in keys[:2])
    carry, last = (
        tuple(jax.random.normal(key, (NUM_TASKS, WIDTH)) for key in part)
        for part in (keys[3 : 3 + layers], keys[3 + layers :])
    )
    params = MinGru(layers=layers).module(SPEC).init(keys[2], carry, inputs)["params"]
    return opinionated(params), carry, inputs, (last, weights)


def unroll(params, carry, inputs, scan: Any = "sequential") -> Any:
    """What the core does."""
    core = MinGru(layers=len(carry), scan=scan)
    return core.module(SPEC).apply({"params": params}, carry, inputs)


def total(weights):
    """A loss of `unroll` in which all outputs and all last memories matter."""

    def loss(params, carry, inputs):
        found = unroll(params, carry, inputs)
        return sum((w * x).sum() for w, x in zip(*map(jax.tree.leaves, (weights, found)), strict=True))

    return loss


def plain(gate, value, carry, scan=None) -> Any:
    """The recurrence as the paper writes it, for autodiff."""
    del scan

    def step(carry, at):
        opened = jax.nn.sigmoid(at[0])
        carry = (1.0 - opened) * carry + opened * at[1]
        return carry, carry

    return jax.lax.scan(step, carry, (gate, value))


@pytest.mark.parametrize("scan", SCANS)
def test_recurrence_equals_the_numpy_twin(scan):
    (gate, value, carry), _ = steps()
    outputs: Any = gated_average(gate, value, carry, scan)
    opened = recurrent.sigmoid(np.asarray(gate, np.float64))
    expected = recurrent.recurrence(1.0 - opened, opened * np.asarray(value), carry)
    np.testing.assert_allclose(outputs[1], expected, atol=2e-6)


@pytest.mark.parametrize("scan", SCANS)
def test_gradient_is_that_of_autodiff(scan):
    arrays, weights = steps()

    def ours(*arrays):
        return gated_average(*arrays, scan)

    found, expected = (
        jax.value_and_grad(loss_of(function, weights), (0, 1, 2))(*arrays) for function in (ours, plain)
    )
    assert_close_trees(found, expected)


@pytest.mark.parametrize("scan", SCANS)
def test_slope_of_the_numpy_twin(scan):
    arrays, weights = steps()
    last, each = (np.asarray(w, np.float64) for w in weights)

    def twin(arrays):
        gate, value, carry = arrays
        opened = recurrent.sigmoid(gate)
        outputs = recurrent.recurrence(1.0 - opened, opened * value, carry)
        return (last * outputs[-1]).sum() + (each * outputs).sum()

    def ours(*arrays):
        return gated_average(*arrays, scan)

    direction = opinionated(tuple(map(jnp.zeros_like, arrays)), scale=1.0)
    gradient = jax.grad(loss_of(ours, weights), (0, 1, 2))(*arrays)
    found = sum(float(jnp.vdot(g, d)) for g, d in zip(gradient, direction, strict=True))
    np.testing.assert_allclose(found, recurrent.slope(twin, arrays, direction), rtol=1e-4)


def test_gradient_of_a_product_is_that_of_autodiff():
    (inputs, weights, _), _ = steps()
    matrix = jax.random.normal(jax.random.key(1), (WIDTH, WIDTH))

    def loss(product):
        return lambda x, w: (weights * product(x, w)).sum()

    found = jax.grad(loss(lambda x, w: project_steps(x, w, "float32")), (0, 1))(inputs, matrix)
    assert_close_trees(found, jax.grad(loss(jnp.matmul), (0, 1))(inputs, matrix))


@pytest.mark.parametrize("layers", [1, 2])
def test_equals_the_numpy_twin(layers):
    params, carry, inputs, _ = setting(layers)
    after, outputs = unroll(params, carry, inputs)
    for task in range(NUM_TASKS):
        memories = [memory[task] for memory in carry]
        last, expected = recurrent.mingru(params, memories, inputs[task])
        np.testing.assert_allclose(outputs[task], expected, atol=5e-6)
        np.testing.assert_allclose([memory[task] for memory in after], last, atol=5e-6)


def test_both_scans_are_the_same():
    params, carry, inputs, _ = setting(2)
    found, expected = (unroll(params, carry, inputs, scan) for scan in SCANS)
    assert_close_trees(found, expected)


def test_two_segments_are_the_whole_trial():
    params, carry, inputs, weights = setting(2)
    whole = jax.value_and_grad(total(weights), (0, 1, 2))(params, carry, inputs)

    def segments(params, carry, inputs):
        carry, first = unroll(params, carry, inputs[:, :4])
        last, second = unroll(params, carry, inputs[:, 4:])
        found = (last, jnp.concatenate([first, second], axis=1))
        return sum((w * x).sum() for w, x in zip(*map(jax.tree.leaves, (weights, found)), strict=True))

    assert_close_trees(jax.value_and_grad(segments, (0, 1, 2))(params, carry, inputs), whole)


def test_gates_start_with_memories_of_all_lengths():
    spec = CoreSpec(width=1000, horizon=100)
    inputs = jnp.zeros((1, 1, 1000))
    params: Any = MinGru().module(spec).init(jax.random.key(0), (inputs[:, 0],), inputs)["params"]
    steps = 1.0 / jax.nn.sigmoid(params["layers_0"]["gate"]["bias"])
    counts = np.histogram(steps, bins=[2.0, 26.75, 51.5, 76.25, 101.0])[0]
    assert counts.sum() == 1000
    assert counts.min() > 200


def test_names_what_is_wrong():
    assert problems(MinGru()) == []
    wrong = MinGru(layers=0, scan="tree")  # pyright: ignore[reportArgumentType]
    assert problems(wrong, "policy.core") == [
        "policy.core.layers is 0; it must be between 1 and 100 (each is compiled by itself)",
        "unknown policy.core.scan 'tree'; choose from: associative, auto, sequential",
    ]
