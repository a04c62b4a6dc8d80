import itertools
from functools import partial
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax import ppo
from rl3_jax.policies import CORES
from rl3_jax.ppo.collection import live
from rl3_jax.ppo.novelty import first_visits
from rl3_jax.ppo.segments import critic_values
from rl3_jax.tasks import Bandit, ConcreteState, Gridworld, RandomMdp
from rl3_jax.testing.cores import BFLOAT16_TOLERANCE, opinionated, outputs_of
from rl3_jax.testing.trees import differs
from rl3_jax.trial import METHODS, rollout
from tests.marks import slow, slow_but
from tests.ppo.setting import (
    BOX,
    CONFIG,
    FAMILIES,
    HORIZON,
    MDP,
    TRIALS,
    collected,
    configure,
    make_env,
    make_policy,
    make_state,
    rates,
    update,
)
from tests.probes import Chain
from tests.reference import outer
from tests.trees import assert_finite

LAYOUT = make_env().layout


def training_distributions(policy, params, observations):
    outputs = outputs_of(policy, params["actor"], observations)
    return policy.distribution.parameters(outputs)


def same(found, expected):
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


FEW = [("markov", "rl3", "box"), ("gru", "rl2", "discrete")]
FEW += [(core, "rl3", "discrete") for core in CORES if core not in ("markov", "gru")]
SETTINGS = slow_but(FEW, itertools.product(["markov", "gru"], METHODS, FAMILIES))


@pytest.mark.parametrize(("core", "method", "family"), SETTINGS)
def test_training_and_rollout_log_probabilities_agree(core, method, family):
    policy, params, batch, _ = collected(core, method, FAMILIES[family])
    seen = batch.trajectory
    ours = training_distributions(policy, params, seen.observations)
    gap = jnp.abs(policy.distribution.log_ratio(ours, seen.distributions, seen.actions))
    assert gap.shape == (TRIALS, HORIZON)
    assert gap.max() <= policy.config.core.log_prob_tolerance
    assert jnp.abs(ours - seen.distributions).max() <= policy.config.core.log_prob_tolerance
    # They would not agree by chance: the policy has opinions, and they depend on what it sees.
    assert seen.distributions.std(axis=(0, 1)).min() > 0.01


@pytest.mark.usefixtures("each_platform")
def test_they_agree_where_heads_are_joined():
    """With each other and with the layer of the read-out before them."""
    policy, env = make_policy("mingru", read_out="product", shared_trunk=True), make_env()
    params = make_state(policy).params
    keys = jax.random.split(jax.random.key(5), TRIALS)
    seen = jax.jit(lambda params, keys: live(env, policy, params, keys)[1])(params, keys)
    _, (outputs, values) = policy.unroll(params, policy.initial_carries(TRIALS), seen.observations)
    gap = jnp.abs(policy.distribution.parameters(outputs) - seen.distributions)
    assert gap.max() <= policy.config.core.log_prob_tolerance
    np.testing.assert_allclose(seen.values, values, rtol=1e-5, atol=1e-5)
    assert seen.distributions.std(axis=(0, 1)).min() > 0.01


@pytest.mark.parametrize(
    ("family", "ends"),
    [(MDP, "truncated"), (Bandit(), "terminated"), (BOX, "truncated"), (Gridworld(), None)],
)
def test_steps_are_those_that_the_rollout_told(family, ends):
    """Though no state before a step is stored."""
    env, policy = make_env("rl2", family), make_policy("markov", "rl2", family)
    params = make_state(policy).params
    keys = jax.random.split(jax.random.key(5), TRIALS)
    told = []

    def spied(*args):
        *args, keep, num_segments = args
        lived = rollout(*args, lambda now: (keep(now), now.step), num_segments)
        told.append(lived.kept[1])
        return lived._replace(kept=lived.kept[0])

    with mock.patch("rl3_jax.ppo.collection.rollout", spied):
        steps = live(env, policy, params, keys)[2]
    jax.tree.map(same, steps, jax.tree.map(lambda x: x.swapaxes(0, 1), told[0]))
    assert ends is None or getattr(steps, ends).any()


class FarChain(Chain):
    """States 2²⁵ − 9, 2²⁵ − 8, … in turn, more than float32 tells apart."""

    shows_state = False
    num_states = 2**25

    def concrete(self, state, task):
        return ConcreteState(index=state.s + self.num_states - 9, coordinates=None)


def test_indices_of_large_tables_are_not_rounded():
    family = FarChain(actions=2)
    env, policy = make_env("rl2", family), make_policy("markov", "rl2", family)
    keys = jax.random.split(jax.random.key(5), TRIALS)
    steps = live(env, policy, make_state(policy).params, keys)[2]
    expected = np.broadcast_to(family.num_states - 9 + np.arange(HORIZON) % family.steps, (TRIALS, HORIZON))
    same(steps.state.index, expected.astype(np.int32))
    same(steps.next_state.index, expected.astype(np.int32) + 1)
    same(steps.truncated, expected % family.steps == expected[0, family.steps - 1] % family.steps)
    assert not steps.terminated.any()


