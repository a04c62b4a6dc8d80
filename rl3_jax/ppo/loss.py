"""The losses of actor and critic over a minibatch of whole trials."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PyTree

from rl3_jax.policies import Policy
from rl3_jax.ppo.config import PPOConfig
from rl3_jax.ppo.rollout import Trajectory

STD_EPSILON = 1e-8
"""Keeps advantages that are all equal from a division by 0; of no effect on others."""


@struct.dataclass
class Batch:
    """Whole trials with what the update needs of them; B is the number of trials.

    Attributes:
      trajectory: [B, H, …] the trials.
      advantages: [B, H] advantage estimates.
      returns: [B, H] targets of the critic, advantage + value.
    """

    trajectory: Trajectory
    advantages: Float[Array, "B H"]
    returns: Float[Array, "B H"]


def actor_loss(
    config: PPOConfig, policy: Policy, actor_params: PyTree, batch: Batch, entropy_bonus: Float[Array, ""]
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Return −E[min(ρ A, clip(ρ, 1−ε, 1+ε) A)] − entropy_bonus · E[entropy], ρ = π(a)/π_rollout(a).

    Also returns the metrics `actor_loss` (first term), `entropy` and `max_abs_log_ratio`.
    """
    trajectory = batch.trajectory
    distributions = _distributions(policy, actor_params, trajectory)
    log_ratio = policy.distribution.log_ratio(distributions, trajectory.distributions, trajectory.actions)
    ratio = jnp.exp(log_ratio)
    advantages = batch.advantages
    if config.normalise_advantages:
        advantages = (advantages - advantages.mean()) / (advantages.std() + STD_EPSILON)
    clipped = jnp.clip(ratio, 1.0 - config.clip, 1.0 + config.clip)
    surrogate = jnp.minimum(ratio * advantages, clipped * advantages).mean()
    entropy = policy.distribution.entropy(distributions).mean()
    metrics = {
        "actor_loss": -surrogate,
        "entropy": entropy,
        "max_abs_log_ratio": jnp.abs(log_ratio).max(),
    }
    return -surrogate - entropy_bonus * entropy, metrics


def critic_loss(config: PPOConfig, policy: Policy, critic_params: PyTree, batch: Batch) -> Float[Array, ""]:
    """Return E[(V_t − return_t)²]."""
    values = critic_values(config, policy, critic_params, batch.trajectory.observations)
    return ((values - batch.returns) ** 2).mean()


def critic_values(
    config: PPOConfig, policy: Policy, critic_params: PyTree, observations: Float[Array, "B H D"]
) -> Float[Array, "B H"]:
    """Return V_t at each step of each trial: the critic's output, scaled as configured."""
    values = jax.vmap(policy.values, in_axes=(None, 0))(critic_params, observations)
    if config.critic_scale == "remaining-steps":
        horizon = observations.shape[1]
        values = values * (horizon - jnp.arange(horizon, dtype=jnp.float32))
    return values


def mean_kl(policy: Policy, actor_params: PyTree, trajectory: Trajectory) -> Float[Array, ""]:
    """Return the mean KL from the rollout policy over all steps of all trials, nats."""
    distributions = _distributions(policy, actor_params, trajectory)
    return policy.distribution.kl(trajectory.distributions, distributions).mean()


def _distributions(policy: Policy, actor_params: PyTree, trajectory: Trajectory) -> Float[Array, "B H P"]:
    """Return the parameters of the policy's distribution at each step of each trial."""
    outputs = jax.vmap(policy.outputs, in_axes=(None, 0))(actor_params, trajectory.observations)
    return policy.distribution.parameters(outputs)
