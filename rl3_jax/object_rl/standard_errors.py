"""Standard errors of T, r̄ and Q of a tabular model (design, section 5.3; the reference's formulas)."""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Float

from rl3_jax.object_rl.planner import ModelRule

UNTRIED_VARIANCE = 1.0 / 12.0
"""Var T(s'|s,a) of a pair never tried, for each state that counts: that of a uniform variable."""


@dataclasses.dataclass(frozen=True)
class Formulas(ModelRule):
    """The formulas for one `ModelRule`."""

    def probability(
        self,
        n: Float[Array, "*triples"],
        pair: Float[Array, "*#triples"],
        num_states: Float[Array, ""] | float,
    ) -> tuple[Float[Array, "*triples"], Float[Array, "*triples"]]:
        """Return T(s'|s,a) and its variance T(1 − T)/(n(s,a) + αM) for pairs that were tried.

        Args:
          n: n(s,a,s').
          pair: n(s,a); 0 counts as 1, so that results are finite also where they are not used.
          num_states: M.
        """
        weight = jnp.maximum(pair, 1.0) + self.smoothing * num_states
        p = (n + self.smoothing) / weight
        # 1 − p from the counts, which are exact: near p = 1 the difference would be mostly rounding.
        others = (pair - n + self.smoothing * (num_states - 1.0)) / weight
        return p, p * others / weight

    def term(
        self,
        p: Float[Array, "*triples"],
        p_variance: Float[Array, "*triples"],
        mean_reward: Float[Array, "*triples"],
        reward_variance: Float[Array, "*triples"],
        value: Float[Array, "*#triples"],
        value_variance: Float[Array, "*#triples"],
    ) -> Float[Array, "*triples"]:
        """Return T²X + (r̄ + γV)²E_T² + X E_T² with X = E_R² + γ²E_V², one successor's part of Var Q."""
        x = reward_variance + self.discount**2 * value_variance
        return (p**2 + p_variance) * x + (mean_reward + self.discount * value) ** 2 * p_variance

    def of_others(
        self,
        p: Float[Array, "*pairs"] | float,
        p_variance: Float[Array, "*pairs"] | float,
        number: Float[Array, "*#pairs"] | float,
        value_squares: Float[Array, "*#pairs"],
        value_variances: Float[Array, "*#pairs"],
    ) -> Float[Array, "*pairs"]:
        """Return Σ of `term` over successors never seen, r̄ = 0 and E_R = 1: of rank one.

        Args:
          p: T, the same for each of them.
          p_variance: E_T².
          number: how many they are.
          value_squares: Σ V² over them.
          value_variances: Σ E_V² over them.
        """
        x = number + self.discount**2 * value_variances
        return (p**2 + p_variance) * x + self.discount**2 * value_squares * p_variance

    def of_untried(
        self,
        num_states: Float[Array, ""] | float,
        value_squares: Float[Array, ""],
        value_variances: Float[Array, ""],
        own_variance: Float[Array, "*#pairs"],
    ) -> Float[Array, "*#pairs"]:
        """Return Var Q of pairs never tried, one number if all have the same.

        Args:
          num_states: M.
          value_squares: Σ V² over the states that count.
          value_variances: Σ E_V² over them.
          own_variance: E_V² of the pair's own state.
        """
        p = 0.0 if self.untried_stays else 1.0 / num_states
        variance = self.of_others(p, UNTRIED_VARIANCE, num_states, value_squares, value_variances)
        # T = 1 adds T²X of the pair's own state.
        return variance + 1.0 + self.discount**2 * own_variance if self.untried_stays else variance


def new_spread(
    spread: Float[Array, ""], n: Float[Array, ""], reward_sum: Float[Array, ""], reward: Float[Array, ""]
) -> Float[Array, ""]:
    """Return Σ (r − r̄)² after one more reward (Welford 1962): it never subtracts large sums.

    Args:
      spread: the sum before it.
      n: rewards before it.
      reward_sum: their sum.
      reward: the reward.
    """
    before = reward_sum / jnp.maximum(n, 1.0)
    after = (reward_sum + reward) / (n + 1.0)
    return spread + (reward - before) * (reward - after)


def reward_variance(
    n: Float[Array, "*triples"], spread: Float[Array, "*triples"]
) -> Float[Array, "*triples"]:
    """Return E_R² = (mean of r² − r̄²)/(n − 1), or 1 if n ≤ 1."""
    return jnp.where(n > 1.0, spread / jnp.maximum(n * (n - 1.0), 1.0), 1.0)
