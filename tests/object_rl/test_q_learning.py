from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from rl3_jax.constraints import problems
from rl3_jax.object_rl import QLearning, TableSpec
from tests.object_rl.experience import ACTIONS, STATES, learn, learn_slowly, random_stream, streams
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
