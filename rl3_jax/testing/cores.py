"""Conformance of a sequence core."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rl3_jax.policies import Categorical, Core, Distribution, Policy, PolicyConfig, SquashedGaussian
from rl3_jax.testing.trees import close, not_finite, require, require_configuration, signature

NUM_TRIALS, NUM_STEPS, NUM_FEATURES, NUM_OUTPUTS, WIDTH = 3, 23, 7, 4, 16
BFLOAT16_TOLERANCE = 0.1
"""`log_prob_tolerance` of products of bfloat16, whose operands have eight bits: a number that two programs
compute with the last bit of float32 apart may round to neighbours, 1/256 apart."""
DISTRIBUTIONS = (Categorical(4), SquashedGaussian((-1.0, 0.0), (1.0, 0.4)))


def check_core(core: Core, exchangeable: bool = False) -> None:
    """Check one core: acting step by step and training on whole trials are the same function.

    With `exchangeable` each of the actions has a memory of its own.

    Raises:
      ConformanceError: at the first thing that a core should do and this one does not.
    """
    who = type(core).__name__
    for name in ("module", "initial_carry"):
        defined = getattr(type(core), name, None) not in (None, getattr(Core, name))
        require(defined, f"{who} does not define {name}; every core needs it: see rl3_jax.policies.Core")
    for name in ("spec_problems", "log_prob_tolerance", "constant_carry"):
        require(
            hasattr(core, name), f"{who} has no {name}; let it inherit from rl3_jax.policies.Core, which has"
        )
    require_configuration(core)
    config = PolicyConfig(core=core, width=WIDTH, exchangeable_actions=exchangeable)
    found = core.spec_problems(config.spec(NUM_STEPS))
    require(not found, f"{who}.spec_problems refuses {config.spec(NUM_STEPS)}: {'; '.join(found)}")
    policy = Policy(config, NUM_FEATURES, DISTRIBUTIONS[0], NUM_STEPS, action_starts=(2,))
    params = opinionated(policy.init(jax.random.key(0)))["actor"]
    observations = _random_trials()
    _check_memory(policy, params, observations)
    whole = outputs_of(policy, params, observations)
    carries, stepped = _step_through(policy, params, observations)
    expected = (NUM_TRIALS, NUM_STEPS, NUM_OUTPUTS)
    require(
        whole.shape == stepped.shape == expected and whole.dtype == stepped.dtype == jnp.float32,
        f"{who}: its module must return outputs as large as its inputs, in float32, over a whole sequence and"
        " one step at a time",
    )
    odd = not_finite((whole, carries))
    require(not odd, f"{who}: {odd} of its outputs or memories is not finite, of observations near 1")
    for distribution in DISTRIBUTIONS:
        _check_log_probs(who, distribution, whole, stepped, core.log_prob_tolerance)
    _check_causal(policy, params, observations, whole)
    _check_gradient(policy, params, observations)
    _check_bfloat16(policy, params, observations, whole)
    if core.constant_carry:
        _check_segments(policy, params, observations, whole)
        _check_longer(policy, observations)


def _check_memory(policy: Policy, params: Any, observations: Any) -> None:
    """A step returns a memory of the type that a trial begins with."""
    who, first = type(policy.config.core).__name__, policy.initial_carry()
    after = jax.eval_shape(policy.step, {"actor": params}, first, observations[0, 0])[0]
    require(
        signature(after) == signature(first),
        f"{who}: `step` of its module returns a memory of another type or shape than initial_carry; it goes"
        " through the steps of a trial in a loop, so let both return the same",
    )


@partial(jax.jit, static_argnums=0)
def outputs_of(policy: Policy, actor_params: Any, observations: Any) -> Any:
    """Return the actor's outputs [B, H, N] at each step of whole trials."""
    params, carries = {"actor": actor_params}, policy.initial_carries(observations.shape[0])
    return policy.unroll(params, carries, observations)[1][0]


@partial(jax.jit, static_argnums=0)
def values_of(policy: Policy, critic_params: Any, observations: Any) -> Any:
    """Return the values [B, H] of a critic of its own at each step of whole trials."""
    params, carries = {"critic": critic_params}, policy.initial_carries(observations.shape[0])
    return policy.unroll_critic(params, carries, observations)[1]