@pytest.mark.parametrize("core", slow(["gru", "transformer"]))
def test_bfloat16_goes_through_an_iteration(core):
    """Acting and training agree as far as it allows; what is learnt and kept stays float32."""
    policy = make_policy(core, compute="bfloat16")
    state = make_state(policy)
    keys = jax.random.split(jax.random.key(5), TRIALS)
    batch, _ = jax.jit(ppo.collect, static_argnums=(0, 1, 2))(CONFIG, make_env(), policy, state.params, keys)
    learnt, metrics = update(CONFIG, policy, state, batch, rates(0.01), jax.random.key(3))
    assert metrics["max_abs_log_ratio"] <= BFLOAT16_TOLERANCE
    assert_finite((batch, learnt, metrics))
    assert all(differs(learnt.params[name], state.params[name]) for name in ("actor", "critic"))
    kept = [
        leaf.dtype for leaf in jax.tree.leaves((batch, learnt)) if jnp.issubdtype(leaf.dtype, jnp.inexact)
    ]
    assert set(kept) == {jnp.dtype("float32")}
    # Float32 sees the same with other probabilities: bfloat16 was in use.
    exact = training_distributions(make_policy(core), state.params, batch.trajectory.observations)
    assert jnp.abs(exact - batch.trajectory.distributions).max() > 1e-4


def test_a_wrong_memory_would_be_noticed():
    """Replaying from a stale or shared memory, as some programs do, misses by far more than the tolerance."""
    policy, params, batch, _ = collected("gru", "rl2")
    seen = batch.trajectory
    step = lambda carry, observation: policy.step(params, carry, observation)[:2]  # noqa: E731
    replay = jax.jit(jax.vmap(partial(jax.lax.scan, step)))
    fresh = jnp.zeros_like(policy.initial_carries(TRIALS))
    carry, logits = replay(fresh, seen.observations)
    np.testing.assert_allclose(jax.nn.log_softmax(logits), seen.distributions, atol=1e-5)
    stale = jax.nn.log_softmax(replay(carry, seen.observations)[1])
    assert jnp.abs(stale - seen.distributions).max() > 1e-3
    # Time and batch mixed up by a reshape.
    mixed = seen.observations.reshape(HORIZON, TRIALS, -1).swapaxes(0, 1)
    assert jnp.abs(training_distributions(policy, params, mixed) - seen.distributions).max() > 1e-3


def test_actions_follow_the_policy():
    """Each action is drawn with the probability that its logits give; in sum, as the batch is small."""
    policy, params, _, _ = collected()
    params = opinionated(params)  # further: a table that is still nearly empty tells it little
    keys = jax.random.split(jax.random.key(9), 400)
    seen = jax.jit(live, static_argnums=(0, 1))(make_env(), policy, params, keys)[1]
    probability = np.exp(seen.distributions)[..., 1]
    surprise = seen.actions - probability
    error = np.sqrt((probability * (1 - probability)).sum())
    assert abs(surprise.sum()) <= 4 * error
    assert abs((surprise * (probability - 0.5)).sum()) <= 4 * error * np.abs(probability - 0.5).max()
    assert probability.std() > 0.05


def test_a_batch_records_whole_trials():
    _, _, batch, metrics = collected()
    seen = batch.trajectory
    clock = seen.observations[..., LAYOUT["trial_time"]][..., 0]
    np.testing.assert_allclose(clock, np.tile(np.arange(HORIZON) / HORIZON, (TRIALS, 1)), atol=1e-6)
    action = seen.observations[:, 1:, LAYOUT["previous_action"]].argmax(-1)
    np.testing.assert_array_equal(action, seen.actions[:, :-1])
    reward = seen.observations[:, 1:, LAYOUT["previous_reward"]][..., 0]
    np.testing.assert_array_equal(reward, seen.rewards[:, :-1])
    np.testing.assert_allclose(metrics["mean_return"], seen.rewards.sum(1).mean(), rtol=1e-5)


def test_the_environment_gets_the_squashed_action():
    """What the next observation tells of the last action, and its reward, are those of a = c + w tanh(u)."""
    policy, _, batch, _ = collected(family=BOX)
    seen = batch.trajectory
    action = policy.distribution.to_env(seen.actions)
    assert (seen.actions != action).all()
    low, high = (np.array(bound) for bound in (policy.distribution.low, policy.distribution.high))
    assert ((action >= low) & (action <= high)).all()
    told = seen.observations[:, 1:, make_env(family=BOX).layout["previous_action"]]
    scaled = (2 * action - low - high) / (high - low)
    np.testing.assert_allclose(told, scaled[:, :-1], atol=1e-6)
    np.testing.assert_allclose(seen.rewards, -((action - np.array(BOX.target)) ** 2).sum(-1), atol=1e-6)


