"""The planners over lists of successors, and of the states met, against the dense one and the twin."""

import dataclasses
import itertools
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings

from rl3_jax.errors import ConfigError
from rl3_jax.object_rl import ModelBased, TableSpec, Transition
from rl3_jax.testing.trees import at
from tests.marks import slow_but
from tests.object_rl.experience import ACTIONS, STEPS, few_successors, learn, learn_slowly, random_stream
from tests.object_rl.test_model_based import make_twin

# More rows than one width of the planner of the states met, and more states than rows.
STATES, SUCCESSORS = 20, 3
PLANS = {
    "stop rule": (ModelBased(), 10),
    "fixed sweeps": (ModelBased(tolerance=0.0, discount=0.8), 10),
    "from the last values": (ModelBased(tolerance=0.0, max_sweeps=2), 100),
    "stop rule, from the last values": (ModelBased(tolerance=0.1, max_sweeps=5), 120),
}
CASES = [
    ("uniform", 0.1, "stop rule"),
    ("uniform", 0.1, "stop rule, from the last values"),
    ("uniform", 0.01, "fixed sweeps"),
    ("uniform", 0.01, "from the last values"),
    ("stay", 0.0, "stop rule"),
    ("stay", 0.0, "from the last values"),
    ("stay", 0.01, "fixed sweeps"),
    ("stay", 0.01, "stop rule, from the last values"),
    ("stay", 0.1, "stop rule"),
    ("stay", 0.1, "from the last values"),
]
FEW = [(CASES[7], False), (CASES[2], True)]
"""Cases, and whether states are discovered, that have each way to start and stop, and each kind of model."""
PAIRS = slow_but(FEW, itertools.product(CASES, (False, True)))


def setting(case):
    """Return the learner and the episode length of a case."""
    untried, smoothing, plan = case
    learner, episode_length = PLANS[plan]
    return dataclasses.replace(learner, untried=untried, smoothing=smoothing), episode_length


def spec_of(episode_length, discovered=False):
    return TableSpec(
        STATES,
        ACTIONS,
        episode_length,
        num_successors=SUCCESSORS,
        horizon=2 * STEPS,
        discovered=discovered,
    )


@cache
def compiled(case, planner, discovered):
    learner, episode_length = setting(case)
    learner = dataclasses.replace(learner, planner=planner)
    return jax.jit(partial(learn, learner, spec_of(episode_length, discovered)))


