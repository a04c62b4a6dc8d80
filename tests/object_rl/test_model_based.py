from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings

from rl3_jax.constraints import problems
from rl3_jax.object_rl import ModelBased, TableSpec, Transition
from rl3_jax.testing.trees import at
from tests.object_rl.experience import ACTIONS, STATES, learn, learn_slowly, random_stream, streams
from tests.object_rl.known_mdp import MDP, learnt_q
from tests.reference import tabular

CASES = {
    "stop rule": (ModelBased(), 10),
    "fixed sweeps": (ModelBased(tolerance=0.0), 10),
    "more smoothing": (ModelBased(tolerance=0.0, smoothing=0.7, discount=0.8), 5),
    "expected reward": (ModelBased(tolerance=0.0, max_sweeps=1), 10),
    "three sweeps": (ModelBased(tolerance=0.0, max_sweeps=3), 10),
    "tight stop rule": (ModelBased(tolerance=1e-3, discount=0.6, max_sweeps=40), 20),
    "from the last values": (ModelBased(tolerance=0.0, max_sweeps=2), 100),
    "stop rule, from the last values": (ModelBased(tolerance=0.1, max_sweeps=5), 120),
    "untried pairs stay": (ModelBased(untried="stay", smoothing=0.0), 10),
    "untried pairs stay, three sweeps": (
        ModelBased(untried="stay", smoothing=0.0, tolerance=0.0, max_sweeps=3),
        10,
    ),
    "likeliest rewards above a mean": (ModelBased(tolerance=0.0, max_sweeps=3, prior_reward=0.7), 10),
    "posterior's mean": (
        ModelBased(smoothing=1.0, tolerance=0.0, max_sweeps=5, prior_reward=1.0, prior_count=1.0),
        10,
    ),
    "posterior's mean, stop rule": (ModelBased(smoothing=0.5, prior_reward=-0.3, prior_count=2.5), 10),
}
MODELS = [(0.1, "uniform"), (0.1, "stay"), (0.0, "stay")]
"""Smoothing, and what pairs never tried do."""
PRIORS = [(0.0, 0.0), (0.3, 0.0), (0.5, 2.0)]
"""m and w; with w = 0 there is none."""


@cache
def compiled(case, planner):
    learner, episode_length = CASES[case]
    learner = replace(learner, planner=planner)
    return jax.jit(partial(learn, learner, TableSpec(STATES, ACTIONS, episode_length)))


def make_twin(learner, episode_length, num_states=STATES, twin=tabular.ModelBased, **options):
    return twin(
        num_states,
        ACTIONS,
        smoothing=learner.smoothing,
        untried=learner.untried,
        prior=(learner.prior_reward, learner.prior_count),
        discount=learner.discount,
        tolerance=learner.tolerance,
        max_sweeps=learner.max_sweeps or episode_length,
        warm=episode_length >= 100,
        **options,
    )


@pytest.mark.parametrize("case", CASES)
@settings(max_examples=15)
@given(stream=streams())
def test_equals_its_twin_on_any_experience(case, stream):
    twin = make_twin(*CASES[case])
    q, counts = learn_slowly(twin, STATES, stream)
    assume(twin.margin > 2e-5)  # nearer than that, rounding may decide whether one more sweep is made
    for planner in ("dense", "counts"):
        values = compiled(case, planner)(stream)
        np.testing.assert_array_equal(values.counts, counts)
        np.testing.assert_allclose(values.q, q, rtol=2e-5, atol=2e-5)


def one_transition():
    """A stream of one step, from state 0 to state 1 with reward 3."""
    zero, no = jnp.zeros(1, int), jnp.zeros(1, bool)
    return Transition(s=zero, a=zero, r=jnp.array([3.0]), next_s=zero + 1, terminated=no, truncated=no)


def test_golden_values_of_one_transition():
    learner = ModelBased(tolerance=0.0, max_sweeps=2)
    values = learn(learner, TableSpec(2, 1, 10), one_transition())
    stay, go = 0.1 / 1.2, 1.1 / 1.2
    first = go * 3.0  # after one sweep, Q(0) = Σ T r̄ and Q(1) = 0
    np.testing.assert_allclose(
        values.q[0, :, 0], [first + 0.95 * stay * first, 0.95 * 0.5 * first], rtol=1e-6
    )


