"""A process keeps a few programs of a function."""

import gc
import weakref

import jax.numpy as jnp
import numpy as np

from rl3_jax.programs import MOST_PROGRAMS, jit_of_few


class Factor:
    """A static argument, of which can be told whether something still holds it."""

    def __init__(self, value):
        self.value = value


def test_the_least_recently_used_program_is_let_go_and_compiled_again_if_need_be():
    traced = []

    @jit_of_few(["factor"])
    def times(factor, x, plus=1.0):
        traced.append(factor.value)
        return factor.value * x + plus

    factors = [Factor(value) for value in range(MOST_PROGRAMS + 1)]
    for factor in factors[:-1]:
        for x in (1.0, 2.0):
            assert times(factor, x) == factor.value * x + 1.0
    assert traced == list(range(MOST_PROGRAMS))
    assert times(x=3.0, factor=factors[1], plus=2.0) == 5.0
    assert times(factors[-1], 3.0) == factors[-1].value * 3.0 + 1.0
    assert traced == list(range(MOST_PROGRAMS + 1))
    held = [weakref.ref(factor) for factor in factors]
    del factors, factor
    gc.collect()
    assert [ref() is not None for ref in held] == [False] + [True] * MOST_PROGRAMS
    assert times(Factor(0), 1.0) == 1.0
    assert len(traced) == MOST_PROGRAMS + 2


def test_other_structures_are_other_programs_and_donated_arguments_are_given_away():
    @jit_of_few(["size"], donate_argnames=["y"])
    def add(x, size, y):
        return {name: value + size + x for name, value in y.items()}

    y = {"a": jnp.ones(3)}
    np.testing.assert_array_equal(add(1.0, 2, y)["a"], [4.0] * 3)
    assert y["a"].is_deleted()
    assert set(add(1.0, 2, {"a": jnp.ones(3), "b": jnp.ones(2)})) == {"a", "b"}
    assert add.program.cache_info().currsize == 2
