"""Train with a third-party trainer on our trials: rejax's PPO on RL³ bandits.

    pip install rejax tfp-nightly    # no released tensorflow-probability, which rejax uses, fits jax 0.10
    python examples/gymnax_trainer.py

A trial is a gymnax environment. `step_api="five"` suits trainers that unpack five values from `step`, and the
params hold a pool of tasks, since such trainers compute a reset at each step. The network has no memory: what
it needs of the past is in the action values and visit counts that RL³ shows.
"""

import jax
import numpy as np
import tyro
from rejax import PPO  # pyright: ignore[reportMissingImports]

import rl3_jax


def main(steps: int = 1_500_000, seed: int = 0) -> None:
    """Train, and print the mean return of a trial of 100 pulls as it grows; a random agent gets 50.

    Args:
      steps: environment steps.
      seed: of training.
    """
    env, params = rl3_jax.make("bandit", method="rl3", horizon=100, step_api="five", pool_size=4096)
    trainer = PPO.create(
        env=env,
        env_params=params,
        total_timesteps=steps,
        eval_freq=max(1, steps // 5),
        num_envs=64,
        num_steps=100,
        num_epochs=4,
        num_minibatches=16,
        learning_rate=1e-3,
        gamma=1.0,
        gae_lambda=0.95,
        ent_coef=0.01,
    )
    _, (_, returns) = jax.jit(trainer.train)(jax.random.key(seed))
    for part, earned in enumerate(np.asarray(returns)):
        error = earned.std(ddof=1) / len(earned) ** 0.5
        print(f"after {part}/{len(returns) - 1} of the steps: return {earned.mean():.1f} ± {error:.1f}")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
