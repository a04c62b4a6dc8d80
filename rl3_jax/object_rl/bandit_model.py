"""The model-based learner of a bandit, in closed form (design, section 5.1)."""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from rl3_jax.object_rl.base import ActionValues, Transition
from rl3_jax.object_rl.planner import ModelPlanner
from rl3_jax.object_rl.standard_errors import of_others, of_untried, probability, reward_variance, term
from rl3_jax.object_rl.tabular_model import new_spread


@struct.dataclass
class BanditModel:
    """Of each arm: pulls n(a), the sum of their rewards, and Σ (r − r̄)² if standard errors are asked for."""

    counts: Float[Array, " A"]
    reward_sum: Float[Array, " A"]
    spread: Float[Array, " A"] | None = None


class ClosedForm(ModelPlanner):
    """A bandit's values in closed form."""

    def init(self) -> BanditModel:
        """Return the model of a learner that has seen nothing."""
        zeros = jnp.zeros(self.spec.num_actions)
        return BanditModel(zeros, zeros, zeros if self.spec.standard_errors else None)

    def update(self, state: BanditModel, transition: Transition) -> BanditModel:
        """Count one pull."""
        a, r = transition.a, transition.r
        counts, reward_sum = state.counts.at[a].add(1.0), state.reward_sum.at[a].add(r)
        return BanditModel(counts, reward_sum, new_spread(state, a, r))

    def values(self, state: BanditModel, s: Int[Array, ""]) -> ActionValues:
        """Return Q(a) = r̄(a)(n(a) + α)/(n(a) + 2α) for arms pulled, 0 for the rest.

        It is one sweep of value iteration over the two states, the second absorbing. As it starts from
        zero, an arm never pulled is worth 0 whether it is taken to lead anywhere or to stay.
        """
        rule, n, pulled = self.rule, state.counts, jnp.maximum(state.counts, 1.0)
        mean_reward = state.reward_sum / pulled
        q = mean_reward * (n + rule.smoothing) / (pulled + 2.0 * rule.smoothing)
        if state.spread is None:
            return ActionValues(q, n)
        # E_Q of that sweep, whose values are 0 before; 0 before the first pull, as nothing is planned.
        zero, of_reward = jnp.float32(0.0), reward_variance(n, state.spread)
        variance = term(rule, *probability(rule, n, n, 2.0), mean_reward, of_reward, zero, zero)
        variance += of_others(rule, *probability(rule, jnp.zeros_like(n), n, 2.0), 1.0, zero, zero)
        untried = of_untried(rule, 2.0, zero, zero, zero)
        errors = jnp.sqrt(jnp.where(n > 0.0, variance, untried))
        return ActionValues(q, n, jnp.where(n.sum() > 0.0, errors, 0.0))
