"""One small run, compiled once for all tests of training."""

import dataclasses

import jax

from rl3_jax.policies import Gru, PolicyConfig
from rl3_jax.ppo import PPOConfig
from rl3_jax.tasks import RandomMdp
from rl3_jax.training import TrainConfig, hyper_of, init, program_of, train_steps

CONFIG = TrainConfig(
    task=RandomMdp(states=3, actions=2, steps=4),
    horizon=10,
    policy=PolicyConfig(core=Gru(), width=8),
    ppo=PPOConfig(
        trials=8,
        minibatch_trials=4,
        epochs=2,
        learning_rate=1e-2,
        learning_rate_final=2e-3,
        entropy_bonus=0.1,
        entropy_bonus_final=0.02,
    ),
    iterations=4,
)


def configure(**fields):
    return dataclasses.replace(CONFIG, **fields)


def run(chunks, config=CONFIG, seed=0):
    """Return the state after chunks of these lengths, and the metrics of each iteration."""
    state = init(config, jax.random.key(seed))
    rows = []
    for length in chunks:
        state, metrics = train_steps(program_of(config), hyper_of(config), state, length)
        rows += [{name: float(values[i]) for name, values in metrics.items()} for i in range(length)]
    return state, rows
