"""Learners that see vectors: against their twins, and on a corridor whose optimum is known."""

import dataclasses
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rl3_jax.object_rl import (
    Coordinates,
    DeepQ,
    Kernel,
    LeastSquaresQ,
    LinearQ,
    ModelBased,
    TableSpec,
    Transition,
    learner_problems,
)
from rl3_jax.object_rl.features import fourier, num_features
from tests.reference import vectors

ACTIONS, STEPS = 3, 25
PLANE = TableSpec(0, ACTIONS, 10, horizon=STEPS, bounds=((0.0, 1.0), (0.0, 1.0)))
PROBED = np.random.default_rng(0).random((6, 2), np.float32)

ENDS = ["goes on"] * 4 + ["terminates", "is truncated"]

CASES = {
    "linear-q": (LinearQ(), vectors.LinearQ, {}),
    "linear-q, other fields": (
        LinearQ(discount=0.8, order=3, count_width=0.3, trace_decay=0.5, step_size=0.1),
        vectors.LinearQ,
        {"discount": 0.8, "order": 3, "width": 0.3, "trace_decay": 0.5, "step_size": 0.1},
    ),
    "lstd-q": (LeastSquaresQ(), vectors.LeastSquaresQ, {}),
    "lstd-q, other fields": (
        LeastSquaresQ(discount=0.8, order=1, ridge=0.3),
        vectors.LeastSquaresQ,
        {"discount": 0.8, "order": 1, "ridge": 0.3},
    ),
    "kernel": (Kernel(), vectors.Kernel, {}),
    "kernel, little room": (
        Kernel(0.8, width=0.2, radius=1.0, max_states=6, max_successors=2, sweeps=5, shrinkage=1.0),
        vectors.Kernel,
        {"discount": 0.8, "width": 0.2, "radius": 1.0, "room": (6, 2), "sweeps": 5, "prior": 1.0},
    ),
}


@cache
def compiled(case):
    return jax.jit(partial(run, CASES[case][0], PLANE, jnp.asarray(PROBED)))


def run(learner, spec, probed, stream):
    """Return the values [N, P] of places after each transition."""

    def step(state, transition):
        state = learner.update(spec, state, transition)
        return state, jax.vmap(lambda x: learner.values(spec, state, x))(probed)

    return jax.lax.scan(step, learner.init(spec), stream)[1]


def walks():
    """Strategy for walks through a plane, which jump where an episode ends."""
    return st.builds(
        walk,
        st.integers(0, 2**32 - 1),
        hnp.arrays(np.int32, STEPS, elements=st.integers(0, ACTIONS - 1)),
        hnp.arrays("U12", STEPS, elements=st.sampled_from(ENDS)),
    )


def walk(seed, actions, ends):
    # Drawn by a seed, not shrunk to round numbers: at these features are orthogonal, and rounding decides.
    draws = np.random.default_rng(seed)
    places = draws.random((STEPS + 1, 2), np.float32)
    return Transition(
        s=jnp.asarray(places[:-1]),
        a=jnp.asarray(actions),
        r=jnp.asarray(draws.normal(size=STEPS), jnp.float32),
        next_s=jnp.asarray(places[1:]),
        terminated=jnp.asarray(ends == "terminates"),
        truncated=jnp.asarray(ends == "is truncated"),
    )


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=15)
@given(stream=walks())
def test_equals_its_twin_on_any_walk(case, stream):
    _, kind, fields = CASES[case]
    q, counts = lived(kind(ACTIONS, **fields), stream)
    found = compiled(case)(stream)
    np.testing.assert_allclose(found.counts, counts, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.q, q, rtol=2e-3, atol=2e-3)


def lived(twin, stream):
    """Return a twin's values and counts [N, P, A] of places after each transition."""
    expected = []
    columns = (stream.s, stream.a, stream.r, stream.next_s, stream.terminated, stream.truncated)
    for x, a, r, next_x, *ends in zip(*map(np.asarray, columns), strict=True):
        twin.update(x.astype(float), a, float(r), next_x.astype(float), *ends)
        expected.append([twin.values(place.astype(float)) for place in PROBED])
    return np.moveaxis(np.array(expected), 2, 0)


@pytest.mark.parametrize("updates", [1, 3])
def test_deep_q_equals_its_twin(updates):
    """With the first weights and the draws of the learner: its arithmetic is what is compared."""
    learner = DeepQ(units=8, updates=updates, minibatch=5)
    fresh = learner.init(PLANE)
    first = [(np.asarray(w, float), np.asarray(b, float)) for w, b in fresh.network]
    keys = [jax.random.fold_in(jax.random.key(0), step) for step in range(STEPS)]
    draws = [np.asarray(jax.random.uniform(key, (updates, 5))) for key in keys]
    actions = np.random.default_rng(1).integers(0, ACTIONS, STEPS).astype(np.int32)
    stream = walk(0, actions, np.random.default_rng(2).choice(ENDS, STEPS))
    twin = vectors.DeepQ(ACTIONS, first, draws)
    q, counts = lived(twin, stream)
    found = jax.jit(partial(run, learner, PLANE, jnp.asarray(PROBED)))(stream)
    np.testing.assert_allclose(found.counts, counts, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.q, q, rtol=1e-3, atol=1e-4)
    assert np.abs(q[-1]).max() > 0.05