def test_advantages_and_their_metrics_equal_the_twins():
    policy, params, batch, metrics = collected()
    seen = batch.trajectory
    values = critic_values(CONFIG, policy, params, seen.observations)[1]
    values = np.asarray(values, float)
    expected = [
        outer.gae(r, v, 0.9, 0.8) for r, v in zip(np.asarray(seen.rewards, float), values, strict=True)
    ]
    np.testing.assert_allclose(batch.advantages, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(batch.returns, expected + values, rtol=1e-4, atol=1e-4)
    explained = 1 - np.var(expected) / np.var(expected + values)
    np.testing.assert_allclose(metrics["explained_variance"], explained, rtol=1e-4)


def test_a_trial_does_not_depend_on_the_others_of_its_batch():
    policy, params, batch, _ = collected()
    keys = jax.random.split(jax.random.key(5), TRIALS)
    part = jax.jit(ppo.collect, static_argnums=(0, 1, 2))(CONFIG, make_env(), policy, params, keys[3:6])[0]
    for cut, whole in zip(jax.tree.leaves(part), jax.tree.leaves(batch), strict=True):
        np.testing.assert_allclose(cut, whole[3:6], rtol=1e-5, atol=1e-5)


def test_the_novelty_bonus_pays_for_first_visits_and_for_nothing_else():
    """What the critic learns from is paid more, by the twin's first visits; what is reported is not."""
    family = RandomMdp(states=6, actions=2, steps=4)
    config, policy = configure(novelty_bonus=3.0), make_policy(family=family)
    params, env = make_state(policy, config).params, make_env(family=family)
    keys = jax.random.split(jax.random.key(5), TRIALS)
    collect = jax.jit(ppo.collect, static_argnums=(0, 1, 2))
    paid, metrics = collect(config, env, policy, params, keys, jnp.float32(2.0))
    plain, plain_metrics = collect(CONFIG, env, policy, params, keys)
    np.testing.assert_array_equal(paid.trajectory.rewards, plain.trajectory.rewards)
    assert metrics["mean_return"] == plain_metrics["mean_return"]

    steps = jax.jit(live, static_argnums=(0, 1))(env, policy, params, keys)[2]
    states, next_states = np.asarray(steps.state.index), np.asarray(steps.next_state.index)
    new = np.array([outer.first_visits(*trial) for trial in zip(states, next_states, strict=True)])
    assert 0.1 < new.mean() < 0.9
    more = [outer.gae(2.0 * trial, np.zeros(HORIZON), CONFIG.discount, CONFIG.gae_lambda) for trial in new]
    np.testing.assert_allclose(paid.advantages - plain.advantages, more, rtol=1e-4, atol=1e-4)


def test_with_mean_rewards_advantages_are_of_what_steps_pay_on_average():
    """The critic learns from the task's own means; what the policy sees and what is reported is drawn."""
    family = RandomMdp(states=6, actions=2, steps=4)
    policy, env = make_policy(family=family), make_env(family=family)
    params = make_state(policy, CONFIG).params
    keys = jax.random.split(jax.random.key(5), TRIALS)
    collect = jax.jit(ppo.collect, static_argnums=(0, 1, 2))
    smooth, metrics = collect(configure(mean_rewards=True), env, policy, params, keys)
    plain, plain_metrics = collect(CONFIG, env, policy, params, keys)
    jax.tree.map(np.testing.assert_array_equal, smooth.trajectory, plain.trajectory)
    assert metrics["mean_return"] == plain_metrics["mean_return"]

    lived, _, steps = jax.jit(live, static_argnums=(0, 1))(env, policy, params, keys)
    means, actions = np.asarray(lived.final.task.mean_reward), np.asarray(plain.trajectory.actions)
    less = np.stack([means[i][steps.state.index[i], actions[i]] for i in range(TRIALS)])
    less = less - plain.trajectory.rewards
    assert 0.7 < less.std() < 1.3  # the noise of rewards has a standard deviation of 1
    differences = [outer.gae(trial, np.zeros(HORIZON), CONFIG.discount, CONFIG.gae_lambda) for trial in less]
    np.testing.assert_allclose(smooth.advantages - plain.advantages, differences, rtol=1e-4, atol=1e-4)


def test_a_state_in_which_an_episode_starts_is_not_new():
    states, next_states = jnp.array([3, 1, 0, 2]), jnp.array([1, 2, 3, 0])
    np.testing.assert_array_equal(first_visits(states, next_states, 5), [True, True, False, False])
