from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from rl3_jax.constraints import problems
from rl3_jax.object_rl import DynaQ, QLearning, TableSpec
from tests.object_rl.experience import (
    ACTIONS,
    STATES,
    STEPS,
    few_successors,
    learn,
    learn_slowly,
    random_stream,
    streams,
)
from tests.object_rl.known_mdp import MDP, learnt_q
from tests.reference import tabular

CASES = {
    "decaying step": (QLearning(), {"discount": 0.95}),
    "constant step, optimistic": (
        QLearning(step_size=0.3, initial_value=5.0, discount=0.8),
        {"discount": 0.8, "constant": 0.3, "initial": 5.0},
    ),
    "mean of targets": (QLearning(step_exponent=1.0), {"discount": 0.95, "omega": 1.0}),
}


@cache
def compiled(case):
    return jax.jit(partial(learn, CASES[case][0], TableSpec(STATES, ACTIONS, 10)))


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=15)
@given(stream=streams())
def test_equals_its_twin_on_any_experience(case, stream):
    q, counts = learn_slowly(tabular.QLearning(STATES, ACTIONS, **CASES[case][1]), STATES, stream)
    values = compiled(case)(stream)
    np.testing.assert_array_equal(values.counts, counts)
    np.testing.assert_allclose(values.q, q, rtol=2e-5, atol=2e-5)


def test_truncation_bootstraps_and_termination_does_not():
    stream = random_stream(jax.random.key(0), (STATES * 10,)).replace(terminated=jnp.zeros(40, bool))
    run = compiled("decaying step")
    ordinary = run(stream)
    truncated = run(stream.replace(truncated=jnp.ones(40, bool)))
    terminated = run(stream.replace(terminated=jnp.ones(40, bool)))
    np.testing.assert_array_equal(ordinary.q, truncated.q)
    assert jnp.abs(ordinary.q - terminated.q).max() > 0.1


@pytest.mark.parametrize(
    ("learner", "tolerance"),
    [(QLearning(discount=0.9, step_exponent=0.7), 0.06), (QLearning(discount=0.9, step_size=0.005), 0.15)],
    ids=["decaying step", "constant step"],
)
def test_converges_to_the_optimum_of_a_known_mdp(learner, tolerance):
    spec = TableSpec(MDP.num_states, MDP.num_actions, 10)
    q = learnt_q(learner, spec)
    np.testing.assert_allclose(q, MDP.optimal_q, atol=tolerance)
    np.testing.assert_array_equal(q.argmax(1), MDP.optimal_q.argmax(1))


def test_bad_fields_are_all_listed():
    found = problems(QLearning(discount=-0.1, step_size=2.0, step_exponent=-1.0), "learner")
    assert [problem.split()[0] for problem in found] == [
        "learner.discount",
        "learner.step_size",
        "learner.step_exponent",
    ]


MORE_STATES, SUCCESSORS = 6, 3
DYNA = DynaQ(model_updates=4, seed=3)


def spec_of(listed):
    return TableSpec(MORE_STATES, ACTIONS, 10, num_successors=SUCCESSORS if listed else 0, horizon=30)


@cache
def compiled_dyna(listed):
    return jax.jit(partial(learn, DYNA, spec_of(listed)))


@pytest.mark.parametrize("listed", [False, True], ids=["dense", "lists"])
@settings(max_examples=15)
@given(stream=few_successors(MORE_STATES, SUCCESSORS))
def test_dyna_q_equals_its_twin_given_the_same_draws(listed, stream):
    draws = jax.jit(jax.vmap(DYNA.draws))(jnp.arange(STEPS))
    twin = tabular.DynaQ(MORE_STATES, ACTIONS, draws=draws.__getitem__, listed=listed, discount=0.95)
    q, counts = learn_slowly(twin, MORE_STATES, stream)
    values = compiled_dyna(listed)(stream)
    np.testing.assert_array_equal(values.counts, counts)
    np.testing.assert_allclose(values.q, q, rtol=2e-5, atol=2e-5)


def test_draws_depend_on_the_seed_and_the_step_alone():
    first = DYNA.draws(jnp.int32(0))
    assert first.shape == (4, 2)
    assert (first >= 0.0).all()
    assert (first < 1.0).all()
    for other in (DYNA.draws(jnp.int32(1)), DynaQ(model_updates=4, seed=4).draws(jnp.int32(0))):
        assert not jnp.any(other == first)
    # A batch of tasks draws once: the number of steps has no batch axis within a trial.
    state = jax.eval_shape(
        jax.vmap(
            lambda r: run_one(random_stream(jax.random.key(0), (5,), MORE_STATES).replace(r=r)), out_axes=None
        ),
        jnp.zeros((7, 5)),
    )
    assert state.shape == ()


def run_one(stream):
    """The number of steps after a stream."""
    spec = spec_of(False)
    state, _ = jax.lax.scan(lambda s, t: (DYNA.update(spec, s, t), None), DYNA.init(spec), stream)
    return state.steps


@pytest.mark.parametrize("num_successors", [0, 4], ids=["dense", "lists"])
def test_dyna_q_finds_the_optimum_of_a_known_mdp_sooner_than_q_learning(num_successors):
    spec = TableSpec(MDP.num_states, MDP.num_actions, 10, num_successors=num_successors)
    steps = 3000
    dyna = learnt_q(DynaQ(discount=MDP.discount, step_exponent=0.9), spec, steps)
    alone = learnt_q(QLearning(discount=MDP.discount, step_exponent=0.9), spec, steps)
    np.testing.assert_allclose(dyna, MDP.optimal_q, atol=0.4)
    np.testing.assert_array_equal(dyna.argmax(1), MDP.optimal_q.argmax(1))
    assert jnp.abs(dyna - MDP.optimal_q).max() < 0.5 * jnp.abs(alone - MDP.optimal_q).max()


def test_full_lists_are_counted():
    spec = TableSpec(MORE_STATES, ACTIONS, 10, num_successors=2)
    stream = random_stream(jax.random.key(1), (40,), MORE_STATES)

    @jax.jit
    def run(stream):
        step = lambda s, t: (DYNA.update(spec, s, t), None)  # noqa: E731
        return jax.lax.scan(step, DYNA.init(spec), stream)[0]

    state = run(stream)
    assert DYNA.dropped(spec, state) > 10
    tried = state.pairs[: state.num_pairs].tolist()
    assert sorted(set(tried)) == sorted(tried)
    assert jnp.isfinite(state.table.q).all()


def test_bad_fields_of_dyna_q_are_all_listed():
    assert problems(DynaQ(discount=-0.1, model_updates=0, seed=-1), "learner") == [
        "learner.discount is -0.1; it must be between 0 and 1",
        "learner.model_updates is 0; it must be at least 1 (for none, use learner q-learning)",
        "learner.seed is -1; it must be at least 0",
    ]


def test_what_the_table_cannot_give_is_a_problem():
    for learner in (DynaQ(), QLearning()):
        (problem,) = learner.table_problems(TableSpec(MORE_STATES, ACTIONS, 10, standard_errors=True))
        assert "no standard errors" in problem
        (problem,) = learner.table_problems(TableSpec(10**6, 9, 10, num_successors=1))
        assert "1,000,000 states" in problem
        assert learner.table_problems(TableSpec(169, 5, 350, num_successors=5)) == []
