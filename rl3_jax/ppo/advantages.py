"""Generalised advantage estimation over one trial (Schulman et al. 2016, equation 16)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rl3_jax.ppo.config import Number


def gae(
    rewards: Float[Array, " H"], values: Float[Array, " H"], discount: Number, gae_lambda: Number
) -> Float[Array, " H"]:
    """Return A_t = δ_t + γλ A_{t+1} with δ_t = r_t + γ V_{t+1} − V_t and A_H = V_H = 0.

    Step H is terminal: nothing is bootstrapped.

    Args:
      rewards: r_t.
      values: V_t, the critic's estimates before each step.
      discount: γ.
      gae_lambda: λ.
    """
    next_values = jnp.append(values[1:], 0.0)
    errors = rewards + discount * next_values - values

    def backward(advantage, error):
        advantage = error + discount * gae_lambda * advantage
        return advantage, advantage

    return jax.lax.scan(backward, jnp.zeros_like(errors[0]), errors, reverse=True)[1]
