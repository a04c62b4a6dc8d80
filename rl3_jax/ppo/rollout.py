"""Collecting whole trials with the meta-policy."""

from typing import Any

import jax
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.policies import Params, Policy
from rl3_jax.tasks import Step
from rl3_jax.trial import TrialEnv


@struct.dataclass
class Trajectory:
    """One whole trial as the meta-policy lived it.

    Attributes:
      observations: [H, D] what it saw before each step.
      actions: [H] or [H, n] what it did, as its distribution drew it.
      rewards: [H] what it was paid.
      distributions: [H, P] what it drew from, the parameters of each step's distribution.
      values: [H] the critic's outputs before each step, if it shares the actor's trunk; else None.
    """

    observations: Float[Array, "H D"]
    actions: Int[Array, " H"] | Float[Array, "H n"]
    rewards: Float[Array, " H"]
    distributions: Float[Array, "H P"]
    values: Float[Array, " H"] | None


@struct.dataclass
class Rollout:
    """One trial, and what is left of it.

    Attributes:
      trajectory: the trial.
      carries: [n, …] the actor's memory at the start of each of n segments; None for whole trials.
      dropped: [] how many of its transitions object-level RL could not keep in its model.
      summary: [] each of the numbers by which the family sums up a trial, by name.
      steps: each field [H, …], the steps of the task; None where nobody asks for them.
    """

    trajectory: Trajectory
    carries: Any
    dropped: Int[Array, ""]
    summary: dict[str, Float[Array, ""]]
    steps: Step | None


def rollout(
    env: TrialEnv,
    policy: Policy,
    params: Params,
    key: PRNGKeyArray,
    num_segments: int = 1,
    keep_steps: bool = False,
) -> Rollout:
    """Return one trial on a freshly drawn task, with sampled actions. The key is consumed.

    Args:
      env: the trial.
      policy: the meta-policy.
      params: its parameters; the critic's are used only if it shares the actor's trunk.
      key: consumed.
      num_segments: n, divides H; at the start of each segment the actor's memory is kept.
      keep_steps: whether to return the steps of the task.
    """
    env_params, distribution = env.default_params, policy.distribution
    key_reset, key_steps = jax.random.split(key)
    observation, state = env.reset_env(key_reset, env_params)

    def step(carry, key):
        memory, observation, state = carry
        key_action, key_env = jax.random.split(key)
        memory, outputs, value = _step(policy, params, memory, observation)
        action = distribution.sample(key_action, outputs)
        next_observation, state, reward, _, info = env.step_env(
            key_env, state, distribution.to_env(action), env_params
        )
        lived = Trajectory(
            observations=observation,
            actions=action,
            rewards=reward,
            distributions=distribution.parameters(outputs),
            values=value,
        )
        kept = info["step"] if keep_steps or env.family.summary_names else None
        return (memory, next_observation, state), (lived, kept)

    def segment(carry, keys):
        after, part = jax.lax.scan(step, carry, keys)
        return after, (carry[0], part)

    carry, keys = (policy.initial_carry(), observation, state), jax.random.split(key_steps, env.horizon)
    if num_segments == 1:
        (_, _, final), (trajectory, steps) = jax.lax.scan(step, carry, keys)
        carries = None
    else:
        (_, _, final), (carries, parts) = jax.lax.scan(segment, carry, keys.reshape(num_segments, -1))
        trajectory, steps = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), parts)
    return Rollout(
        trajectory=trajectory,
        carries=carries,
        dropped=env.dropped(final),
        summary=env.summary(final, steps),
        steps=steps if keep_steps else None,
    )


def _step(
    policy: Policy, params: Params, memory: Any, observation: Float[Array, " D"]
) -> tuple[Any, Float[Array, " O"], Float[Array, ""] | None]:
    """Return the memory after one more step, the actor's outputs, and the value if acting yields it."""
    if policy.config.shared_trunk:
        return policy.step_with_value(params, memory, observation)
    return *policy.step(params["actor"], memory, observation), None
