"""Hashed states: rows against the twin, and what becomes of a table that is too small."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rl3_jax.object_rl import Hashed, TableSpec
from tests.reference import hashing

STEPS = 40
SPACE = TableSpec(0, 3, 10, bounds=((-1.0, 1.0),) * 3)
WHOLE = TableSpec(10**6, 3, 10)


@pytest.mark.parametrize("rows", [1, 5, 16, 512])
@given(places=hnp.arrays(np.float32, (STEPS, 3), elements=st.sampled_from([-1.0, -0.0, 0.0, 0.5])))
def test_rows_equal_those_of_the_twin(rows, places):
    twin = hashing.Hashed(rows)
    expected = [twin.enter(tuple(map(hashing.bits, place.tolist()))) for place in places]
    memory, found = enter(Hashed(rows), SPACE, jnp.asarray(places))
    np.testing.assert_array_equal(found, expected)
    assert memory.collisions == twin.collisions


def enter(hashed, space, places):
    """Return the memory after all places, and the row of each when it was met."""

    def step(memory, place):
        at = (place, None) if space.num_states else (None, place)
        memory = hashed.enter(space, memory, *at)
        return memory, hashed.locate(space, memory, *at)

    return jax.jit(lambda places: jax.lax.scan(step, hashed.init(space), places))(places)


def test_integers_far_beyond_the_table_get_rows_of_their_own():
    states = jnp.arange(0, 10**6, 10**4)
    memory, rows = enter(Hashed(512), WHOLE, states)
    assert len(np.unique(rows)) == len(states)
    assert memory.collisions == 0
    np.testing.assert_array_equal(
        rows, jax.vmap(lambda s: Hashed(512).locate(WHOLE, memory, s, None))(states)
    )


def test_vectors_in_one_bin_share_a_row():
    places = jnp.array([[0.01, 0.01, 0.01], [0.24, 0.2, 0.1], [0.26, 0.2, 0.1], [9.0, 0.2, 0.1]])
    _, rows = enter(Hashed(bins=8), SPACE, places)
    assert rows[0] == rows[1]
    assert len(np.unique(rows)) == 3


def test_collisions_are_counted_and_share_a_row():
    memory, rows = enter(Hashed(4), WHOLE, jnp.arange(10))
    assert memory.collisions == Hashed(4).dropped(memory) == 6
    assert set(rows.tolist()) == {0, 1, 2, 3}


def test_what_does_not_fit():
    (nothing,) = Hashed().space_problems(TableSpec(0, 3, 10))
    assert "neither numbers nor coordinates" in nothing
    (no_coordinates,) = Hashed(bins=3).space_problems(WHOLE)
    assert "use bins 0" in no_coordinates
    (no_bounds,) = Hashed(bins=3).space_problems(TableSpec(0, 3, 10, bounds=((0.0, float("inf")),)))
    assert "finite bounds" in no_bounds
    assert Hashed().space_problems(TableSpec(0, 3, 10, bounds=((0.0, float("inf")),))) == []
