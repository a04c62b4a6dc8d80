from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from rl3_jax.constraints import problems
from rl3_jax.object_rl import DynaQ, QLearning, TableSpec
from tests.object_rl.experience import ACTIONS, STEPS, few_successors, learn, learn_slowly, random_stream
from tests.object_rl.known_mdp import MDP, learnt_q
from tests.reference import tabular

STATES, SUCCESSORS = 6, 3
LEARNER = DynaQ(model_updates=4, seed=3)


def spec_of(listed):
    return TableSpec(STATES, ACTIONS, 10, num_successors=SUCCESSORS if listed else 0, horizon=30)


@cache
def compiled(listed):
    return jax.jit(partial(learn, LEARNER, spec_of(listed)))


@pytest.mark.parametrize("listed", [False, True], ids=["dense", "lists"])
@settings(max_examples=15)
@given(stream=few_successors(STATES, SUCCESSORS))
def test_equals_its_twin_given_the_same_draws(listed, stream):
    draws = jax.jit(jax.vmap(LEARNER.draws))(jnp.arange(STEPS))
    twin = tabular.DynaQ(STATES, ACTIONS, draws=draws.__getitem__, listed=listed, discount=0.95)
    q, counts = learn_slowly(twin, STATES, stream)
    values = compiled(listed)(stream)
    np.testing.assert_array_equal(values.counts, counts)
    np.testing.assert_allclose(values.q, q, rtol=2e-5, atol=2e-5)


def test_draws_depend_on_the_seed_and_the_step_alone():
    first = LEARNER.draws(jnp.int32(0))
    assert first.shape == (4, 2)
    assert (first >= 0.0).all()
    assert (first < 1.0).all()
    for other in (LEARNER.draws(jnp.int32(1)), DynaQ(model_updates=4, seed=4).draws(jnp.int32(0))):
        assert not jnp.any(other == first)
    # A batch of tasks draws once: the number of steps has no batch axis within a trial.
    state = jax.eval_shape(
        jax.vmap(
            lambda r: run_one(random_stream(jax.random.key(0), (5,), STATES).replace(r=r)), out_axes=None
        ),
        jnp.zeros((7, 5)),
    )
    assert state.shape == ()


def run_one(stream):
    """The number of steps after a stream."""
    spec = spec_of(False)
    state, _ = jax.lax.scan(lambda s, t: (LEARNER.update(spec, s, t), None), LEARNER.init(spec), stream)
    return state.steps


@pytest.mark.parametrize("num_successors", [0, 4], ids=["dense", "lists"])
def test_finds_the_optimum_of_a_known_mdp_sooner_than_q_learning(num_successors):
    spec = TableSpec(MDP.num_states, MDP.num_actions, 10, num_successors=num_successors)
    steps = 3000
    dyna = learnt_q(DynaQ(discount=MDP.discount, step_exponent=0.9), spec, steps)
    alone = learnt_q(QLearning(discount=MDP.discount, step_exponent=0.9), spec, steps)
    np.testing.assert_allclose(dyna, MDP.optimal_q, atol=0.4)
    np.testing.assert_array_equal(dyna.argmax(1), MDP.optimal_q.argmax(1))
    assert jnp.abs(dyna - MDP.optimal_q).max() < 0.5 * jnp.abs(alone - MDP.optimal_q).max()


def test_full_lists_are_counted():
    spec = TableSpec(STATES, ACTIONS, 10, num_successors=2)
    stream = random_stream(jax.random.key(1), (40,), STATES)

    @jax.jit
    def run(stream):
        step = lambda s, t: (LEARNER.update(spec, s, t), None)  # noqa: E731
        return jax.lax.scan(step, LEARNER.init(spec), stream)[0]

    state = run(stream)
    assert LEARNER.dropped(spec, state) > 10
    tried = state.pairs[: state.num_pairs].tolist()
    assert sorted(set(tried)) == sorted(tried)
    assert jnp.isfinite(state.table.q).all()


def test_bad_fields_are_all_listed():
    assert problems(DynaQ(discount=-0.1, model_updates=0, seed=-1), "learner") == [
        "learner.discount is -0.1; it must be between 0 and 1",
        "learner.model_updates is 0; it must be at least 1 (for none, use learner q-learning)",
        "learner.seed is -1; it must be at least 0",
    ]


def test_what_the_table_cannot_give_is_a_problem():
    for learner in (DynaQ(), QLearning()):
        (problem,) = learner.table_problems(TableSpec(STATES, ACTIONS, 10, standard_errors=True))
        assert "no standard errors" in problem
        (problem,) = learner.table_problems(TableSpec(10**6, 9, 10, num_successors=1))
        assert "1,000,000 states" in problem
        assert learner.table_problems(TableSpec(169, 5, 350, num_successors=5)) == []
