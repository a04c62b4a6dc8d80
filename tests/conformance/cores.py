"""Conformance of a sequence core."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from rl3_jax.constraints import problems
from rl3_jax.policies import Categorical, Policy, PolicyConfig, SquashedGaussian
from tests.conformance.trees import assert_close, assert_finite, signature

NUM_TRIALS, NUM_STEPS, NUM_FEATURES, NUM_OUTPUTS, WIDTH = 3, 23, 7, 4, 16
BFLOAT16_TOLERANCE = 0.1
"""`log_prob_tolerance` of products of bfloat16, whose operands have eight bits: a number that two programs
compute with the last bit of float32 apart may round to neighbours, 1/256 apart."""
DISTRIBUTIONS = (Categorical(4), SquashedGaussian((-1.0, 0.0), (1.0, 0.4)))


def check_core(core, exchangeable=False):
    """Check one core: acting step by step and training on whole trials are the same function.

    With `exchangeable` each of the actions has a memory of its own.
    """
    assert problems(core) == []
    assert hash(core) == hash(type(core)())
    config = PolicyConfig(core=core, width=WIDTH, exchangeable_actions=exchangeable)
    assert core.spec_problems(config.spec(NUM_STEPS)) == []
    policy = Policy(config, NUM_FEATURES, DISTRIBUTIONS[0], NUM_STEPS, action_starts=(2,))
    params = opinionated(policy.init(jax.random.key(0)))["actor"]
    observations = _random_trials()
    whole = outputs_of(policy, params, observations)
    carries, stepped = _step_through(policy, params, observations)
    assert whole.shape == stepped.shape == (NUM_TRIALS, NUM_STEPS, NUM_OUTPUTS)
    assert whole.dtype == stepped.dtype == jnp.float32
    for distribution in DISTRIBUTIONS:
        _check_log_probs(distribution, whole, stepped, core.log_prob_tolerance)
    assert signature(carries) == signature(jax.vmap(lambda _: policy.initial_carry())(jnp.arange(NUM_TRIALS)))
    assert_finite((whole, carries))
    _check_causal(policy, params, observations, whole)
    _check_gradient(policy, params, observations)
    _check_bfloat16(policy, params, observations, whole)
    if core.constant_carry:
        _check_segments(policy, params, observations, whole)


@partial(jax.jit, static_argnums=0)
def outputs_of(policy, actor_params, observations):
    """Return the actor's outputs [B, H, N] at each step of whole trials."""
    params, carries = {"actor": actor_params}, policy.initial_carries(observations.shape[0])
    return policy.unroll(params, carries, observations)[1][0]


@partial(jax.jit, static_argnums=0)
def values_of(policy, critic_params, observations):
    """Return the values [B, H] of a critic of its own at each step of whole trials."""
    params, carries = {"critic": critic_params}, policy.initial_carries(observations.shape[0])
    return policy.unroll_critic(params, carries, observations)[1]