@pytest.mark.parametrize(("case", "discovered"), PAIRS, ids=str)
@settings(max_examples=8)
@given(stream=few_successors(STATES, SUCCESSORS))
def test_planners_agree_with_each_other_and_with_the_twin(case, discovered, stream):
    twin = make_twin(*setting(case), STATES, discovered=discovered)
    q, counts = learn_slowly(twin, STATES, stream)
    assume(twin.margin > 1e-4)  # nearer than that, rounding may decide whether one more sweep is made
    for planner in ("dense", "counts", "sparse", "visited"):
        values = compiled(case, planner, discovered)(stream)
        np.testing.assert_array_equal(values.counts, counts)
        np.testing.assert_allclose(values.q, q, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("each_platform", "planner", "case", "errors"),
    [
        ("cpu", "visited", CASES[0], False),
        ("gpu", "visited", CASES[0], False),
        ("cpu", "sparse", CASES[0], False),
        ("gpu", "sparse", CASES[0], False),
        ("gpu", "sparse", CASES[5], False),
        ("gpu", "sparse", CASES[5], True),
        ("cpu", "counts", CASES[2], False),
    ],
    indirect=["each_platform"],
)
@pytest.mark.usefixtures("each_platform")
def test_batches_of_tasks_equal_single_ones(planner, case, errors):
    """Tasks that have met few states agree with themselves alone, though others have met more."""
    stream = random_stream(jax.random.key(0), (2, 3, STEPS), STATES)
    stream = stream.replace(s=stream.s % jnp.array([[2, 20, 7], [20, 1, 3]])[..., None])
    stream = stream.replace(next_s=(stream.s + stream.next_s % SUCCESSORS) % STATES)
    learner, episode_length = setting(case)
    spec = dataclasses.replace(spec_of(episode_length), standard_errors=errors)
    run = partial(learn, dataclasses.replace(learner, planner=planner), spec)
    nested = jax.jit(jax.vmap(jax.vmap(run)))(stream)
    single = jax.jit(run)
    for index in np.ndindex(2, 3):
        alone = single(at(stream, index))
        np.testing.assert_allclose(nested.q[index], alone.q, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(nested.counts[index], alone.counts)
        if errors:
            np.testing.assert_allclose(
                nested.standard_errors[index], alone.standard_errors, rtol=1e-5, atol=1e-6
            )


def one_step(s, next_s, terminated=False):
    return Transition(
        s=jnp.int32(s),
        a=jnp.int32(0),
        r=jnp.float32(1.0),
        next_s=jnp.int32(next_s),
        terminated=jnp.bool_(terminated),
        truncated=jnp.bool_(False),
    )


@pytest.mark.parametrize("planner", ["sparse", "visited"])
@pytest.mark.parametrize("errors", [False, True])
def test_too_many_successors_are_an_error_or_are_counted(planner, errors):
    spec = TableSpec(5, 2, 10, num_successors=2, standard_errors=errors)
    learner = ModelBased(planner=planner)
    state = learner.init(spec)
    for next_s in (1, 0, 1):
        state = learner.update(spec, state, one_step(0, next_s))
    with pytest.raises(ConfigError, match="more than 2 distinct successors"):
        learner.update(spec, state, one_step(0, 3))
    full = jax.jit(partial(learner.update, spec))(state, one_step(0, 3, terminated=True))
    assert (learner.dropped(spec, state), learner.dropped(spec, full)) == (0, 1)
    np.testing.assert_array_equal(learner.values(spec, full, jnp.int32(0)).counts, [3.0, 0.0])
    # It is left out of the model as a transition, but its end is known from now on.
    for kept, left in zip(state.model.experience.numbers, full.model.experience.numbers, strict=True):
        np.testing.assert_array_equal(kept, left)
    assert full.model.absorbing[full.model.row(jnp.int32(3))]
    after = jax.jit(partial(learner.update, spec))(full, one_step(3, 0))
    assert learner.dropped(spec, after) == 1


@pytest.mark.parametrize(("s", "next_s"), [(0, -3), (-1, 1), (5, 1), (0, 7)])
def test_states_outside_the_table_change_no_list(s, next_s):
    """Lists of all states leave such a step out, as one for which there is no room."""
    spec, learner = TableSpec(5, 2, 10, num_successors=2), ModelBased(planner="sparse")
    update = jax.jit(partial(learner.update, spec))
    known = update(learner.init(spec), one_step(0, 1))
    after = update(known, one_step(s, next_s))
    assert learner.dropped(spec, after) == 1
    np.testing.assert_array_equal(after.model.numbers[..., :-1], known.model.numbers[..., :-1])
    np.testing.assert_array_equal(learner.values(spec, after, jnp.int32(5)).counts, [0.0, 0.0])
    # What comes next is as if it had not been.
    followed, alone = (update(state, one_step(0, 4)) for state in (after, known))
    np.testing.assert_array_equal(followed.model.numbers[..., :-1], alone.model.numbers[..., :-1])


def test_too_many_states_are_an_error_or_are_counted():
    spec = TableSpec(9, 2, 10, num_successors=2, horizon=1)
    learner = ModelBased()
    state = learner.update(spec, learner.init(spec), one_step(0, 1))
    state = learner.update(spec, state, one_step(1, 2))
    for step in (one_step(2, 3), one_step(4, 2)):
        with pytest.raises(ConfigError, match="more than 3 states"):
            learner.update(spec, state, step)
        full = jax.jit(partial(learner.update, spec))(state, step)
        assert learner.dropped(spec, full) == 1
        for s in range(9):
            before, after = (learner.values(spec, x, jnp.int32(s)) for x in (state, full))
            np.testing.assert_array_equal(before.counts, after.counts)
            assert jnp.isfinite(after.q).all()


def test_lists_need_the_number_of_successors():
    spec = TableSpec(5, 2, 10)
    for planner in ("sparse", "visited"):
        assert ModelBased(planner=planner).table_problems(spec)[0].startswith("learner.planner is " + planner)
    assert ModelBased().table_problems(spec) == ModelBased(planner="dense").table_problems(spec) == []
    assert ModelBased().planner_name(spec) == "dense"
    assert ModelBased().planner_name(spec_of(10)) == "visited"
