"""One iteration of the outer RL: collect B whole trials, then update."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray

from rl3_jax.policies import Params, Policy
from rl3_jax.ppo.advantages import gae
from rl3_jax.ppo.config import PPOConfig
from rl3_jax.ppo.loss import Batch, critic_values, value_scale
from rl3_jax.ppo.novelty import first_visits
from rl3_jax.ppo.rollout import rollout
from rl3_jax.ppo.segments import cut
from rl3_jax.ppo.update import PPOState, Rates, update
from rl3_jax.trial import TrialEnv


def collect(
    config: PPOConfig,
    env: TrialEnv,
    policy: Policy,
    params: Params,
    keys: Key[Array, " B"],
    novelty_bonus: Float[Array, ""] | float = 0.0,
) -> tuple[Batch, dict[str, Float[Array, ""]]]:
    """Collect one trial for each key, and estimate advantages.

    Args:
      config: discount, λ, the critic's scale and the segments.
      env: the trial.
      policy: the meta-policy.
      params: its parameters.
      keys: [B] one key a trial, a multiple of the number of minibatches; consumed.
      novelty_bonus: [] what is added to the reward of a step that enters a new state, if the
        configuration has such a bonus.

    Returns:
      The batch, and the metrics `mean_return` (undiscounted, of a whole trial), `explained_variance`
      (1 − Var(return − V)/Var(return), over all steps), `dropped_transitions` (a trial's mean number of
      transitions that object-level RL could not keep in its model), and those by which the family sums up a
      trial: each the mean over the trials in which it is defined, NaN if there are none.
    """
    num_segments = config.num_stored(env.horizon)
    pays_novelty = config.novelty_bonus > 0.0
    rollouts = jax.vmap(rollout, in_axes=(None, None, None, 0, None, None))(
        env, policy, params, keys, num_segments, pays_novelty
    )
    trajectory, carries = rollouts.trajectory, {"actor": rollouts.carries}
    if trajectory.values is None:
        carries["critic"], values = critic_values(config, policy, params["critic"], trajectory.observations)
    else:
        values = trajectory.values * value_scale(config, env.horizon)
    rewards = trajectory.rewards
    if pays_novelty:
        steps: Any = rollouts.steps
        entered = jax.vmap(first_visits, in_axes=(0, 0, None))
        new = entered(steps.state.index, steps.next_state.index, env.family.num_states)
        rewards = rewards + novelty_bonus * new
    advantages = jax.vmap(gae, in_axes=(0, 0, None, None))(
        rewards, values, config.discount, config.gae_lambda
    )
    returns = advantages + values
    metrics = {
        "mean_return": trajectory.rewards.sum(-1).mean(),
        "explained_variance": 1.0 - jnp.var(advantages) / jnp.var(returns),
        "dropped_transitions": rollouts.dropped.mean(),
    }
    metrics |= {name: jnp.nanmean(each) for name, each in rollouts.summary.items()}
    scale = jnp.broadcast_to(value_scale(config, env.horizon), returns.shape)
    batch = Batch(
        trajectory=trajectory, advantages=advantages, returns=returns, value_scale=scale, carries=None
    )
    if num_segments > 1:
        batch = jax.tree.map(lambda x: cut(x, num_segments), batch).replace(carries=carries)
        batch = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch)
    return batch, metrics


def iterate(
    config: PPOConfig,
    env: TrialEnv,
    policy: Policy,
    state: PPOState,
    rates: Rates,
    keys: Key[Array, " B"],
    key_update: PRNGKeyArray,
) -> tuple[PPOState, dict[str, Float[Array, ""]]]:
    """Run one iteration: collect with `keys` [B], update with `key_update`; both are consumed."""
    batch, collected = collect(config, env, policy, state.params, keys, rates.novelty_bonus)
    state, learnt = update(config, policy, state, batch, rates, key_update)
    return state, collected | learnt
