"""The transformer against a NumPy twin; its cache, blocks of queries and recomputed layers."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.constraints import problems
from rl3_jax.policies import CoreSpec, Transformer
from rl3_jax.policies.attention import QUERY_BLOCK, causal_attention
from rl3_jax.testing.cores import opinionated
from rl3_jax.testing.trees import signature
from tests.marks import slow
from tests.reference import attention
from tests.trees import assert_close, assert_near

NUM_TASKS, NUM_STEPS, WIDTH = 3, 11, 8
SPEC = CoreSpec(width=WIDTH, horizon=NUM_STEPS)
CORE = Transformer(layers=2, heads=2, feed_forward=12)


def empty(core, spec, num_tasks):
    """Caches of no steps."""
    return jax.tree.map(lambda x: jnp.broadcast_to(x, (num_tasks, *x.shape)), core.initial_carry(spec))


INPUTS = jax.random.normal(jax.random.key(0), (NUM_TASKS, NUM_STEPS, WIDTH))
PARAMS = opinionated(
    jax.jit(CORE.module(SPEC).init)(jax.random.key(1), empty(CORE, SPEC, NUM_TASKS), INPUTS[:, :1])["params"]
)


def whole(core, params, inputs) -> Any:
    """Caches and outputs of whole trials."""
    return core.module(SPEC).apply({"params": params}, empty(core, SPEC, len(inputs)), inputs)


def stepwise(core, params, inputs) -> Any:
    """The same, one step at a time."""

    def step(carry, x):
        return core.module(SPEC).apply({"params": params}, carry, x, method="step")

    return jax.vmap(lambda x: jax.lax.scan(step, core.initial_carry(SPEC), x))(inputs)


def test_it_is_its_twin():
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), PARAMS)
    expected = [attention.core(params, x, [attention.softmax_read] * CORE.heads) for x in INPUTS]
    np.testing.assert_allclose(jax.jit(partial(whole, CORE))(PARAMS, INPUTS)[1], expected, atol=2e-5)


@pytest.mark.parametrize("parts", [1, 3, 20])
def test_a_step_reads_the_same_from_any_parts(parts):
    core = dataclasses.replace(CORE, cache_parts=parts)
    caches, outputs = jax.jit(partial(whole, core))(PARAMS, INPUTS)
    stepped_caches, stepped = jax.jit(partial(stepwise, core))(PARAMS, INPUTS)
    np.testing.assert_allclose(stepped, outputs, atol=1e-5)
    assert signature(stepped_caches) == signature(caches)
    assert_close(stepped_caches, caches, atol=1e-5)
    assert all(part.size for layer in caches.keys for part in layer)


def test_tasks_at_different_steps_read_their_own():
    """Tasks are at steps of their own: under `vmap` the position then differs."""
    run = jax.jit(partial(whole, CORE))
    outputs = run(PARAMS, INPUTS)[1]
    ahead = [5, 1, 9]
    caches = [run(PARAMS, INPUTS[i : i + 1, :n])[0] for i, n in enumerate(ahead)]
    caches = jax.tree.map(lambda *x: jnp.concatenate(x), *caches)
    assert caches.position.tolist() == ahead
    inputs = jnp.stack([INPUTS[i, n] for i, n in enumerate(ahead)])
    step = partial(CORE.module(SPEC).apply, {"params": PARAMS}, method="step")
    after, found = jax.jit(jax.vmap(step))(caches, inputs)
    expected = jnp.stack([outputs[i, n] for i, n in enumerate(ahead)])
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert after.position.tolist() == [n + 1 for n in ahead]


def acting_program(core, spec, num_tasks):
    """The text of the compiled program that acts through whole trials."""
    module = core.module(spec)
    params = module.init(jax.random.key(0), empty(core, spec, 1), jnp.zeros((1, 1, spec.width)))

    def act(inputs):
        return jax.lax.scan(partial(module.apply, params, method="step"), core.initial_carry(spec), inputs)[1]

    inputs = jnp.zeros((num_tasks, spec.horizon, spec.width))
    return jax.jit(jax.vmap(act)).lower(inputs).compile().as_text()


@pytest.mark.parametrize("fields", slow([{}, {"positions": "rotary", "window": 30}]), ids=str)
def test_acting_neither_copies_the_cache_nor_reads_it_whole(fields):
    """In lockstep a step is a true choice among prefixes, and no part of the cache is copied."""
    core = dataclasses.replace(CORE, layers=1, cache_parts=3, **fields)
    program = acting_program(core, CoreSpec(width=8, horizon=30), num_tasks=7)
    loop, start = program.split("ENTRY")
    assert "conditional(" in loop
    assert "f32[7,2,10,4]" in loop
    assert "f32[7,2,30,4]" not in program
    assert not [line for line in loop.splitlines() if "= f32[7,2,10,4]" in line and " copy(" in line]
    assert "while(" in start


def gradients(core, inputs=INPUTS):
    weights = jax.random.normal(jax.random.key(2), inputs.shape)
    loss = lambda params, inputs: (weights * whole(core, params, inputs)[1]).sum()  # noqa: E731
    return jax.jit(jax.grad(loss, argnums=(0, 1)))(PARAMS, inputs)


CHANGES = [{"tasks": "all"}, {"tasks": "all", "remat": True}, {"tasks": "each", "remat": True}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_the_gradient_does_not_depend_on_how_it_is_computed(change):
    ours, plain = dataclasses.replace(CORE, **change), dataclasses.replace(CORE, tasks="each")
    assert_near(gradients(ours), gradients(plain))


def test_recomputing_layers_keeps_less():
    """The bytes between forward and backward pass are fewer."""

    def kept(core):
        spec = CoreSpec(width=32, horizon=128)
        inputs = jnp.zeros((4, 128, 32))
        module, carry = core.module(spec), empty(core, spec, 4)
        params = jax.eval_shape(module.init, jax.random.key(0), carry, inputs)
        outputs = lambda params, inputs: module.apply(params, carry, inputs)[1]  # noqa: E731
        pullback = jax.eval_shape(lambda *x: jax.vjp(outputs, *x)[1], params, inputs)
        return sum(leaf.size for leaf in jax.tree.leaves(pullback))

    core = Transformer(feed_forward=128, tasks="each")
    assert kept(dataclasses.replace(core, remat=True)) < 0.5 * kept(core)


@pytest.mark.parametrize("num_steps", [1, QUERY_BLOCK, 2 * QUERY_BLOCK + 5])
def test_blocks_of_queries_are_attention(num_steps):
    """Outputs and gradients are those of the library's attention."""
    keys = jax.random.split(jax.random.key(3), 4)
    q, k, v, weights = (jax.random.normal(key, (num_steps, 2, 4)) for key in keys)

    def values_and_gradients(function):
        loss = lambda *x: (weights * function(*x)).sum()  # noqa: E731
        return jax.jit(function)(q, k, v), jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(q, k, v)

    library = partial(jax.nn.dot_product_attention, is_causal=True)
    assert_close(values_and_gradients(causal_attention), values_and_gradients(library), rtol=1e-4, atol=1e-5)


