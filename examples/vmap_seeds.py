"""Train several seeds side by side, in one program and without touching the disk.

    python examples/vmap_seeds.py

Each seed has a state of its own; the configuration and its numbers are shared.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import tyro

import rl3_jax


def main(seeds: int = 4, iterations: int = 60, num_tasks: int = 500) -> None:
    """Train, and print the mean return on held-out tasks with its standard error over seeds.

    Args:
      seeds: how many, at least 2.
      iterations: of training.
      num_tasks: held-out tasks.
    """
    config = rl3_jax.make_config("mdp-h100-quick", policy="markov", iterations=iterations)
    hyper = rl3_jax.hyper_of(config)
    keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
    states = jax.vmap(partial(rl3_jax.init, config))(keys)
    train = jax.vmap(partial(rl3_jax.train_steps, config), in_axes=(None, 0, None))
    for done in range(0, iterations, 10):
        count = min(10, iterations - done)
        states, metrics = train(hyper, states, count)
        returns = ", ".join(f"{value:.1f}" for value in metrics["mean_return"][:, count - 1])
        print(f"iteration {done + count}/{iterations}, mean return {returns}", flush=True)

    earned = []
    for seed in range(seeds):
        agent = rl3_jax.agent_of(config, jax.tree.map(lambda x, seed=seed: x[seed], states))
        earned.append(rl3_jax.evaluate(config.env, agent, num_tasks=num_tasks).sum(axis=1).mean())
    error = np.std(earned, ddof=1) / seeds**0.5
    print(f"held-out return {np.mean(earned):.2f} ± {error:.2f} ({seeds} seeds)")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
