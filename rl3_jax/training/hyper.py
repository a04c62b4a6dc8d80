"""The numbers of a run that its compiled program takes as an argument, so that a sweep compiles once."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from rl3_jax import ppo
from rl3_jax.policies import suited
from rl3_jax.training.config import EvaluationConfig, TrainConfig
from rl3_jax.trial.config import SCALES


@struct.dataclass
class Hyper:
    """What a run may change without another compilation: [] arrays, or [V] of them in a sweep under `vmap`.

    Each stands for the field of the same name in `TrainConfig`, its `ppo` or its `features`; all else in
    these is static. Whether there is a novelty bonus at all is static, too: 0 in the configuration is none.
    """

    iterations: Float[Array, "*V"]
    discount: Float[Array, "*V"]
    gae_lambda: Float[Array, "*V"]
    clip: Float[Array, "*V"]
    kl_limit: Float[Array, "*V"]
    learning_rate: Float[Array, "*V"]
    learning_rate_final: Float[Array, "*V"]
    learning_rate_hold: Float[Array, "*V"]
    entropy_bonus: Float[Array, "*V"]
    entropy_bonus_final: Float[Array, "*V"]
    entropy_bonus_hold: Float[Array, "*V"]
    novelty_bonus: Float[Array, "*V"]
    novelty_share: Float[Array, "*V"]
    critic_coefficient: Float[Array, "*V"]
    critic_l2: Float[Array, "*V"]
    value_scale: Float[Array, "*V"]
    count_scale: Float[Array, "*V"]
    reward_scale: Float[Array, "*V"]


NAMES = tuple(field.name for field in dataclasses.fields(Hyper))
OF_PPO = tuple(name for name in NAMES if name not in ("iterations", *SCALES))


def hyper_of(config: TrainConfig) -> Hyper:
    """Return the numbers of a configuration."""
    values = vars(config.features) | vars(config.ppo) | {"iterations": config.iterations}
    return Hyper(**{name: jnp.float32(values[name]) for name in NAMES})


def made_for(config: TrainConfig, platform: str) -> TrainConfig:
    """Return a configuration with the choices that core, learner and PPO leave open made for a platform.

    It is `cpu`, `gpu` or `tpu`.
    """
    core, learner = suited(config.policy.core, platform), config.env.suited(platform).learner
    policy = dataclasses.replace(config.policy, core=core)
    return dataclasses.replace(config, learner=learner, policy=policy, ppo=config.ppo.suited(platform))


def program_of(config: TrainConfig, platform: str | None = None) -> TrainConfig:
    """Return what a configuration's compiled training depends on: equal for runs that share one program.

    Numbers that are arguments of the program, and fields that do not enter it, are the same in all. Without a
    platform it is made for the default backend's.
    """
    config = made_for(config, platform or jax.default_backend())
    numbers = dict.fromkeys(OF_PPO, 1.0) | {"novelty_bonus": float(config.ppo.novelty_bonus > 0.0)}
    return dataclasses.replace(
        config,
        ppo=dataclasses.replace(config.ppo, **numbers),
        features=dataclasses.replace(config.features, **dict.fromkeys(SCALES, 1.0)),
        iterations=1,
        seed=0,
        evaluation=EvaluationConfig(),
        checkpoint_every=1,
    )


def config_of(config: TrainConfig, hyper: Hyper) -> TrainConfig:
    """Return the configuration that has these numbers, each [], as Python's own.

    An agent trained with other scales of the features than its configuration's sees what it was trained on
    in the `env` of this one.
    """
    bound = bind(config, jax.tree.map(float, hyper))
    outer = dataclasses.replace(bound.ppo, novelty_bonus=float(hyper.novelty_bonus))
    return dataclasses.replace(bound, ppo=outer, iterations=int(hyper.iterations))


def bind(config: TrainConfig, hyper: Hyper) -> TrainConfig:
    """Return the configuration with these numbers in it, which JAX may be tracing: it has no hash then.

    The novelty bonus stays as configured: whether there is one is structure, and how much is scheduled.
    """
    numbers = {name: getattr(hyper, name) for name in NAMES}
    of_ppo = {name: numbers[name] for name in OF_PPO if name != "novelty_bonus"}
    return dataclasses.replace(
        config,
        ppo=dataclasses.replace(config.ppo, **of_ppo),
        features=dataclasses.replace(config.features, **{name: numbers[name] for name in SCALES}),
        iterations=numbers["iterations"],
    )


def rates(hyper: Hyper, iteration: Int[Array, ""]) -> ppo.Rates:
    """Return the scheduled numbers of an iteration, from iteration / total iterations."""
    progress = iteration / hyper.iterations

    def scheduled(name):
        first, final, hold = (getattr(hyper, name + part) for part in ("", "_final", "_hold"))
        return ppo.linear(first, final, progress, hold)

    return ppo.Rates(
        learning_rate=scheduled("learning_rate"),
        entropy_bonus=scheduled("entropy_bonus"),
        novelty_bonus=ppo.linear(hyper.novelty_bonus, 0.0, progress / hyper.novelty_share),
    )
