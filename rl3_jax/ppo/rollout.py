"""Collecting whole trials with the meta-policy."""

import jax
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from rl3_jax.policies import Policy, categorical
from rl3_jax.trial import TrialEnv


@struct.dataclass
class Trajectory:
    """One whole trial as the meta-policy lived it.

    Attributes:
      observations: [H, D] what it saw before each step.
      actions: [H] what it did.
      rewards: [H] what it was paid.
      log_probs: [H, A] log π(·) of the policy that acted.
    """

    observations: Float[Array, "H D"]
    actions: Int[Array, " H"]
    rewards: Float[Array, " H"]
    log_probs: Float[Array, "H A"]


def rollout(env: TrialEnv, policy: Policy, actor_params: PyTree, key: PRNGKeyArray) -> Trajectory:
    """Return one trial on a freshly drawn task, with sampled actions. The key is consumed."""
    params = env.default_params
    key_reset, key_steps = jax.random.split(key)
    observation, state = env.reset_env(key_reset, params)

    def step(carry, key):
        memory, observation, state = carry
        key_action, key_env = jax.random.split(key)
        memory, logits = policy.step(actor_params, memory, observation)
        action = categorical.sample(key_action, logits)
        next_observation, state, reward, _, _ = env.step_env(key_env, state, action, params)
        return (memory, next_observation, state), Trajectory(
            observations=observation, actions=action, rewards=reward, log_probs=jax.nn.log_softmax(logits)
        )

    carry = (policy.initial_carry(), observation, state)
    return jax.lax.scan(step, carry, jax.random.split(key_steps, env.horizon))[1]
