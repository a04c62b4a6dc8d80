import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rl3_jax.constraints import problems
from rl3_jax.object_rl import ABSTRACTIONS, Abstraction, Clusters, Identity, TableSpec, Tiling
from rl3_jax.tasks import Gridworld
from tests.reference.clusters import Clusters as SlowClusters

SIDE, STEPS = 5, 40
GRID = TableSpec(
    num_states=SIDE**2,
    num_actions=3,
    episode_length=STEPS,
    bounds=((0.0, 1.0), (0.0, 1.0)),
    num_successors=5,
    neighbour_radius=1.1 / SIDE,
)
VECTORS = TableSpec(0, 3, STEPS, bounds=((-1.0, 1.0), (0.0, 4.0), (2.0, 3.0)))
NUMBERS = TableSpec(4, 3, STEPS)


def place(index):
    """Return the coordinates of a state of the grid."""
    return jnp.stack([index // SIDE + 1, index % SIDE + 1]) / SIDE


@partial(jax.jit, static_argnums=0)
def meet(clusters, indices):
    """Return the final memory, and the cluster of each state when it was met."""

    def step(memory, index):
        memory = clusters.enter(GRID, memory, index, place(index))
        return memory, clusters.locate(GRID, memory, index, None)

    return jax.lax.scan(step, clusters.init(GRID), indices)


# Radii lie between the distances of a grid with spacing 0.2: 0.2, 0.283, 0.4.
@pytest.mark.parametrize("clusters", [Clusters(), Clusters(3, 0.3), Clusters(4, 0.5), Clusters(1)])
@settings(max_examples=20)
@given(indices=hnp.arrays(np.int32, STEPS, elements=st.integers(0, SIDE**2 - 1)))
def test_clusters_equal_their_twin(clusters, indices):
    twin = SlowClusters(clusters.cluster_size, clusters.radius or GRID.neighbour_radius)
    expected = [twin.enter(index, tuple(np.asarray(place(index)).tolist())) for index in indices]
    memory, found = meet(clusters, jnp.asarray(indices))
    np.testing.assert_array_equal(found, expected)
    assert memory.num_clusters == len(twin.clusters)
    assert memory.num_met == len(twin.met)
    np.testing.assert_array_equal(memory.sizes[: len(twin.clusters)], [len(c) for c in twin.clusters])


def test_a_cluster_takes_the_nearest_that_has_room():
    """Of 0 and 2, met first, 1 lies between: it joins the earlier; the next neighbour of 0 stays alone."""
    _, found = meet(Clusters(), jnp.array([0, 2, 1, SIDE, 0, 1]))
    np.testing.assert_array_equal(found, [0, 1, 0, 2, 0, 0])


def test_counts_are_those_of_the_concrete_state():
    clusters = Clusters()
    memory, found = meet(clusters, jnp.array([0, 1]))
    assert found[0] == found[1]
    memory = clusters.record(memory, jnp.int32(1), jnp.int32(2))
    shared = jnp.array([9.0, 9.0, 9.0])
    np.testing.assert_array_equal(clusters.counts(memory, jnp.int32(0), shared), [0, 0, 0])
    np.testing.assert_array_equal(clusters.counts(memory, jnp.int32(1), shared), [0, 0, 1])
    np.testing.assert_array_equal(Identity().counts((), jnp.int32(0), shared), shared)


@settings(max_examples=50)
@given(
    fractions=hnp.arrays(np.float32, 3, elements=st.floats(-0.5, 1.5, width=32)),
    bins=st.tuples(*[st.integers(1, 6)] * 3),
)
def test_tiles_are_counted_row_by_row(fractions, bins):
    low, high = np.array(VECTORS.bounds).T
    x = (low + fractions * (high - low)).astype(np.float32)
    expected = 0
    for value, (least, largest), number in zip(x.astype(float), VECTORS.bounds, bins, strict=True):
        position = number * (value - least) / (largest - least)
        assume(abs(position - round(position)) > 1e-4)  # nearer than that, rounding decides
        expected = expected * number + min(max(int(np.floor(position)), 0), number - 1)
    assert Tiling(bins).locate(VECTORS, (), None, jnp.asarray(x)) == expected
    assert 0 <= expected < Tiling(bins).table(VECTORS).num_states


def test_sizes():
    whole = dataclasses.replace(GRID, grid=Gridworld().grid)
    assert Identity().table(whole) == whole
    clusters, tiles = Clusters(3).table(whole), Tiling((3, 4)).table(whole)
    assert (clusters.num_states, clusters.num_successors) == (25, 15)
    assert (tiles.num_states, tiles.num_successors) == (12, 5)
    assert clusters.discovered
    assert tiles.discovered
    assert clusters.grid is tiles.grid is None
    assert all(isinstance(kind(), Abstraction) for kind in ABSTRACTIONS.values())


@pytest.mark.parametrize(
    ("abstraction", "space", "problem"),
    [
        (Identity(), VECTORS, "abstraction is identity, but the states are vectors"),
        (Tiling((2, 2)), NUMBERS, "the states have no coordinates"),
        (Tiling((2, 2)), VECTORS, "abstraction.bins has 2 numbers, but a state has 3 coordinates"),
        (Clusters(), VECTORS, "needs integer states that have coordinates"),
        (Clusters(), NUMBERS, "needs integer states that have coordinates"),
    ],
)
def test_what_does_not_fit_is_said(abstraction, space, problem):
    (found,) = abstraction.space_problems(space)
    assert problem in found


def test_what_fits_is_not_complained_about():
    for abstraction in (Identity(), Clusters(), Tiling((2, 2))):
        assert problems(abstraction) == abstraction.space_problems(GRID) == []
    assert Tiling((2, 2, 2)).space_problems(VECTORS) == []


def test_bad_fields_are_listed():
    found = problems(Clusters(cluster_size=0, radius=-1.0), "abstraction")
    found += problems(Tiling((3, 0)), "abstraction")
    assert [problem.split()[0] for problem in found] == [
        "abstraction.cluster_size",
        "abstraction.radius",
        "abstraction.bins[1]",
    ]
