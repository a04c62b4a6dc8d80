"""The outer RL: PPO over whole trials, as pure functions."""

from rl3_jax.ppo.advantages import gae
from rl3_jax.ppo.config import PPOConfig, linear
from rl3_jax.ppo.iteration import collect, iterate
from rl3_jax.ppo.loss import Batch, actor_loss, critic_loss, critic_values, mean_kl, shared_loss, value_scale
from rl3_jax.ppo.novelty import first_visits
from rl3_jax.ppo.rollout import Rollout, Trajectory, rollout
from rl3_jax.ppo.update import PPOState, Rates, init, update

__all__ = [
    "Batch",
    "PPOConfig",
    "PPOState",
    "Rates",
    "Rollout",
    "Trajectory",
    "actor_loss",
    "collect",
    "critic_loss",
    "critic_values",
    "first_visits",
    "gae",
    "init",
    "iterate",
    "linear",
    "mean_kl",
    "rollout",
    "shared_loss",
    "update",
    "value_scale",
]