def opinionated(params: Any, scale: float = 0.3) -> Any:
    """Return parameters moved at random: fresh ones make every policy nearly uniform."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    moved = [
        leaf + scale * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)
    ]
    return jax.tree.unflatten(structure, moved)


def _random_trials() -> Any:
    """Return observations [NUM_TRIALS, NUM_STEPS, NUM_FEATURES]; the last feature restarts as episodes do."""
    observations = np.random.default_rng(2).normal(size=(NUM_TRIALS, NUM_STEPS, NUM_FEATURES))
    observations[..., -1] = np.arange(NUM_STEPS) % 5 / 5
    return jnp.asarray(observations, jnp.float32)


def _step_through(policy: Policy, params: Any, observations: Any) -> Any:
    """Return the memories and outputs of acting through whole trials."""

    def act(observations: Any) -> Any:
        def step(carry: Any, observation: Any) -> Any:
            return policy.step({"actor": params}, carry, observation)[:2]

        return jax.lax.scan(step, policy.initial_carry(), observations)

    return jax.jit(jax.vmap(act))(observations)


def _check_log_probs(
    who: str, distribution: Distribution, whole: Any, stepped: Any, tolerance: float, products: str = ""
) -> None:
    """Actions drawn in acting have the same probability in training."""
    log_ratios, log_probs = _compared(distribution, whole, stepped)
    apart = np.abs(log_ratios).max()
    require(
        apart <= tolerance,
        f"{who}: acting step by step and training on whole trials{products} differ, by {apart:.2g} in"
        f" log-probabilities where {tolerance:.2g} is allowed; PPO would learn from actions that were never"
        " as likely as it thinks: make `step` and `__call__` of its module one function, with the memory"
        " passed on",
    )
    require(
        np.std(log_probs) > 0.1,
        f"{who}: its outputs hardly depend on what it reads; let them depend on its inputs",
    )


@partial(jax.jit, static_argnums=0)
def _compared(distribution: Distribution, whole: Any, stepped: Any) -> Any:
    """Return log-ratios and log-probabilities of actions drawn in acting."""
    noise = jax.vmap(distribution.noise)(jax.random.split(jax.random.key(4), NUM_TRIALS))
    actions = jax.vmap(jax.vmap(distribution.sample, (None, 0)))(noise, stepped)
    ours, theirs = distribution.parameters(whole), distribution.parameters(stepped)
    return distribution.log_ratio(ours, theirs, actions), distribution.log_prob(ours, actions)


def _check_causal(policy: Policy, params: Any, observations: Any, whole: Any) -> None:
    """What happens at a step changes its output and none before."""
    who, middle = type(policy.config.core).__name__, NUM_STEPS // 2
    observations = np.array(observations)
    observations[:, middle] += 1.0
    outputs, changed = np.asarray(whole), np.asarray(outputs_of(policy, params, observations))
    require(
        np.allclose(changed[:, :middle], outputs[:, :middle], rtol=1e-7, atol=1e-6),
        f"{who}: an output depends on a later step, which is not known when one acts; let its module read a"
        " sequence from its start on",
    )
    require(
        np.abs(changed[:, middle] - outputs[:, middle]).max() > 1e-3,
        f"{who}: a step's output does not depend on its own input; let it",
    )


def _check_gradient(policy: Policy, params: Any, observations: Any) -> None:
    """The gradient of a whole trial is that of the steps it is made of, and reaches each parameter."""
    who = type(policy.config.core).__name__
    weights = np.random.default_rng(3).normal(size=(NUM_TRIALS, NUM_STEPS, NUM_OUTPUTS)).astype(np.float32)

    def whole(params: Any) -> Any:
        return (weights * outputs_of(policy, params, observations)).mean()

    def stepped(params: Any) -> Any:
        return (weights * _step_through(policy, params, observations)[1]).mean()

    gradient, expected = (jax.jit(jax.grad(loss))(params) for loss in (whole, stepped))
    for path, leaf in jax.tree_util.tree_leaves_with_path(expected):
        require(
            np.abs(leaf).max() > 1e-4,
            f"{who}: parameter {jax.tree_util.keystr(path)} has no gradient, so it would never be learnt; use"
            " it in every step, or leave it out",
        )
    require(
        close(gradient, expected, rtol=1e-4, atol=1e-6),
        f"{who}: the gradient over a whole sequence is not that of the same steps one by one; if `__call__`"
        " has a backward pass of its own, mend it",
    )
    _check_slope(who, whole, params, gradient)


def _check_slope(who: str, loss: Any, params: Any, gradient: Any) -> None:
    """Along a direction in the space of parameters, the gradient is the slope of the loss.

    The loss rises along each axis of it, so that no two parts of the slope cancel. The slope is
    (f(h) − f(−h))/2h, which float32 tells to some 1e-3 of the largest gradient.
    """
    lengths = opinionated(jax.tree.map(np.zeros_like, params), scale=0.2)
    direction = jax.tree.map(
        lambda length, g: jnp.where(g == 0, length, jnp.abs(length) * jnp.sign(g)), lengths, gradient
    )

    def loss_at(distance: float) -> Any:
        return loss(jax.tree.map(lambda p, d: p + distance * d, params, direction))

    slope = (loss_at(5e-4) - loss_at(-5e-4)) / 1e-3
    found = sum(np.vdot(g, d) for g, d in zip(*map(jax.tree.leaves, (gradient, direction)), strict=True))
    require(
        abs(found) > 1e-3 and np.allclose(found, slope, rtol=2e-2, atol=2e-4),
        f"{who}: along a direction its gradient is {found:.4g}, where the loss rises by {slope:.4g}; a"
        " backward pass of its own is wrong, or the gradient is stopped somewhere",
    )


def _check_segments(policy: Policy, params: Any, observations: Any, whole: Any) -> None:
    """A trial in two parts, the memory handed on, is the whole trial."""
    middle = NUM_STEPS // 3
    unroll = jax.jit(partial(policy.unroll, {"actor": params}))
    carries, (first, _) = unroll(policy.initial_carries(NUM_TRIALS), observations[:, :middle])
    _, (second, _) = unroll(carries, observations[:, middle:])
    require(
        np.allclose(np.concatenate([first, second], axis=1), whole, rtol=1e-4, atol=1e-5),
        f"{type(policy.config.core).__name__} says constant_carry, but a trial in two parts, the memory"
        " handed on, is not the whole trial; return the memory after the last step from `__call__`, or set"
        " constant_carry to False",
    )


def _check_longer(policy: Policy, observations: Any) -> None:
    """In trials longer than a policy is made for, acting and training are still the same function."""
    who, short = type(policy.config.core).__name__, dataclasses.replace(policy, horizon=NUM_STEPS // 3)
    params = opinionated(short.init(jax.random.key(0)))["actor"]
    stepped = _step_through(short, params, observations)[1]
    require(
        np.allclose(stepped, outputs_of(short, params, observations), rtol=1e-4, atol=1e-5),
        f"{who} says constant_carry, but made for trials of {short.horizon} steps, acting step by step and"
        f" training differ on one of {NUM_STEPS}; let no step depend on the horizon, or set constant_carry to"
        " False",
    )


def _check_bfloat16(policy: Policy, params: Any, observations: Any, whole: Any) -> None:
    """Products of bfloat16 change the outputs a little, and acting as much as training."""
    who = type(policy.config.core).__name__
    policy = dataclasses.replace(policy, config=dataclasses.replace(policy.config, compute="bfloat16"))
    trained = outputs_of(policy, params, observations)
    carries, stepped = _step_through(policy, params, observations)
    fresh = jax.eval_shape(policy.init, jax.random.key(0))
    require(
        all(leaf.dtype != jnp.bfloat16 for leaf in jax.tree.leaves((trained, stepped, carries, fresh))),
        f"{who}: with products of bfloat16 its memory, outputs or parameters are bfloat16, too; keep these in"
        " float32, where small changes add up",
    )
    for distribution in DISTRIBUTIONS:
        tolerance = max(policy.config.core.log_prob_tolerance, BFLOAT16_TOLERANCE)
        _check_log_probs(who, distribution, trained, stepped, tolerance, " with products of bfloat16")
    apart = np.abs(np.asarray(trained) - np.asarray(whole)).max()
    require(
        1e-4 < apart < 0.2,
        f"{who}: with products of bfloat16 outputs change by {apart:.2g}; between 1e-4 and 0.2 is what"
        " rounding of the operands does",
    )
