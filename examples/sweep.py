"""Try eight learning rates at once, in one program that is compiled once.

    python examples/sweep.py

`Hyper` holds the numbers of a run that its compiled program takes as an argument. Under `jax.vmap` each of
them may have an axis, so a sweep trains side by side what differs in numbers alone.
"""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import tyro

import rl3_jax

LEARNING_RATES = (3e-4, 6e-4, 1e-3, 1.5e-3, 3e-3, 6e-3, 1e-2, 2e-2)


def main(iterations: int = 60, num_tasks: int = 500) -> None:
    """Train all, and print what each earns on the same held-out tasks.

    Args:
      iterations: of training; the learning rates fall to their final value by then.
      num_tasks: held-out tasks.
    """
    config = rl3_jax.make_config("mdp-h100-quick", policy="markov", iterations=iterations)
    one = rl3_jax.hyper_of(config)
    rates = jnp.array(LEARNING_RATES)
    hyper = dataclasses.replace(one, learning_rate=rates)
    axes = dataclasses.replace(jax.tree.map(lambda _: None, one), learning_rate=0)

    traced_once = chex.assert_max_traces(rl3_jax.train_iteration, n=1)
    train = jax.jit(jax.vmap(traced_once, in_axes=(None, axes, 0)), static_argnums=0, donate_argnums=2)
    states = jax.vmap(lambda _: rl3_jax.init(config, jax.random.key(config.seed)))(rates)
    for iteration in range(iterations):
        states, metrics = train(config, hyper, states)
        if (iteration + 1) % 10 == 0:
            returns = ", ".join(f"{value:.1f}" for value in metrics["mean_return"])
            print(f"iteration {iteration + 1}/{iterations}, mean return {returns}", flush=True)

    print("learning rate  held-out return")
    for index, rate in enumerate(LEARNING_RATES):
        agent = rl3_jax.agent_of(config, jax.tree.map(lambda x, index=index: x[index], states))
        returns = rl3_jax.evaluate(config.env, agent, num_tasks=num_tasks).sum(axis=1)
        error = returns.std(ddof=1) / num_tasks**0.5
        print(f"{rate:13g}  {returns.mean():6.2f} ± {error:.2f}")


if __name__ == "__main__":
    tyro.cli(main, description=__doc__)
