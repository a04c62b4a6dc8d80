"""The baselines that plan on a model: its estimates, the optimism added to it, and how they act."""

import jax
import numpy as np
import pytest

from rl3_jax.baselines.mdps import Beb, ModelGreedy, Opsrl, Psrl, TabulaBeb, TabulaUcrl2, Ucrl2
from rl3_jax.baselines.planning import likeliest_model, mean_model
from tests.mdp_history import ENV, FAMILY, history, remember
from tests.reference import baselines as reference
from tests.reference import mdp_baselines as twin

SIZES = (FAMILY.num_states, FAMILY.num_actions)
LENGTH = FAMILY.episode_length
KEY = jax.random.key(0)
LENGTHS = pytest.mark.parametrize("num_steps", [0, 9, 23], ids="{} steps".format)
PRIORS = pytest.mark.parametrize("prior_reward", [0.0, 1.0])


@LENGTHS
@PRIORS
@pytest.mark.parametrize("name", ["likeliest_model", "mean_model"])
def test_a_model_equals_its_numpy_twin(name, num_steps, prior_reward):
    steps = history(num_steps)
    estimate = {"likeliest_model": likeliest_model, "mean_model": mean_model}[name]
    found = estimate(remember(ModelGreedy(), steps), prior_reward)
    expected = getattr(twin, name)(steps, *SIZES, prior_reward)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_pair_never_tried_leads_anywhere_and_pays_the_priors_mean():
    steps = history(23)
    assert (2, 1) not in {(s, a) for s, a, _, _ in steps}
    for estimate in (likeliest_model, mean_model):
        transition, reward = estimate(remember(ModelGreedy(), steps), 0.75)
        np.testing.assert_allclose(transition[2, 1], 1 / 3)
        assert reward[2, 1] == 0.75


@LENGTHS
@PRIORS
def test_greedy_plans_on_the_likeliest_model(num_steps, prior_reward):
    steps, behaviour = history(num_steps), ModelGreedy(prior_reward, 0.0)
    model = twin.likeliest_model(steps, *SIZES, prior_reward)
    values = behaviour.plan(ENV, remember(behaviour, steps), KEY)
    np.testing.assert_allclose(values, reference.backward_induction(*model, LENGTH), rtol=1e-5, atol=1e-5)


