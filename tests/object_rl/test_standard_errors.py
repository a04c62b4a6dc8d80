import dataclasses
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings

from rl3_jax.object_rl import ModelBased, TableSpec, Transition
from tests.marks import slow
from tests.object_rl.experience import ACTIONS, few_successors, learn, learn_slowly, random_stream, streams
from tests.object_rl.test_model_based import MODELS, make_twin
from tests.object_rl.test_planners import PAIRS, setting
from tests.reference import standard_errors

STATES, SUCCESSORS = 6, 3
PLANNERS = ("dense", "counts", "sparse", "visited")


def spec_of(episode_length, discovered=False):
    return TableSpec(
        STATES,
        ACTIONS,
        episode_length,
        num_successors=SUCCESSORS,
        discovered=discovered,
        standard_errors=True,
    )


@cache
def compiled(case, planner, discovered):
    learner, episode_length = setting(case)
    learner = dataclasses.replace(learner, planner=planner)
    return jax.jit(partial(learn, learner, spec_of(episode_length, discovered)))


@pytest.mark.parametrize(("case", "discovered"), PAIRS, ids=str)
@settings(max_examples=10)
@given(stream=few_successors(STATES, SUCCESSORS))
def test_all_planners_equal_the_twin(case, discovered, stream):
    twin = make_twin(*setting(case), STATES, standard_errors.ModelBased, discovered=discovered)
    q, counts, errors = learn_slowly(twin, STATES, stream)
    assume(twin.margin > 2e-5)  # nearer than that, rounding may choose another greedy action, or a sweep more
    for planner in PLANNERS:
        values = compiled(case, planner, discovered)(stream)
        np.testing.assert_array_equal(values.counts, counts)
        np.testing.assert_allclose(values.q, q, rtol=2e-5, atol=2e-5)
        np.testing.assert_allclose(values.standard_errors, errors, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize(("smoothing", "untried"), MODELS)
@settings(max_examples=15)
@given(stream=streams(num_states=1))
def test_the_bandit_form_is_one_sweep_over_two_states(smoothing, untried, stream):
    pulls = stream.replace(next_s=jnp.ones_like(stream.s), terminated=jnp.ones_like(stream.terminated))
    learner = ModelBased(smoothing=smoothing, untried=untried, tolerance=0.0, max_sweeps=1)
    _, _, errors = learn_slowly(make_twin(learner, 1, 2, standard_errors.ModelBased), 2, pulls)
    found = bandit(learner)(pulls).standard_errors
    np.testing.assert_allclose(found[:, 0], errors[:, 0], rtol=1e-5, atol=1e-6)


@cache
def bandit(learner):
    spec = TableSpec(2, ACTIONS, 1, one_shot=True, standard_errors=True)
    return jax.jit(partial(learn, learner, spec))


def repeated(spec, num_steps, rewards):
    """The same pair and successor time and again."""
    zero, no = jnp.zeros(num_steps, int), jnp.zeros(num_steps, bool)
    return Transition(s=zero, a=zero, r=rewards, next_s=zero + 1, terminated=~no, truncated=no)


@pytest.mark.parametrize("planner", [*PLANNERS, "bandit"])
def test_large_rewards_and_many_visits_lose_no_digits(planner):
    """Rewards of 10000 ± 1, whose squares float32 cannot tell apart, and T within 1e-3 of 1."""
    num_steps = 600
    rewards = 10_000.0 + jnp.sign(jnp.sin(jnp.arange(float(num_steps))))
    spec = TableSpec(2, 1, 1, one_shot=planner == "bandit", num_successors=1, standard_errors=True)
    learner = ModelBased(tolerance=0.0, planner="auto" if planner == "bandit" else planner)
    errors = jax.jit(partial(learn, learner, spec))(repeated(spec, num_steps, rewards)).standard_errors
    n, r = num_steps, np.asarray(rewards, float)
    weight = n + 0.2
    p, other = (n + 0.1) / weight, 0.1 / weight
    e_t = p * other / weight
    e_r = r.var() / (n - 1)
    expected = np.sqrt((p**2 + e_t) * e_r + r.mean() ** 2 * e_t + other**2 + e_t)
    np.testing.assert_allclose(errors[-1, 0, 0], expected, rtol=1e-5)
    alone = np.sqrt(2 * (1 / 4 + 1 / 12))
    if planner == "bandit":
        return
    # The absorbing state itself was never left: T = 1/2 ± √(1/12), rewards 0 ± 1.
    np.testing.assert_allclose(errors[-1, 1, 0], alone, rtol=1e-5)


def test_shrink_with_experience_and_leave_values_alone():
    spec = spec_of(10)
    stream = random_stream(jax.random.key(0), (400,), STATES)
    stream = stream.replace(next_s=(stream.s + stream.next_s % SUCCESSORS) % STATES)
    with_errors = jax.jit(partial(learn, ModelBased(), spec))(stream)
    without = jax.jit(partial(learn, ModelBased(), dataclasses.replace(spec, standard_errors=False)))(stream)
    assert without.standard_errors is None
    np.testing.assert_allclose(with_errors.q, without.q, rtol=1e-5, atol=1e-5)
    late, early = with_errors.standard_errors[-1], with_errors.standard_errors[30]
    assert late.mean() < 0.5 * early.mean()
    assert (with_errors.standard_errors > 0.0).all()


def test_batches_equal_single_tasks():
    stream = random_stream(jax.random.key(2), (3, 12), STATES)
    stream = stream.replace(next_s=(stream.s + stream.next_s % SUCCESSORS) % STATES)
    run = partial(learn, ModelBased(), spec_of(10))
    batch, single = jax.jit(jax.vmap(run))(stream), jax.jit(run)
    for task in range(3):
        alone = single(jax.tree.map(lambda x, task=task: x[task], stream))
        np.testing.assert_allclose(batch.standard_errors[task], alone.standard_errors, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("planner", slow(["dense", "bandit", "counts", "sparse", "visited"], keep=2))
def test_without_smoothing_nothing_is_divided_by_zero(planner):
    """Step by step, so that a NaN is found also where a mask would hide it."""
    one_shot = planner == "bandit"
    planner = "auto" if one_shot else planner
    learner = ModelBased(smoothing=0.0, untried="stay", tolerance=0.0, planner=planner)
    spec = TableSpec(3, 2, 1, one_shot=one_shot, num_successors=2, standard_errors=True)
    with jax.disable_jit(), jax.debug_nans(True):
        seen = jax.tree.map(lambda x: x[0], repeated(spec, 1, jnp.ones(1)))
        state = learner.update(spec, learner.init(spec), seen)
        assert jnp.isfinite(learner.values(spec, state, jnp.int32(0)).q).all()
