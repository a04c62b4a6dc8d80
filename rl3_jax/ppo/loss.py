"""The losses of actor and critic over a minibatch of whole trials, or of segments of trials."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PyTree

from rl3_jax.policies import Params, Policy
from rl3_jax.ppo.config import SMALLEST, PPOConfig
from rl3_jax.ppo.rollout import Trajectory
from rl3_jax.ppo.segments import Unroll, through_segments

STD_EPSILON = 1e-8
"""Keeps advantages that are all equal from a division by 0; of no effect on others."""

Metrics = dict[str, Float[Array, ""]]


@struct.dataclass
class Batch:
    """N sequences of L steps with what the update needs of them: whole trials, or segments of them.

    Attributes:
      trajectory: [N, L, …] what happened.
      advantages: [N, L] advantage estimates.
      returns: [N, L] targets of the critic, advantage + value.
      value_scale: [N, L] what the critic's output is multiplied by.
      carries: [N, …] each network's memory at the start of a sequence, by name; None for whole trials.
    """

    trajectory: Trajectory
    advantages: Float[Array, "N L"]
    returns: Float[Array, "N L"]
    value_scale: Float[Array, "N L"]
    carries: dict[str, Any] | None


def actor_loss(
    config: PPOConfig, policy: Policy, actor_params: PyTree, batch: Batch, entropy_bonus: Float[Array, ""]
) -> tuple[Float[Array, ""], Metrics]:
    """Return −E[min(ρ A, clip(ρ, 1−ε, 1+ε) A)] − entropy_bonus · E[entropy], ρ = π(a)/π_rollout(a).

    Also returns the metrics `actor_loss` (first term), `entropy`, `max_abs_log_ratio` and, where
    `config.kl_estimate` asks for it, `kl`, the mean KL from the rollout policy.
    """
    outputs = _unroll(config, policy, partial(policy.outputs, actor_params), "actor", batch)
    return _policy_loss(config, policy, outputs, batch, entropy_bonus)


def critic_loss(config: PPOConfig, policy: Policy, critic_params: PyTree, batch: Batch) -> Float[Array, ""]:
    """Return E[(V_t − return_t)²], for a critic of its own."""
    values = _unroll(config, policy, partial(policy.values, critic_params), "critic", batch)
    return _squared_error(values, batch)


def shared_loss(
    config: PPOConfig, policy: Policy, params: Params, batch: Batch, entropy_bonus: Float[Array, ""]
) -> tuple[Float[Array, ""], Metrics]:
    """Return the actor's loss + critic_coefficient · E[(V_t − return_t)²], for two heads on one trunk.

    Also returns the metrics of `actor_loss`, and `critic_loss`.
    """
    outputs, values = _unroll(config, policy, partial(policy.outputs_and_values, params), "actor", batch)
    loss, metrics = _policy_loss(config, policy, outputs, batch, entropy_bonus)
    error = _squared_error(values, batch)
    return loss + config.critic_coefficient * error, metrics | {"critic_loss": error}


def critic_values(
    config: PPOConfig, policy: Policy, critic_params: PyTree, observations: Float[Array, "B H D"]
) -> tuple[Any, Float[Array, "B H"]]:
    """Return V_t at each step of each trial, by a critic of its own: its output, scaled as configured.

    Also returns its memories [B, n, …] at the start of each of n segments, or None if these are not stored.
    """
    horizon = observations.shape[1]
    num_segments = config.num_stored(horizon)
    unroll = partial(policy.values, critic_params)

    def values(observations):
        carries = policy.initial_carries(observations.shape[0])
        if num_segments == 1:
            return None, unroll(carries, observations)[1]
        starts, outputs = through_segments(unroll, carries, observations, num_segments)
        return jax.tree.map(lambda x: x.swapaxes(0, 1), starts), outputs

    starts, outputs = _by_minibatch(config, values, observations)
    return starts, outputs * value_scale(config, horizon)


def value_scale(config: PPOConfig, horizon: int) -> Float[Array, " H"]:
    """Return what the critic's output is multiplied by at each step t: Σ_{k<H−t} γ^k, or 1."""
    if config.critic_scale == "none":
        return jnp.ones(horizon)
    remaining = horizon - jnp.arange(horizon, dtype=jnp.float32)
    # expm1 and log1p keep the digits that 1 − γ^n would lose where γ is near 1.
    gap = 1.0 - jnp.asarray(config.discount, jnp.float32)
    discounted = -jnp.expm1(remaining * jnp.log1p(-gap)) / jnp.maximum(gap, SMALLEST)
    return jnp.where(gap == 0.0, remaining, discounted)


def mean_kl(config: PPOConfig, policy: Policy, actor_params: PyTree, batch: Batch) -> Float[Array, ""]:
    """Return the mean KL from the rollout policy over all steps of all sequences, nats."""

    def kl(batch):
        outputs = _unroll(config, policy, partial(policy.outputs, actor_params), "actor", batch)
        found = policy.distribution.parameters(outputs)
        return policy.distribution.kl(batch.trajectory.distributions, found)

    return _by_minibatch(config, kl, batch).mean()


def _unroll(config: PPOConfig, policy: Policy, unroll: Unroll, network: str, batch: Batch) -> PyTree:
    """Return a network's outputs [N, L, …] at each step of each sequence."""
    observations = batch.trajectory.observations
    num_sequences, length = observations.shape[:2]
    carries = policy.initial_carries(num_sequences) if batch.carries is None else batch.carries[network]
    if not config.segmented(length):
        return unroll(carries, observations)[1]
    return through_segments(unroll, carries, observations, length // config.segment_length)[1]


def _policy_loss(
    config: PPOConfig,
    policy: Policy,
    outputs: Float[Array, "N L O"],
    batch: Batch,
    entropy_bonus: Float[Array, ""],
) -> tuple[Float[Array, ""], Metrics]:
    """Return what `actor_loss` does, given the actor's outputs."""
    trajectory, distribution = batch.trajectory, policy.distribution
    distributions = distribution.parameters(outputs)
    log_ratio = distribution.log_ratio(distributions, trajectory.distributions, trajectory.actions)
    ratio = jnp.exp(log_ratio)
    advantages = batch.advantages
    if config.normalise_advantages:
        advantages = (advantages - advantages.mean()) / (advantages.std() + STD_EPSILON)
    clipped = jnp.clip(ratio, 1.0 - config.clip, 1.0 + config.clip)
    surrogate = jnp.minimum(ratio * advantages, clipped * advantages).mean()
    entropy = distribution.entropy(distributions).mean()
    metrics = {
        "actor_loss": -surrogate,
        "entropy": entropy,
        "max_abs_log_ratio": jnp.abs(log_ratio).max(),
    }
    if config.kl_estimate == "minibatches":
        metrics["kl"] = distribution.kl(trajectory.distributions, distributions).mean()
    return -surrogate - entropy_bonus * entropy, metrics


def _squared_error(values: Float[Array, "N L"], batch: Batch) -> Float[Array, ""]:
    """Return E[(V_t − return_t)²], given the critic's outputs."""
    return ((values * batch.value_scale - batch.returns) ** 2).mean()


def _by_minibatch(config: PPOConfig, function: Callable[[Any], PyTree], batch: PyTree) -> PyTree:
    """Return function(batch), taken on one part of the batch after another, each of a minibatch's size.

    So a pass over the whole batch needs no more memory than the update.
    """
    parts = jax.tree.map(lambda x: x.reshape(config.num_minibatches, -1, *x.shape[1:]), batch)
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), jax.lax.map(function, parts))
