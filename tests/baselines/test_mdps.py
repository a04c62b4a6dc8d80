"""The baselines that plan on a model: its estimates, the optimism added to it, and how they act."""

import jax
import numpy as np
import pytest

from rl3_jax.baselines import Beb, ModelGreedy, Ucrl2
from rl3_jax.baselines.mdp_experience import likeliest_model, mean_model
from rl3_jax.baselines.optimism import confidence_widths
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
    for ours, theirs in zip(confidence_widths(memory, scale), (reward_width, radius), strict=True):
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