def test_large_scores_stay_finite():
    q = 1e3 * jnp.ones((5, 1, 4))
    gradient = jax.grad(lambda q: causal_attention(q, q, q).sum())(q)
    assert jnp.isfinite(causal_attention(q, q, q)).all()
    assert jnp.isfinite(gradient).all()


def test_fresh_outputs_depend_on_the_input():
    spec = CoreSpec(width=64, horizon=40)
    inputs = jnp.tanh(jax.random.normal(jax.random.key(4), (8, 40, 64)))
    core = Transformer()
    module, carry = core.module(spec), empty(core, spec, 8)
    params = jax.jit(module.init)(jax.random.key(5), carry, inputs)
    outputs = jax.jit(module.apply)(params, carry, inputs)[1]
    # Each unit differs among tasks at the same step, and among the steps of a task.
    assert outputs.std(axis=0).mean(0).min() > 0.5
    assert outputs.std(axis=1).min() > 0.4


def test_what_is_wrong_is_said():
    assert problems(Transformer()) == []
    found = problems(Transformer(layers=0, heads=-1, feed_forward=0, cache_parts=0), "policy.core")
    assert [message.split(" is ")[0].split(".")[-1] for message in found] == [
        "layers",
        "heads",
        "feed_forward",
        "cache_parts",
    ]
    assert Transformer(heads=4).spec_problems(CoreSpec(64, 10)) == []
    (message,) = Transformer(heads=3).spec_problems(CoreSpec(64, 10))
    assert "heads is 3" in message
    assert "width 64" in message
