"""Trials cut into segments, and a trunk shared by actor and critic."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax import ppo
from rl3_jax.constraints import problems
from rl3_jax.policies import CORES, Transformer, make_core
from rl3_jax.testing.cores import opinionated, outputs_of
from rl3_jax.testing.trees import differs
from tests.marks import slow
from tests.ppo.setting import HORIZON, TRIALS, configure, make_env, make_policy, make_state, rates, update
from tests.trees import assert_close

WINDOWED = Transformer(layers=2, heads=2, feed_forward=8, positions="rotary", window=4, cache_parts=2)
OTHERS = [name for name in CORES if make_core(name).constant_carry and name != "gru"]
SETTINGS = [("gru", False), ("gru", True), *((core, False) for core in (*OTHERS, WINDOWED))]
FEW = slow(SETTINGS)
LENGTH = 5
KEYS = jax.random.split(jax.random.key(5), TRIALS)
KEY = jax.random.key(3)


def collect(config, policy, params):
    return jax.jit(ppo.collect, static_argnums=(0, 1, 2))(config, make_env(), policy, params, KEYS)[0]


def prepare(core, shared_trunk, **hyper):
    """Return a configuration, a policy with opinions, its state and a batch."""
    config = configure(minibatch_trials=4, **hyper)
    policy = make_policy(core, shared_trunk=shared_trunk)
    state = make_state(policy, config)
    return config, policy, state, collect(config, policy, state.params)


def losses(config, policy, params, batch):
    """Return the sum of both losses."""
    bonus = jnp.float32(0.1)
    loss = ppo.loss(config, policy, params, batch, bonus)[0]
    if policy.config.shared_trunk:
        return loss
    return loss + config.critic_coefficient * ppo.critic_loss(config, policy, params, batch)


@pytest.mark.parametrize(("core", "shared_trunk"), FEW)
def test_recomputed_segments_have_the_gradient_of_the_whole_trial(core, shared_trunk):
    whole, policy, state, batch = prepare(core, shared_trunk)
    parts = dataclasses.replace(whole, segment_length=LENGTH)
    moved = opinionated(state.params, scale=0.05)
    found, expected = (
        jax.jit(jax.value_and_grad(partial(losses, config, policy)))(moved, batch)
        for config in (parts, whole)
    )
    assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert max(jnp.abs(leaf).max() for leaf in jax.tree.leaves(expected[1])) > 0.01


@pytest.mark.parametrize(("core", "shared_trunk"), FEW)
def test_stored_segments_start_from_the_memory_of_the_rollout(core, shared_trunk):
    """Before a gradient step the losses are those of whole trials; the sequences are the trials' parts."""
    whole, policy, state, batch = prepare(core, shared_trunk, normalise_advantages=False)
    config = dataclasses.replace(whole, segment_length=LENGTH, segment_carries="stored")
    cut = collect(config, policy, state.params)
    num_parts = HORIZON // LENGTH
    assert cut.advantages.shape == (TRIALS * num_parts, LENGTH)
    assert set(cut.carries) == ({"actor"} if shared_trunk else {"actor", "critic"})
    for part, trial in zip(jax.tree.leaves(cut.replace(carries={})), jax.tree.leaves(batch), strict=True):
        np.testing.assert_allclose(part.reshape(trial.shape), trial, rtol=1e-4, atol=2e-5)
    # The loss of both, and no change of probabilities: the memories are right at each cut.
    found, expected = (losses(c, policy, state.params, b) for c, b in ((config, cut), (whole, batch)))
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    learnt, metrics = update(config, policy, state, cut, rates(0.01), KEY)
    one_by_one = dataclasses.replace(config, part_steps=LENGTH)
    in_parts = update(one_by_one, policy, state, collect(one_by_one, policy, state.params), rates(0.01), KEY)
    # Adam's means of gradients, not its steps, which are as large where a gradient is nothing but rounding.
    assert_close((in_parts[0].opt_state, in_parts[1]), (learnt.opt_state, metrics), rtol=1e-3, atol=1e-6)
    assert metrics["max_abs_log_ratio"] <= policy.config.core.log_prob_tolerance
    if core != "markov":  # without the memories they would not be
        forgetful = cut.replace(carries={})
        assert abs(losses(config, policy, state.params, forgetful) - found) > 1e-3


@pytest.mark.parametrize("core", slow(core for core, shared in SETTINGS if not shared and core != "markov"))
def test_the_gradient_ends_at_the_start_of_a_stored_segment(core):
    """It is that of backpropagation cut by hand at the middle of each trial, and not that of whole trials."""
    config, policy, state, _ = prepare(
        core, False, segment_length=LENGTH, segment_carries="stored", normalise_advantages=False
    )
    params, batch = {"actor": state.params["actor"]}, collect(config, policy, state.params)
    bonus = jnp.float32(0.1)
    found = jax.jit(jax.grad(lambda params: ppo.loss(config, policy, params, batch, bonus)[0]))(params)
    truncated, full = (
        jax.jit(jax.grad(partial(loss_of_halves, policy, batch, bonus, between)))(params)
        for between in (jax.lax.stop_gradient, lambda carries: carries)
    )
    assert_close(found, truncated, rtol=1e-4, atol=1e-6)
    cores = (jax.tree.leaves(gradient["actor"]["core"]) for gradient in (truncated, full))
    pairs = zip(*cores, strict=True)
    assert max(jnp.abs(x - y).max() for x, y in pairs) > 1e-3


