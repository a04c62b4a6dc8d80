"""The GRU core against a NumPy twin, its gradient against autodiff, and its blocks."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from rl3_jax.constraints import problems
from rl3_jax.policies import CoreSpec, Gru
from rl3_jax.testing.cores import opinionated
from tests.reference import recurrent

NUM_TASKS, NUM_STEPS, WIDTH = 5, 13, 8
SPEC = CoreSpec(width=WIDTH, horizon=NUM_STEPS)


def setting(seed=0):
    """Weights, memories, inputs and what multiplies the outputs and the last memories in a loss."""
    keys = jax.random.split(jax.random.key(seed), 5)
    shapes = ((NUM_TASKS, WIDTH), (NUM_TASKS, NUM_STEPS, WIDTH)) * 2
    carry, inputs, last, weights = (
        jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=False)
    )
    params = Gru().module(SPEC).init(keys[4], carry, inputs)["params"]
    return opinionated(params), carry, inputs, (last, weights)


def unroll(params, carry, inputs, block=0, gradient="auto") -> Any:
    """What the core does."""
    return Gru(block=block, gradient=gradient).module(SPEC).apply({"params": params}, carry, inputs)


def plain(params, carry, inputs) -> Any:
    """The same, by flax's cell in a scan over time."""
    cell = nn.GRUCell(carry.shape[-1])

    def step(carry, inputs) -> Any:
        return cell.apply({"params": params["cell"]}, carry, inputs)

    carry, outputs = jax.lax.scan(step, carry, inputs.swapaxes(0, 1))
    return carry, outputs.swapaxes(0, 1)


def loss_of(function, weights):
    """A loss in which all outputs and all last memories matter."""

    def loss(params, carry, inputs):
        return sum((w * x).sum() for w, x in zip(weights, function(params, carry, inputs), strict=True))

    return loss


def assert_close_trees(ours, theirs, relative=1e-5):
    """Each array differs by no more than a part of its largest entry."""
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for x, y in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert jnp.abs(y).max() > 1e-3
        np.testing.assert_allclose(x, y, rtol=0.0, atol=relative * float(jnp.abs(y).max()))


def gradients(test):
    """Run a test with each gradient and on each platform on which it differs."""
    cases = [("cpu", "stored"), ("cpu", "recomputed"), ("gpu", "recomputed")]
    return pytest.mark.parametrize(("each_platform", "gradient"), cases, indirect=["each_platform"])(
        pytest.mark.usefixtures("each_platform")(test)
    )


@gradients
def test_equals_the_numpy_twin(gradient):
    params, carry, inputs, _ = setting()
    after, outputs = unroll(params, carry, inputs, gradient=gradient)
    expected = np.array([recurrent.gru(params["cell"], *task) for task in zip(carry, inputs, strict=True)])
    np.testing.assert_allclose(outputs, expected, atol=2e-6)
    np.testing.assert_array_equal(after, outputs[:, -1])


@gradients
def test_slope_of_the_numpy_twin(gradient):
    params, carry, inputs, weights = setting()
    last, each = (np.asarray(w, np.float64) for w in weights)

    def twin(arrays):
        params, carry, inputs = arrays
        outputs = np.array([recurrent.gru(params["cell"], *task) for task in zip(carry, inputs, strict=True)])
        return (last * outputs[:, -1]).sum() + (each * outputs).sum()

    arrays = (params, carry, inputs)
    direction = opinionated(jax.tree.map(jnp.zeros_like, arrays), scale=1.0)
    slopes = jax.grad(loss_of(partial(unroll, gradient=gradient), weights), (0, 1, 2))(*arrays)
    leaves = zip(jax.tree.leaves(slopes), jax.tree.leaves(direction), strict=True)
    found = sum(float(jnp.vdot(g, d)) for g, d in leaves)
    np.testing.assert_allclose(found, recurrent.slope(twin, arrays, direction), rtol=1e-4)


@gradients
@pytest.mark.parametrize("block", [0, 2, 3])
def test_gradient_is_that_of_autodiff(block, gradient):
    params, carry, inputs, weights = setting()

    def ours(*arrays):
        return unroll(*arrays, block=block, gradient=gradient)

    found, expected = (
        jax.jit(jax.value_and_grad(loss_of(function, weights), (0, 1, 2)))(params, carry, inputs)
        for function in (ours, plain)
    )
    assert_close_trees(found, expected)


def test_both_gradients_are_as_near_in_bfloat16():
    params, carry, inputs, weights = setting()
    spec = CoreSpec(width=WIDTH, horizon=NUM_STEPS, compute="bfloat16")

    def ours(gradient, params, carry, inputs) -> Any:
        return Gru(gradient=gradient).module(spec).apply({"params": params}, carry, inputs)

    stored, recomputed = (
        jax.grad(loss_of(partial(ours, gradient), weights), (0, 1, 2))(params, carry, inputs)
        for gradient in ("stored", "recomputed")
    )
    assert_close_trees(recomputed, stored, relative=0.01)


def test_two_segments_are_the_whole_trial():
    params, carry, inputs, weights = setting()

    def segments(params, carry, inputs):
        carry, first = unroll(params, carry, inputs[:, :4])
        carry, second = unroll(params, carry, inputs[:, 4:])
        return carry, jnp.concatenate([first, second], axis=1)

    found, expected = (
        jax.value_and_grad(loss_of(function, weights), (0, 1, 2))(params, carry, inputs)
        for function in (segments, unroll)
    )
    assert_close_trees(found, expected)


def test_a_block_does_not_change_a_task():
    params, carry, inputs, _ = setting()
    expected = unroll(params, carry, inputs, block=NUM_TASKS)
    for block in range(1, NUM_TASKS):
        assert_close_trees(unroll(params, carry, inputs, block=block), expected, relative=1e-6)


def test_flax_weights_fit():
    params, carry, inputs, _ = setting()
    theirs = nn.GRUCell(WIDTH).init(jax.random.key(0), carry, inputs[:, 0])["params"]
    assert jax.tree.map(jnp.shape, params["cell"]) == jax.tree.map(jnp.shape, theirs)


def test_names_a_wrong_block():
    assert problems(Gru(block=0)) == []
    assert problems(Gru(block=-1), "policy.core") == [
        "policy.core.block is -1; it must be at least 0 (0 for the default)"
    ]