def opinionated(params, scale=0.3):
    """Return parameters moved at random: fresh ones make every policy nearly uniform."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [
        leaf + scale * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, moved)


def _random_trials():
    """Return observations [NUM_TRIALS, NUM_STEPS, NUM_FEATURES]; the last feature restarts as episodes do."""
    observations = np.random.default_rng(2).normal(size=(NUM_TRIALS, NUM_STEPS, NUM_FEATURES))
    observations[..., -1] = np.arange(NUM_STEPS) % 5 / 5
    return jnp.asarray(observations, jnp.float32)


def _step_through(policy, params, observations):
    """Return the memories and outputs of acting through whole trials."""

    def act(observations):
        def step(carry, observation):
            return policy.step({"actor": params}, carry, observation)[:2]

        return jax.lax.scan(step, policy.initial_carry(), observations)

    return jax.jit(jax.vmap(act))(observations)


def _check_log_probs(distribution, whole, stepped, tolerance):
    """Actions drawn in acting have the same probability in training."""
    log_ratios, log_probs = _compared(distribution, whole, stepped)
    assert np.abs(log_ratios).max() <= tolerance
    assert np.std(log_probs) > 0.1


@partial(jax.jit, static_argnums=0)
def _compared(distribution, whole, stepped):
    """Return log-ratios and log-probabilities of actions drawn in acting."""
    draw = jax.vmap(jax.vmap(distribution.sample, (None, 0)), (0, 0))
    actions = draw(jax.random.split(jax.random.key(4), NUM_TRIALS), stepped)
    ours, theirs = distribution.parameters(whole), distribution.parameters(stepped)
    return distribution.log_ratio(ours, theirs, actions), distribution.log_prob(ours, actions)


def _check_causal(policy, params, observations, whole):
    """What happens at a step changes its output and none before."""
    middle = NUM_STEPS // 2
    observations = np.array(observations)
    observations[:, middle] += 1.0
    outputs, changed = np.asarray(whole), np.asarray(outputs_of(policy, params, observations))
    np.testing.assert_allclose(changed[:, :middle], outputs[:, :middle], atol=1e-6)
    assert np.abs(changed[:, middle] - outputs[:, middle]).max() > 1e-3


def _check_gradient(policy, params, observations):
    """The gradient of a whole trial is that of the steps it is made of, and reaches each parameter."""
    weights = np.random.default_rng(3).normal(size=(NUM_TRIALS, NUM_STEPS, NUM_OUTPUTS)).astype(np.float32)

    def whole(params):
        return (weights * outputs_of(policy, params, observations)).mean()

    def stepped(params):
        return (weights * _step_through(policy, params, observations)[1]).mean()

    gradient, expected = (jax.jit(jax.grad(loss))(params) for loss in (whole, stepped))
    assert all(np.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(expected))
    assert_close(gradient, expected, rtol=1e-4, atol=1e-6)
    _check_slope(lambda at: (weights * outputs_of(policy, at, observations)).mean(), params, gradient)


def _check_slope(loss, params, gradient):
    """Along a direction in the space of parameters, the gradient is the slope of the loss.

    The loss rises along each axis of it, so that no two parts of the slope cancel. The slope is
    (f(h) − f(−h))/2h, which float32 tells to some 1e-3 of the largest gradient.
    """
    lengths = opinionated(jax.tree.map(np.zeros_like, params), scale=0.2)
    direction = jax.tree.map(
        lambda length, g: jnp.where(g == 0, length, jnp.abs(length) * jnp.sign(g)), lengths, gradient
    )

    def loss_at(distance):
        return loss(jax.tree.map(lambda p, d: p + distance * d, params, direction))

    slope = (loss_at(5e-4) - loss_at(-5e-4)) / 1e-3
    found = sum(np.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
    assert abs(found) > 1e-3
    np.testing.assert_allclose(found, slope, rtol=2e-2, atol=2e-4)


def _check_segments(policy, params, observations, whole):
    """A trial in two parts, the memory handed on, is the whole trial."""
    middle = NUM_STEPS // 3
    unroll = jax.jit(partial(policy.unroll, {"actor": params}))
    carries, (first, _) = unroll(policy.initial_carries(NUM_TRIALS), observations[:, :middle])
    _, (second, _) = unroll(carries, observations[:, middle:])
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-4, atol=1e-5)


def _check_bfloat16(policy, params, observations, whole):
    """Products of bfloat16 change the outputs a little, and acting as much as training."""
    policy = dataclasses.replace(policy, config=dataclasses.replace(policy.config, compute="bfloat16"))
    trained = outputs_of(policy, params, observations)
    carries, stepped = _step_through(policy, params, observations)
    assert all(leaf.dtype != jnp.bfloat16 for leaf in jax.tree.leaves((trained, stepped, carries)))
    for distribution in DISTRIBUTIONS:
        tolerance = max(policy.config.core.log_prob_tolerance, BFLOAT16_TOLERANCE)
        _check_log_probs(distribution, trained, stepped, tolerance)
    assert 1e-4 < np.abs(np.asarray(trained) - np.asarray(whole)).max() < 0.2
    fresh = jax.eval_shape(policy.init, jax.random.key(0))
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(fresh))