def corridor(key, num_steps):
    """Return a walk of random actions along [0, 1], in which the right end pays 1 and ends an episode."""

    def step(x, key):
        key_action, key_start = jax.random.split(key)
        a = jax.random.randint(key_action, (), 0, 2)
        entered = jnp.clip(x + 0.1 * (2 * a - 1), 0.0, 1.0)
        ends = entered > 0.95
        start = jax.random.uniform(key_start, (1,), maxval=0.9)
        transition = Transition(x, a, ends[0].astype(jnp.float32), entered, ends[0], jnp.bool_(False))
        return jnp.where(ends, start, entered), transition

    return jax.lax.scan(step, jnp.full(1, 0.5), jax.random.split(key, num_steps))[1]


@pytest.mark.parametrize(
    ("learner", "tolerance"),
    [
        (LinearQ(order=5), 0.15),
        (LeastSquaresQ(order=5, ridge=0.01), 0.05),
        (Kernel(width=0.04), 0.1),
        (DeepQ(updates=4), 0.15),
    ],
    ids=lambda case: getattr(case, "learner", None),
)
def test_finds_the_optimum_of_a_corridor(learner, tolerance):
    spec = TableSpec(0, 2, 100, horizon=3000, bounds=((0.0, 1.0),))
    probed = jnp.linspace(0.03, 0.83, 9)[:, None]
    stream = jax.jit(corridor, static_argnums=1)(jax.random.key(0), spec.horizon)
    found = jax.tree.map(lambda x: x[-1], jax.jit(partial(run, learner, spec, probed))(stream))
    # From x the end is ⌈(0.95 − x)/0.1⌉ steps away.
    distance = np.ceil((0.95 - np.asarray(probed[:, 0])) / 0.1)
    optimum = learner.discount ** (distance - 1.0)
    assert (found.q.argmax(-1) == 1).all()
    np.testing.assert_allclose(found.q.max(-1), optimum, atol=tolerance)


def test_features_are_counted():
    for n, order in [(1, 1), (1, 4), (2, 3), (4, 2), (6, 2)]:
        phi = fourier(jnp.linspace(0.1, 0.9, n), order)
        assert phi.shape == (num_features(n, order),)
        np.testing.assert_allclose(phi, vectors.fourier(np.linspace(0.1, 0.9, n), order), atol=1e-5)


def test_coordinates_are_scaled_and_kept_within_bounds():
    space = TableSpec(0, 3, 10, bounds=((-1.0, 1.0), (0.0, 4.0)))
    located = Coordinates().locate(space, (), None, jnp.array([0.5, 9.0]))
    np.testing.assert_allclose(located, [0.75, 1.0])
    assert Coordinates().table(space).bounds == ((0.0, 1.0),) * 2


def test_tables_and_vectors_do_not_fit_each_other():
    (no_table,) = learner_problems(ModelBased(), PLANE)
    assert "learner model-based keeps a table" in no_table
    assert "use abstraction tiling" in no_table
    (no_vector,) = learner_problems(Kernel(), TableSpec(4, 3, 10))
    assert no_vector == "learner kernel sees vectors; use abstraction coordinates (method rl3)"
    (none,) = Coordinates().space_problems(TableSpec(4, 3, 10))
    assert "use identity, and a learner that keeps a table" in none
    (no_bounds,) = Coordinates().space_problems(TableSpec(0, 3, 10, bounds=((0.0, float("inf")),)))
    assert "finite bounds" in no_bounds
    (flat,) = Coordinates().space_problems(TableSpec(0, 3, 10, bounds=((1.0, 1.0),)))
    assert "the first below the second" in flat
    (no_horizon,) = learner_problems(LinearQ(), TableSpec(0, 3, 10, bounds=((0.0, 1.0),)))
    assert "give horizon" in no_horizon


@pytest.mark.parametrize(
    ("learner", "mend"),
    [
        (LeastSquaresQ(order=30), "a smaller learner.order"),
        (Kernel(max_states=2000), "a smaller learner.max_states"),
        (DeepQ(units=1000), "fewer learner.units"),
    ],
)
def test_what_keeps_too_much_says_which_field_is_too_large(learner, mend):
    (too_large,) = learner_problems(learner, dataclasses.replace(PLANE, horizon=3000))
    assert "with 2 coordinates and 3 actions" in too_large
    assert too_large.endswith(mend)
