"""The model-based learner of a bandit, in closed form (design, section 5.1)."""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float

from rl3_jax.object_rl.base import ActionValues, TableSpec, Transition


@struct.dataclass
class BanditModel:
    """Experience of one trial with one bandit.

    Attributes:
      counts: [A] pulls n(a) of each arm, float32.
      reward_sum: [A] sum of the rewards of each arm.
    """

    counts: Float[Array, " A"]
    reward_sum: Float[Array, " A"]


def init(spec: TableSpec) -> BanditModel:
    """Return the model of a learner that has seen nothing."""
    return BanditModel(counts=jnp.zeros(spec.num_actions), reward_sum=jnp.zeros(spec.num_actions))


def update(model: BanditModel, transition: Transition) -> BanditModel:
    """Count one pull."""
    return BanditModel(
        counts=model.counts.at[transition.a].add(1.0),
        reward_sum=model.reward_sum.at[transition.a].add(transition.r),
    )


def values(model: BanditModel, smoothing: float) -> ActionValues:
    """Return Q(a) = r̄(a)(n(a) + α)/(n(a) + 2α) for arms pulled, 0 for the rest.

    It is one sweep of value iteration over the two states, the second absorbing.
    """
    mean_reward = model.reward_sum / jnp.maximum(model.counts, 1.0)
    q = mean_reward * (model.counts + smoothing) / (model.counts + 2.0 * smoothing)
    return ActionValues(q=q, counts=model.counts)
