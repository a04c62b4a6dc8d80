"""The outer RL: PPO over whole trials, as pure functions."""

from rl3_jax.ppo.collection import Batch, collect, policy_acting
from rl3_jax.ppo.config import PPOConfig, linear
from rl3_jax.ppo.devices import device_index, num_devices
from rl3_jax.ppo.updates import PPOState, Rates, critic_loss, init, loss, update

__all__ = [
    "Batch",
    "PPOConfig",
    "PPOState",
    "Rates",
    "collect",
    "critic_loss",
    "device_index",
    "init",
    "linear",
    "loss",
    "num_devices",
    "policy_acting",
    "update",
]