def test_an_absorbing_state_is_worth_nothing_at_once_and_for_good():
    spec, learner = TableSpec(3, 1, 10), ModelBased(tolerance=0.0)

    def stream(terminated):
        # State 2 pays 5 when left; state 0 leads to it.
        return Transition(
            s=jnp.array([2, 2, 0, 2]),
            a=jnp.zeros(4, jnp.int32),
            r=jnp.array([5.0, 5.0, 0.0, 5.0]),
            next_s=jnp.array([1, 1, 2, 1]),
            terminated=jnp.array([False, False, terminated, False]),
            truncated=jnp.zeros(4, bool),
        )

    absorbing, ordinary = learn(learner, spec, stream(True)), learn(learner, spec, stream(False))
    assert ordinary.q[2, 0, 0] > 4.0
    # Only by its smoothed other successors, 0 and 1, does state 0 get any value.
    assert (absorbing.q[2:, 0, 0] < 0.5).all()


def test_each_task_of_a_batch_stops_on_its_own():
    """Batches (seeds × tasks) equal single tasks, though some converge sooner than others."""
    scale = jnp.array([[0.001, 1.0, 5.0], [30.0, 0.1, 0.01]])
    stream = random_stream(jax.random.key(0), (2, 3, 20))
    stream = stream.replace(r=stream.r * scale[..., None])
    run = partial(learn, ModelBased(max_sweeps=200), TableSpec(STATES, ACTIONS, 10))
    nested = jax.jit(jax.vmap(jax.vmap(run)))(stream)
    single = jax.jit(run)
    for index in np.ndindex(2, 3):
        alone = single(at(stream, index))
        np.testing.assert_allclose(nested.q[index], alone.q, rtol=1e-5, atol=1e-5 * scale[index])
        np.testing.assert_array_equal(nested.counts[index], alone.counts)


