"""The outer RL: PPO over whole trials, as pure functions."""

from rl3_jax.ppo.collection import Batch, collect, first_visits, gae, live, policy_acting, value_scale
from rl3_jax.ppo.config import PPOConfig, linear
from rl3_jax.ppo.devices import device_index, num_devices
from rl3_jax.ppo.segments import critic_values
from rl3_jax.ppo.updates import (
    PPOState,
    Rates,
    critic_loss,
    init,
    loss,
    mean_kl,
    minibatches,
    normalised,
    update,
)

__all__ = [
    "Batch",
    "PPOConfig",
    "PPOState",
    "Rates",
    "collect",
    "critic_loss",
    "critic_values",
    "device_index",
    "first_visits",
    "gae",
    "init",
    "linear",
    "live",
    "loss",
    "mean_kl",
    "minibatches",
    "normalised",
    "num_devices",
    "policy_acting",
    "update",
    "value_scale",
]
