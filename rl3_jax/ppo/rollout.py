"""Collecting whole trials with the meta-policy."""

import jax
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from rl3_jax.policies import Policy
from rl3_jax.trial import TrialEnv


@struct.dataclass
class Trajectory:
    """One whole trial as the meta-policy lived it.

    Attributes:
      observations: [H, D] what it saw before each step.
      actions: [H] or [H, n] what it did, as its distribution drew it.
      rewards: [H] what it was paid.
      distributions: [H, P] what it drew from, the parameters of each step's distribution.
    """

    observations: Float[Array, "H D"]
    actions: Int[Array, " H"] | Float[Array, "H n"]
    rewards: Float[Array, " H"]
    distributions: Float[Array, "H P"]


def rollout(
    env: TrialEnv, policy: Policy, actor_params: PyTree, key: PRNGKeyArray
) -> tuple[Trajectory, Int[Array, ""]]:
    """Return one trial on a freshly drawn task, with sampled actions. The key is consumed.

    Also returns how many of its transitions object-level RL could not keep in its model.
    """
    params, distribution = env.default_params, policy.distribution
    key_reset, key_steps = jax.random.split(key)
    observation, state = env.reset_env(key_reset, params)

    def step(carry, key):
        memory, observation, state = carry
        key_action, key_env = jax.random.split(key)
        memory, outputs = policy.step(actor_params, memory, observation)
        action = distribution.sample(key_action, outputs)
        next_observation, state, reward, _, _ = env.step_env(
            key_env, state, distribution.to_env(action), params
        )
        return (memory, next_observation, state), Trajectory(
            observations=observation,
            actions=action,
            rewards=reward,
            distributions=distribution.parameters(outputs),
        )

    carry = (policy.initial_carry(), observation, state)
    (_, _, final), trajectory = jax.lax.scan(step, carry, jax.random.split(key_steps, env.horizon))
    return trajectory, env.dropped(final)
