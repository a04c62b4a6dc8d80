"""Collecting whole trials with the meta-policy, and what the update needs of them."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, Key

from rl3_jax.policies import Params, Policy
from rl3_jax.ppo.config import Number, PPOConfig
from rl3_jax.ppo.devices import mean, nanmean, variance
from rl3_jax.ppo.novelty import first_visits
from rl3_jax.ppo.segments import critic_values, cut
from rl3_jax.trial import Acting, Moment, Rollout, StepKeys, TrialEnv, rollout
from rl3_jax.trial.outcomes import number_type, outcome, steps_of


@struct.dataclass
class Trajectory:
    """Steps [B, H] of trials as the meta-policy lived them.

    Attributes:
      observations: what it saw before each step.
      actions: what it did, as its distribution drew it.
      rewards: what it was paid.
      distributions: what it drew from, the parameters of each step's distribution.
      values: the critic's outputs before each step, if it shares the actor's trunk; else None.
    """

    observations: Float[Array, "*steps D"]
    actions: Int[Array, "*steps"] | Float[Array, "*steps n"]
    rewards: Float[Array, "*steps"]
    distributions: Float[Array, "*steps P"]
    values: Float[Array, "*steps"] | None


@struct.dataclass
class Batch:
    """N sequences of L steps with what the update needs of them: whole trials, or segments of them.

    Attributes:
      trajectory: [N, L, …] what happened.
      advantages: [N, L] advantage estimates.
      returns: [N, L] targets of the critic, advantage + value.
      value_scale: [N, L] what the critic's output is multiplied by.
      carries: [N, …] each network's memory at the start of a sequence, by name; none for whole trials.
      axis: names the devices that have a part of the batch each, of which this is one; None if it is whole.
    """

    trajectory: Trajectory
    advantages: Float[Array, "N L"]
    returns: Float[Array, "N L"]
    value_scale: Float[Array, "N L"]
    carries: dict[str, Any]
    axis: str | None = struct.field(pytree_node=False, default=None)


def policy_acting(policy: Policy, params: Params, greedy: bool = False) -> Acting:
    """Return how the meta-policy acts, with the further outputs of `Policy.act`."""
    params = policy.joined(params)
    return Acting(
        init=lambda _: policy.initial_carry(),
        act=lambda carry, _, observation, noise: policy.act(params, carry, observation, noise),
        draw=partial(policy.noise, greedy=greedy),
    )


def live(
    env: TrialEnv, policy: Policy, params: Params, keys: Key[Array, " B"], num_segments: int = 1
) -> tuple[Rollout, Trajectory, Any]:
    """Return one trial on each of B freshly drawn tasks, with sampled actions.

    Also returns, of each step [B, H, …], what the meta-policy lived, and the `Step` of the task. The keys are
    consumed. `num_segments` divides H; at the start of each segment the actor's memory is kept.
    """

    def keep(now: Moment):
        lived = now.observation, *now.chosen, now.reward, outcome(env.family, now)
        return jax.tree.map(number_type(env.family), lived)  # all is then stored in one operation

    def split(keys, num):
        return jnp.moveaxis(jax.vmap(lambda key: jax.random.split(key, num))(keys), 1, 0)

    key_reset, key_steps = split(keys, 2)
    key_task, key_start = split(key_reset, 2)
    act, step = jnp.moveaxis(jax.vmap(lambda keys: split(keys, 2))(split(key_steps, env.horizon)), 1, 0)
    tasks = jax.vmap(env.family.sample_task)(key_task)
    lived = rollout(
        env, policy_acting(policy, params), tasks, key_start, StepKeys(step, act), keep, num_segments
    )
    kept = jax.tree.map(lambda x: x.swapaxes(0, 1), lived.kept)
    observations, actions, outputs, values, rewards, outcomes = kept
    actions = actions.astype(policy.distribution.dtype)
    # Parameters of all steps at once: fewer operations than in each.
    distributions = policy.distribution.parameters(outputs)
    trajectory = Trajectory(observations, actions, rewards, distributions, values)
    return lived, trajectory, steps_of(env.family, lived.first, rewards, outcomes)


def gae(
    rewards: Float[Array, " H"], values: Float[Array, " H"], discount: Number, gae_lambda: Number
) -> Float[Array, " H"]:
    """Return A_t = δ_t + γλ A_{t+1} with δ_t = r_t + γ V_{t+1} − V_t and A_H = V_H = 0.

    Generalised advantage estimation over one trial (Schulman et al. 2016, equation 16), with V_t the critic's
    estimate before step t. Step H is terminal: nothing is bootstrapped.
    """
    errors = rewards + discount * jnp.append(values[1:], 0.0) - values

    def backward(advantage, error):
        advantage = error + discount * gae_lambda * advantage
        return advantage, advantage

    # Ten steps a turn: on an accelerator they need about as many operations as one.
    return jax.lax.scan(backward, jnp.zeros_like(errors[0]), errors, reverse=True, unroll=10)[1]


def collect(
    config: PPOConfig,
    env: TrialEnv,
    policy: Policy,
    params: Params,
    keys: Key[Array, " B"],
    novelty_bonus: Float[Array, ""] | float = 0.0,
    axis: str | None = None,
) -> tuple[Batch, dict[str, Float[Array, ""]]]:
    """Collect one trial for each key, and estimate advantages.

    Args:
      config: discount, λ, the critic's scale and the segments.
      env: the trial.
      policy: the meta-policy.
      params: its parameters.
      keys: a multiple of the number of minibatches; consumed.
      novelty_bonus: reward added to a step that enters a new state, if the configuration has such a bonus.
      axis: of the devices that collect, in a mesh under `jax.shard_map`, each with its keys; None for one.

    Returns:
      The batch, and metrics over all devices: `mean_return` (undiscounted, of a whole trial),
      `explained_variance` (1 − Var(return − V)/Var(return), over all steps), `dropped_transitions` (a trial's
      mean number of transitions that object-level RL could not keep in its model), `steps_outside` (a trial's
      mean number of steps in or to a state that is not in the table), and the family's summary of a trial:
      each number's mean over the trials in which it is defined, NaN if there are none.
    """
    num_segments = config.num_stored(env.horizon)
    lived, trajectory, steps = live(env, policy, params, keys, num_segments)
    carries = {"actor": lived.memories}
    outputs, rewards = trajectory.values, trajectory.rewards
    if outputs is None:
        carries["critic"], outputs = critic_values(config, policy, params, trajectory.observations)
    scale = jnp.broadcast_to(config.critic_scales(env.horizon), rewards.shape)
    values = outputs * scale
    if config.mean_rewards:
        done = jax.vmap(jax.vmap(policy.distribution.to_env))(trajectory.actions)
        over_steps = jax.vmap(env.family.mean_reward, in_axes=(None, 0, 0))
        rewards = jax.vmap(over_steps)(lived.final.task, steps, done)
    if config.novelty_bonus > 0.0:
        entered = jax.vmap(first_visits, in_axes=(0, 0, None))
        new = entered(steps.state.index, steps.next_state.index, env.family.num_states)
        rewards = rewards + novelty_bonus * new
    estimate = jax.vmap(gae, in_axes=(0, 0, None, None))
    advantages = estimate(rewards, values, config.discount, config.gae_lambda)
    returns = advantages + values
    metrics = {
        "mean_return": mean(trajectory.rewards.sum(-1), axis),
        "explained_variance": 1.0 - variance(advantages, axis) / variance(returns, axis),
        "dropped_transitions": mean(jax.vmap(env.dropped)(lived.final), axis),
        "steps_outside": mean(jax.vmap(jax.vmap(env.outside))(steps).sum(-1), axis),
    }
    summary = jax.vmap(env.family.summarise_trial)(lived.final.task, steps)
    metrics |= {name: nanmean(each, axis) for name, each in summary.items()}
    batch = Batch(trajectory, advantages, returns, scale, {}, axis)
    if num_segments > 1:
        batch = jax.tree.map(lambda x: cut(x, num_segments), batch)
        starts = jax.tree.map(lambda x: x.swapaxes(0, 1), carries)
        batch = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), batch.replace(carries=starts))
    return batch, metrics