def loss_of_halves(policy, batch, bonus, between, params):
    """The actor's loss of trials in two halves, with `between` applied to the memories handed on."""
    seen = jax.tree.map(lambda x: x.reshape(TRIALS, HORIZON, *x.shape[2:]), batch.trajectory)
    observations = seen.observations
    carries, (first, _) = policy.unroll(params, policy.initial_carries(TRIALS), observations[:, :LENGTH])
    _, (second, _) = policy.unroll(params, between(carries), observations[:, LENGTH:])
    distributions = policy.distribution.parameters(jnp.concatenate([first, second], axis=1))
    log_ratio = policy.distribution.log_ratio(distributions, seen.distributions, seen.actions)
    # Nothing is clipped: the parameters are still those of the rollout.
    gain = (jnp.exp(log_ratio) * batch.advantages.reshape(TRIALS, HORIZON)).mean()
    return -gain - bonus * policy.distribution.entropy(distributions).mean()


@pytest.mark.parametrize("core", slow(["gru", "markov"]))
def test_a_shared_trunk_takes_values_from_the_rollout(core):
    """They are those that the update computes from the same parameters."""
    _, policy, state, batch = prepare(core, shared_trunk=True)
    carries = policy.initial_carries(TRIALS)
    _, (outputs, values) = policy.unroll(state.params, carries, batch.trajectory.observations)
    np.testing.assert_allclose(batch.trajectory.values, values, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(batch.returns - batch.advantages, values, rtol=1e-3, atol=1e-4)
    assert values.std() > 0.05
    np.testing.assert_allclose(
        outputs, outputs_of(policy, state.params["actor"], batch.trajectory.observations)
    )


def test_both_heads_in_one_product_are_the_two():
    _, policy, state, batch = prepare("gru", shared_trunk=True)
    joined = policy.joined(state.params)
    assert "heads" in joined
    assert "heads" not in state.params
    observation = batch.trajectory.observations[1, 2]
    apart, together = (policy.step(p, policy.initial_carry(), observation) for p in (state.params, joined))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), together, apart)
    alone = {"actor": state.params["actor"]}
    assert policy.joined(alone) == alone


def test_a_shared_trunk_learns_from_both_losses():
    config, policy, state, batch = prepare("gru", shared_trunk=True)
    alone = dataclasses.replace(config, critic_coefficient=0.0)
    both, actor_only = (
        jax.tree.leaves(jax.grad(partial(losses, c, policy))(state.params, batch)["actor"]["core"])
        for c in (config, alone)
    )
    assert max(jnp.abs(x - y).max() for x, y in zip(both, actor_only, strict=True)) > 1e-3
    learnt = update(config, policy, state, batch, rates(0.01), KEY)[0]
    assert all(differs(learnt.params[name], state.params[name]) for name in ("actor", "critic"))


def test_a_shared_trunk_stops_whole():
    config, policy, state, batch = prepare("gru", shared_trunk=True)
    config = dataclasses.replace(config, minibatch_trials=TRIALS)
    runs = [
        update(
            dataclasses.replace(config, epochs=epochs, kl_limit=limit), policy, state, batch, rates(0.01), KEY
        )
        for epochs, limit in ((4, 1e-12), (1, 1e9), (4, 1e9))
    ]
    (stopped, metrics), (once, expected), (on, _) = runs
    assert metrics["actor_epochs"] == 1
    assert_close(stopped, once, rtol=1e-5, atol=1e-6)
    assert differs(stopped.params, on.params)
    # Means are over what was learnt from.
    np.testing.assert_allclose(metrics["critic_loss"], expected["critic_loss"], rtol=1e-4)


def test_the_kl_of_minibatches_is_their_mean_before_each_step():
    """With one minibatch an epoch it is the KL that the epoch before left; with a step of zero, none."""
    batchwise = configure(epochs=3)
    config = dataclasses.replace(batchwise, kl_estimate="minibatches")
    policy = make_policy("markov")
    state = make_state(policy, config)
    batch = collect(config, policy, state.params)
    late = update(config, policy, state, batch, rates(0.003), KEY)[1]["kl"]
    two = update(dataclasses.replace(batchwise, epochs=2), policy, state, batch, rates(0.003), KEY)[1]["kl"]
    three = update(batchwise, policy, state, batch, rates(0.003), KEY)[1]["kl"]
    np.testing.assert_allclose(late, two, rtol=1e-3)
    assert three > 1.2 * late
    assert update(config, policy, state, batch, rates(0.0), KEY)[1]["kl"] < 1e-6
    stopped = update(
        dataclasses.replace(config, kl_limit=float(late) / 10), policy, state, batch, rates(0.003), KEY
    )[1]
    assert stopped["actor_epochs"] == 2  # the first epoch's KL is 0


def test_bad_segments_are_reported():
    assert configure(segment_length=5).segment_problems(10) == []
    assert configure(segment_length=50).segment_problems(10) == []  # the trial is shorter: it stays whole
    assert "divisors are 1, 2, 5, 10" in configure(segment_length=3).segment_problems(10)[0]
    assert problems(configure(segment_length=-1)) == ["segment_length is -1; it must be at least 0"]