@pytest.mark.parametrize("max_sweeps", [3, 10], ids=["tables as they are", "tasks last"])
def test_fixed_sweeps_of_a_batch_equal_single_tasks(max_sweeps):
    stream = random_stream(jax.random.key(1), (2, 3, 20))
    learner = ModelBased(tolerance=0.0, max_sweeps=max_sweeps)
    run = partial(learn, learner, TableSpec(STATES, ACTIONS, 10))
    nested = jax.jit(jax.vmap(jax.vmap(run)))(stream)
    single = jax.jit(run)
    for index in np.ndindex(2, 3):
        alone = single(at(stream, index))
        np.testing.assert_allclose(nested.q[index], alone.q, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("smoothing", "untried", "prior"),
    [*((*model, PRIORS[0]) for model in MODELS), *((0.1, "uniform", prior) for prior in PRIORS[1:])],
)
@settings(max_examples=15)
@given(stream=streams(num_states=1))
def test_the_bandit_form_is_one_sweep_over_two_states(smoothing, untried, prior, stream):
    """The dense planner, given pulls that lead to an absorbing end, agrees with the closed form."""
    pulls = stream.replace(next_s=jnp.ones_like(stream.s), terminated=jnp.ones_like(stream.terminated))
    closed, dense = (bandit_form(one_shot, smoothing, untried, prior)(pulls) for one_shot in (True, False))
    q, counts = learn_slowly(tabular.BanditModel(ACTIONS, smoothing=smoothing, prior=prior), 1, pulls)
    np.testing.assert_allclose(closed.q[:, 0], dense.q[:, 0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(closed.q[:, :1], q, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(closed.counts[:, :1], counts)
    np.testing.assert_array_equal(dense.counts[:, :1], counts)


@cache
def bandit_form(one_shot, smoothing, untried, prior):
    """The same experience in closed form, or through the planner."""
    mean, count = prior
    learner = ModelBased(
        smoothing=smoothing,
        untried=untried,
        tolerance=0.0,
        max_sweeps=1,
        prior_reward=mean,
        prior_count=count,
    )
    return jax.jit(partial(learn, learner, TableSpec(2, ACTIONS, 1, one_shot)))


def test_finds_the_optimum_of_a_known_mdp():
    """One sweep a step from the last values is enough, as the model settles."""
    learner = ModelBased(discount=MDP.discount, tolerance=0.0, max_sweeps=1)
    spec = TableSpec(MDP.num_states, MDP.num_actions, 100)
    np.testing.assert_allclose(learnt_q(learner, spec), MDP.optimal_q, atol=0.05)


def test_bad_fields_are_all_listed():
    wrong = ModelBased(smoothing=-1.0, discount=1.5, tolerance=-1.0, max_sweeps=-1)
    assert [problem.split()[0] for problem in problems(wrong, "learner")] == [
        "learner.smoothing",
        "learner.discount",
        "learner.tolerance",
        "learner.max_sweeps",
    ]


def test_without_smoothing_untried_pairs_must_stay():
    assert problems(ModelBased(smoothing=0.0, untried="stay")) == []
    (problem,) = problems(ModelBased(smoothing=0.0))
    assert "a smoothing above 0, such as 0.01, or learner.untried stay" in problem
    for untried in ("uniform", "stay"):
        assert len(problems(ModelBased(smoothing=-0.1, untried=untried))) == 1


def test_the_posterior_mean_of_a_bernoulli_arm():
    """After one success and two failures Beta(1, 1) has become Beta(2, 3), of mean 2/5."""
    learner = ModelBased(prior_reward=0.5, prior_count=2.0)
    zero, yes = jnp.zeros(3, int), jnp.ones(3, bool)
    pulls = Transition(
        s=zero, a=zero, r=jnp.array([1.0, 0.0, 0.0]), next_s=zero + 1, terminated=yes, truncated=~yes
    )
    values = learn(learner, TableSpec(2, 2, 1, one_shot=True), pulls)
    np.testing.assert_allclose(0.5 + values.q[-1, 0], [2 / 5, 1 / 2], rtol=1e-6)


def test_a_prior_needs_tables_of_all_pairs():
    prior = ModelBased(prior_count=1.0)
    spec = TableSpec(9, 2, 10, num_successors=3, horizon=20)
    assert problems(prior, "learner") == [] == prior.table_problems(spec)
    assert prior.planner_name(spec) == "dense"
    assert prior.suited(spec, "gpu") == replace(prior, planner="counts")
    (problem,) = problems(replace(prior, planner="sparse"), "learner")
    assert "planner auto or dense" in problem
    (problem,) = prior.table_problems(replace(spec, standard_errors=True))
    assert "standard_errors" in problem


def test_what_was_not_tried_is_worth_no_more_than_staying():
    """Golden values: state 0 pays 3 for action 0, to state 1, once; nothing else is known."""
    learner = ModelBased(smoothing=0.0, untried="stay", tolerance=0.0, max_sweeps=2)
    values = learn(learner, TableSpec(3, 2, 10), one_transition())
    np.testing.assert_allclose(values.q[0], [[3.0, 0.95 * 3.0], [0.0, 0.0], [0.0, 0.0]], rtol=1e-6)


def test_two_states_and_one_step_do_not_make_a_bandit():
    """T(0) = 1.1/3.2 and T(1) = 2.1/3.2 after rewards 1 to state 0 and twice 3 to state 1."""
    next_s, r = jnp.array([0, 1, 1]), jnp.array([1.0, 3.0, 3.0])
    zero, no = jnp.zeros(3, int), jnp.zeros(3, bool)
    seen = Transition(s=zero, a=zero, r=r, next_s=next_s, terminated=no, truncated=~no)
    values = learn(ModelBased(), TableSpec(2, 1, 1), seen)
    np.testing.assert_allclose(values.q[-1, 0, 0], (1.1 * 1.0 + 2.1 * 3.0) / 3.2, rtol=1e-6)
    np.testing.assert_array_equal(values.counts[-1, :, 0], [3.0, 0.0])