@LENGTHS
@pytest.mark.parametrize("scale", [0.1, 1.0])
def test_ucrl2_plans_on_the_best_task_of_its_confidence_set(num_steps, scale):
    steps, behaviour = history(num_steps), Ucrl2(0.5, scale)
    memory = remember(behaviour, steps)
    reward_width, radius = twin.ucrl2_widths(steps, *SIZES, scale)
    for ours, theirs in zip(behaviour.confidence_widths(memory), (reward_width, radius), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    transition, reward = twin.likeliest_model(steps, *SIZES, 0.5)
    expected = twin.optimistic_induction(transition, reward + reward_width, radius, LENGTH)
    np.testing.assert_allclose(behaviour.plan(ENV, memory, KEY), expected, rtol=1e-5, atol=1e-5)


@LENGTHS
@PRIORS
@pytest.mark.parametrize("bonus", [3.0, 30.0])
def test_beb_plans_on_the_mean_model_with_its_bonus(num_steps, prior_reward, bonus):
    steps, behaviour = history(num_steps), Beb(prior_reward, bonus)
    transition, _ = twin.mean_model(steps, *SIZES, prior_reward)
    reward = twin.beb_reward(steps, *SIZES, prior_reward, bonus)
    values = behaviour.plan(ENV, remember(behaviour, steps), KEY)
    np.testing.assert_allclose(values, reference.backward_induction(transition, reward, LENGTH), rtol=1e-5)


@LENGTHS
@PRIORS
@pytest.mark.parametrize("scale", [0.02, 0.2, 1.0])
def test_the_confidence_sets_of_tabularl_move_with_the_stages(num_steps, prior_reward, scale):
    steps, behaviour = history(num_steps), TabulaUcrl2(prior_reward, scale)
    memory = remember(behaviour, steps)
    widths = twin.tabularl_widths(steps, *SIZES, LENGTH, scale)
    for ours, theirs in zip(behaviour.confidence_widths(memory), widths, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    expected = twin.tabularl_ucrl2_values(steps, *SIZES, prior_reward, scale, LENGTH)
    np.testing.assert_allclose(behaviour.plan(ENV, memory, KEY), expected, rtol=1e-5, atol=1e-5)


@LENGTHS
@PRIORS
@pytest.mark.parametrize("scale", [0.001, 0.1])
def test_the_bonus_of_tabularl_grows_with_the_steps_to_go(num_steps, prior_reward, scale):
    steps, behaviour = history(num_steps), TabulaBeb(prior_reward, scale)
    expected = twin.tabularl_beb_values(steps, *SIZES, prior_reward, scale, LENGTH)
    np.testing.assert_allclose(behaviour.plan(ENV, remember(behaviour, steps), KEY), expected, rtol=1e-5)


@LENGTHS
def test_without_optimism_the_plan_is_that_of_the_model(num_steps):
    steps = history(num_steps)
    memory = remember(ModelGreedy(), steps)
    greedy = ModelGreedy(0.5, 0.0).plan(ENV, memory, KEY)
    np.testing.assert_allclose(Ucrl2(0.5, 0.0).plan(ENV, memory, KEY), greedy, rtol=1e-5, atol=1e-5)
    model = twin.mean_model(steps, *SIZES, 0.5)
    plain = reference.backward_induction(*model, LENGTH)
    np.testing.assert_allclose(Beb(0.5, 0.0).plan(ENV, memory, KEY), plain, rtol=1e-5, atol=1e-5)


def test_a_bonus_by_the_count_of_steps_is_a_larger_prior_mean():
    memory = remember(Beb(), history(23))
    _, reward = mean_model(memory, 0.5)
    _, raised = mean_model(memory, 2.5)
    np.testing.assert_allclose(raised, reward + 2.0 / (1.0 + memory.counts), rtol=1e-6)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_an_action_is_random_with_probability_epsilon(epsilon):
    behaviour = ModelGreedy(0.0, epsilon)
    observation, state = ENV.start(jax.random.key(0), FAMILY.default_params)
    memory = behaviour.begin_episode(ENV, remember(behaviour, history(23)), state, KEY)
    best = int(memory.values[LENGTH - 1, state.inner.s].argmax())
    keys = jax.random.split(jax.random.key(1), 4000)
    actions = jax.vmap(lambda key: behaviour.act(ENV, memory, state, observation, key)[1])(keys)
    share, expected = float((actions == best).mean()), 1.0 - epsilon / 2.0
    assert abs(share - expected) <= 4.0 * np.sqrt(expected * (1.0 - expected) / 4000)


NUM_DRAWS = 20_000


def assert_same_mean(draws, expected, variance):
    """Check a mean over the first axis against the exact one, by the exact standard error.

    Four standard errors, since each call compares up to 18 numbers at once.
    """
    standard_error = np.sqrt(variance / len(draws))
    assert (np.abs(draws.mean(axis=0) - expected) < 4.0 * standard_error).all()


@pytest.mark.parametrize("num_steps", [0, 9, 23], ids="{} steps".format)
@pytest.mark.parametrize("prior_reward", [0.0, 1.0])
def test_psrl_draws_tasks_with_the_moments_of_the_posterior(num_steps, prior_reward):
    behaviour, steps = Psrl(prior_reward), history(num_steps)
    memory = remember(behaviour, steps)
    keys = jax.random.split(jax.random.key(num_steps), NUM_DRAWS)
    transition, reward = jax.vmap(behaviour.sample_task, in_axes=(None, 0))(memory, keys)
    transition, reward = np.asarray(transition, float), np.asarray(reward, float)

    concentration, mean, variance = reference.mdp_posterior(steps, 3, 2, prior_reward)
    total = concentration.sum(-1, keepdims=True)
    share = concentration / total
    share_variance = share * (1.0 - share) / (total + 1.0)
    np.testing.assert_allclose(transition.sum(-1), 1.0, rtol=1e-5)
    assert_same_mean(transition, share, share_variance)
    assert_same_mean(reward, mean, variance)
    # A squared deviation of a Normal has variance 2σ⁴. Those of a Dirichlet have no such short form, so
    # the second moments there are held to the exact variance by the sample's own standard error.
    assert_same_mean((reward - mean) ** 2, variance, 2.0 * variance**2)
    squares = (transition - share) ** 2
    assert_same_mean(squares, share_variance, squares.var(axis=0))


def test_psrl_plans_on_its_draw_and_acts_on_the_plan():
    behaviour, key = Psrl(), jax.random.key(3)
    observation, state = ENV.start(jax.random.key(0), FAMILY.default_params)
    before = remember(behaviour, history(9))
    memory = behaviour.begin_episode(ENV, before, state, key)
    draw = [np.asarray(x, float) for x in behaviour.sample_task(before, key)]
    expected = reference.backward_induction(*draw, FAMILY.episode_length)
    np.testing.assert_allclose(memory.values, expected, rtol=1e-5)
    for steps_taken in range(FAMILY.episode_length):
        memory, action = behaviour.act(ENV, memory, state, observation, jax.random.key(0))
        assert action == expected[FAMILY.episode_length - steps_taken - 1, state.inner.s].argmax()
        observation, state, *_ = ENV.step_env(jax.random.key(1), state, action, ENV.default_params)


def test_psrl_draws_afresh_at_each_episode():
    behaviour = Psrl()
    _, state = ENV.start(jax.random.key(0), FAMILY.default_params)
    memory = behaviour.init(ENV, FAMILY.default_params)
    plans = [behaviour.begin_episode(ENV, memory, state, jax.random.key(seed)).values for seed in (0, 1)]
    assert not np.allclose(*plans)


@pytest.mark.parametrize("num_samples", [1, 4])
def test_opsrl_takes_the_largest_of_its_samples_values(num_samples):
    behaviour, key = Opsrl(0.5, num_samples), jax.random.key(3)
    memory = remember(behaviour, history(9))
    values = np.asarray(behaviour.plan(ENV, memory, key))
    plans = []
    for sample in jax.random.split(key, num_samples):
        draw = [np.asarray(x, float) for x in Psrl(0.5).sample_task(memory, sample)]
        plans.append(reference.backward_induction(*draw, FAMILY.episode_length))
    np.testing.assert_allclose(values, np.max(plans, axis=0), rtol=1e-5)
    for plan in plans:
        assert (values >= plan - 1e-4).all()


def test_opsrl_of_one_sample_is_psrl():
    key = jax.random.key(4)
    memory = remember(Psrl(), history(9))
    (sample,) = jax.random.split(key, 1)
    one, psrl = Opsrl(num_samples=1).plan(ENV, memory, key), Psrl().plan(ENV, memory, sample)
    np.testing.assert_allclose(one, psrl, rtol=1e-5, atol=1e-6)
