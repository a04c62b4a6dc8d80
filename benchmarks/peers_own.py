"""This project as a contestant of `peers.py`, with any of its cores."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from common import core_variant
from peers_setting import Setting

from rl3_jax import PolicyConfig, PPOConfig, TrainConfig
from rl3_jax.run.machine import versions
from rl3_jax.tasks import Bandit
from rl3_jax.training import CHUNK_CAPACITY, hyper_of, init, lower_steps
from rl3_jax.trial import method_features


def configure(setting: Setting, core: str) -> TrainConfig:
    """Return the setting as a configuration: a shared trunk, as the peers have, and no KL stop."""
    task = Bandit(num_arms=setting.arms)
    config = TrainConfig(
        task=task,
        horizon=setting.horizon,
        features=method_features("rl2", task),
        policy=PolicyConfig(core=core_variant(core), width=setting.width, shared_trunk=True),
        ppo=PPOConfig(
            trials=setting.tasks,
            minibatch_trials=setting.tasks // setting.minibatches,
            epochs=setting.epochs,
            discount=setting.discount,
            gae_lambda=setting.gae_lambda,
            clip=setting.clip,
            kl_estimate="minibatches",
            learning_rate=setting.learning_rate,
            learning_rate_final=setting.learning_rate,
            entropy_bonus=setting.entropy_bonus,
            entropy_bonus_final=setting.entropy_bonus,
            critic_coefficient=setting.critic_coefficient,
            critic_l2=0.0,
            max_grad_norm=setting.max_grad_norm,
        ),
        seed=setting.seed,
    )
    config.validate()
    # No KL stop: the peers have none. It is put in last, as infinity is no valid limit.
    return dataclasses.replace(config, ppo=dataclasses.replace(config.ppo, kl_limit=math.inf))


class Own:
    """The contestant."""

    def __init__(self, setting: Setting, core: str):
        """Compile."""
        self.versions = versions()
        self.device = f"{jax.devices()[0].platform}: {jax.devices()[0].device_kind}"
        config = configure(setting, core)
        self.state = init(config, jax.random.key(config.seed))
        self.hyper = hyper_of(config)
        self.compiled = lower_steps(config, self.state).compile()
        self.history: list[float] = []

    def run(self, iterations: int) -> None:
        """Train."""
        while iterations > 0:
            chunk = min(iterations, CHUNK_CAPACITY)
            self.state, metrics = self.compiled(self.hyper, self.state, jnp.int32(chunk))
            self.history += metrics["mean_return"][:chunk].tolist()
            iterations -= chunk

    def returns(self) -> list[float]:
        """Return the mean return of each iteration so far."""
        return self.history
