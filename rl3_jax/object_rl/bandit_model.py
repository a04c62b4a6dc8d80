"""The model-based learner of a bandit, in closed form (design, section 5.1)."""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from rl3_jax.object_rl.base import ActionValues, TableSpec, Transition
from rl3_jax.object_rl.standard_errors import Formulas, new_spread, reward_variance


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
    spread = None
    if model.spread is not None:
        spread = model.spread.at[a].set(new_spread(model.spread[a], model.counts[a], model.reward_sum[a], r))
    return BanditModel(
        counts=model.counts.at[a].add(1.0), reward_sum=model.reward_sum.at[a].add(r), spread=spread
    )


def values(model: BanditModel, formulas: Formulas) -> ActionValues:
    """Return Q(a) = r̄(a)(n(a) + α)/(n(a) + 2α) for arms pulled, 0 for the rest.

    It is one sweep of value iteration over the two states, the second absorbing. As it starts from zero, an
    arm never pulled is worth 0 whether it is taken to lead anywhere or to stay.
    """
    n, pulled = model.counts, jnp.maximum(model.counts, 1.0)
    mean_reward = model.reward_sum / pulled
    q = mean_reward * (n + formulas.smoothing) / (pulled + 2.0 * formulas.smoothing)
    errors = None if model.spread is None else _errors(model, model.spread, mean_reward, formulas)
    return ActionValues(q=q, counts=model.counts, standard_errors=errors)


def _errors(
    model: BanditModel, spread: Float[Array, " A"], mean_reward: Float[Array, " A"], formulas: Formulas
) -> Float[Array, " A"]:
    """Return E_Q of that sweep, whose values are 0 before; 0 before the first pull, as nothing is planned."""
    n, zero = model.counts, jnp.float32(0.0)
    p, p_variance = formulas.probability(n, n, 2.0)
    variance = formulas.term(p, p_variance, mean_reward, reward_variance(n, spread), zero, zero)
    variance += formulas.of_others(*formulas.probability(jnp.zeros_like(n), n, 2.0), 1.0, zero, zero)
    untried = formulas.of_untried(2.0, zero, zero, zero)
    return jnp.where(n.sum() > 0.0, jnp.sqrt(jnp.where(n > 0.0, variance, untried)), 0.0)
