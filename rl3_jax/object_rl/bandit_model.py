"""The model-based learner of a bandit, in closed form (design, section 5.1)."""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from rl3_jax.object_rl.base import ActionValues, TableSpec, Transition, new_spread
from rl3_jax.object_rl.planner import Rule
from rl3_jax.object_rl.standard_errors import of_others, of_untried, probability, reward_variance, term


@struct.dataclass
class BanditModel:
    """Experience of one trial with one bandit.

    Attributes:
      counts: [A] pulls n(a) of each arm, float32.
      reward_sum: [A] sum of the rewards of each arm.
      spread: [A] Σ (r − r̄)² of each arm, or None where no standard errors are asked for.
    """

    counts: Float[Array, " A"]
    reward_sum: Float[Array, " A"]
    spread: Float[Array, " A"] | None = None


def init(spec: TableSpec) -> BanditModel:
    """Return the model of a learner that has seen nothing."""
    zeros = jnp.zeros(spec.num_actions)
    return BanditModel(counts=zeros, reward_sum=zeros, spread=zeros if spec.standard_errors else None)


def update(model: BanditModel, transition: Transition) -> BanditModel:
    """Count one pull."""
    a, r = transition.a, transition.r
    return BanditModel(
        counts=model.counts.at[a].add(1.0),
        reward_sum=model.reward_sum.at[a].add(r),
        spread=new_spread(model, a, r),
    )


def values(model: BanditModel, rule: Rule) -> ActionValues:
    """Return Q(a) = r̄(a)(n(a) + α)/(n(a) + 2α) for arms pulled, 0 for the rest.

    It is one sweep of value iteration over the two states, the second absorbing. As it starts from zero, an
    arm never pulled is worth 0 whether it is taken to lead anywhere or to stay.
    """
    n, pulled = model.counts, jnp.maximum(model.counts, 1.0)
    mean_reward = model.reward_sum / pulled
    q = mean_reward * (n + rule.smoothing) / (pulled + 2.0 * rule.smoothing)
    if model.spread is None:
        return ActionValues(q, n)
    # E_Q of that sweep, whose values are 0 before; 0 before the first pull, as nothing is planned.
    zero = jnp.float32(0.0)
    variance = term(
        rule, *probability(rule, n, n, 2.0), mean_reward, reward_variance(n, model.spread), zero, zero
    )
    variance += of_others(rule, *probability(rule, jnp.zeros_like(n), n, 2.0), 1.0, zero, zero)
    untried = of_untried(rule, 2.0, zero, zero, zero)
    errors = jnp.sqrt(jnp.where(n > 0.0, variance, untried))
    return ActionValues(q, n, jnp.where(n.sum() > 0.0, errors, 0.0))
