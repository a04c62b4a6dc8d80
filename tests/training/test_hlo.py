"""Counts of what a compiled program does, on programs whose counts are known."""

import jax
import jax.numpy as jnp
import pytest

from rl3_jax import training
from rl3_jax.run.planning import names_kept
from rl3_jax.training.hlo import Program, num_bytes, shapes, training_costs
from tests.run import tiny


def cost(function, *arguments):
    """What a function does, once compiled."""
    program = Program(jax.jit(function).lower(*arguments).compile().as_text())
    return program.cost(program.entry)


X, W = jnp.ones((16, 32)), jnp.ones((32, 32))
PRODUCT = 2 * 16 * 32 * 32


def test_products_in_loops_and_branches():
    def program(x, w, limit):
        x = jax.lax.fori_loop(0, 70, lambda _, x: jnp.tanh(x @ w), x)
        x = jax.lax.while_loop(lambda x: x.sum() < limit, lambda x: jnp.sin(x @ w), x)
        return jax.lax.cond(x.sum() > 0, lambda x: jnp.sin(jnp.sin(x) @ w @ w), lambda x: x, x)

    found = cost(program, X, W, 1.0)
    assert found["flops"] == (70 + 1 + 2) * PRODUCT  # a loop of unknown length runs once
    assert (found["open_loops"], found["conditionals"], found["collectives"]) == (1, 1, 0)
    assert found["kernels"] >= 73


def test_a_loop_costs_its_length():
    def program(length):
        return cost(lambda x, w: jax.lax.fori_loop(0, length, lambda _, x: jnp.tanh(x @ w), x), X, W)

    few, many = program(50), program(100)
    for name in ("kernels", "flops", "bytes"):
        each = (many[name] - few[name]) / 50
        assert each > 0
        assert many[name] == pytest.approx(100 * each, rel=0.1)


def test_what_is_sliced_or_updated_in_place_counts_in_part():
    x, part = jnp.zeros((1000, 100)), jnp.ones((1, 100))
    update = jax.jit(lambda x, part, i: jax.lax.dynamic_update_slice(x, part, (i, 0)), donate_argnums=0)
    program = Program(update.lower(x, part, 3).compile().as_text())
    assert program.cost(program.entry)["bytes"] < 2000
    read = cost(lambda x, i: 2.0 * jax.lax.dynamic_slice(x, (i, 0), (1, 100)), x, 3)
    assert 800 <= read["bytes"] < 1000
    # Of a slice that is sliced once more.
    read = cost(lambda x, i: 2.0 * jnp.take(x[1], i, axis=0), jnp.zeros((2, 1000, 100)), 3)
    assert 800 <= read["bytes"] < 1000


def test_types_as_text():
    assert shapes("(f32[2,3]{1,0:T(8,128)}, /*index=1*/pred[], bf16[7])") == [
        ("f32", [2, 3]), ("pred", []), ("bf16", [7]),
    ]  # fmt: skip
    assert num_bytes("(f32[2,3]{1,0}, pred[], bf16[7])") == 24 + 1 + 14


def test_operands_may_have_their_types_before_them():
    line = "  ROOT %d = f32[2,4]{1,0:T(8,128)} dot(f32[2,3]{1,0:T(8,128)} %a, f32[3,4]{1,0} %b), "
    text = "ENTRY %main (a: f32[2,3], b: f32[3,4]) -> f32[2,4] {\n"
    text += "  %a = f32[2,3]{1,0:T(8,128)} parameter(0)\n  %b = f32[3,4]{1,0} parameter(1)\n"
    program = Program(text + line + "lhs_contracting_dims={1}, rhs_contracting_dims={0}\n}\n")
    found = program.cost("main")
    assert found["flops"] == 2 * 2 * 3 * 4
    assert found["bytes"] == 4 * (2 * 3 + 3 * 4 + 2 * 4)


def test_a_training_program_multiplies_what_its_network_does():
    state = jax.eval_shape(lambda: training.init(tiny.CONFIG, jax.random.key(0)))
    with names_kept():
        found = training_costs(training.lower_steps(tiny.CONFIG, state).compile().as_text())
    of_actor = sum(leaf.size for leaf in jax.tree.leaves(state.learnt.params["actor"]) if leaf.ndim == 2)
    assert found["rollout_step"]["flops"] == 2 * tiny.CONFIG.ppo.trials * of_actor
    assert found["rollout_step"]["kernels"] > 3
    steps = tiny.CONFIG.ppo.minibatch_trials * tiny.CONFIG.horizon
    # Forward, and backward for parameters and, but in the first layer, for activations; actor and critic.
    assert 2 * steps * of_actor * 3 < found["gradient_step"]["flops"] < 2 * steps * of_actor * 6
    assert found["gradient_step"]["collectives"] == 0
