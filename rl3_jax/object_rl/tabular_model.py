"""Maximum-likelihood tabular model with smoothed transitions (design, section 5.1)."""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from rl3_jax.object_rl.base import TableSpec, Transition


@struct.dataclass
class TabularModel:
    """Experience of one trial, and the model it implies.

    The model is kept beside the experience since a step changes one row of it, while a planner
    reads all rows.

    Attributes:
      counts: [S, A, S] n(s,a,s'), float32.
      reward_sum: [S, A, S] sum of the rewards of each triple.
      transition: [S, A, S] T(s'|s,a) = (n(s,a,s') + α)/(n(s,a) + αS), or 1/S for a pair never tried.
      reward: [S, A] expected reward Σ_s' T(s'|s,a) r̄(s,a,s').
      absorbing: [S] whether a state has been seen as absorbing; its value is 0.
    """

    counts: Float[Array, "S A S"]
    reward_sum: Float[Array, "S A S"]
    transition: Float[Array, "S A S"]
    reward: Float[Array, "S A"]
    absorbing: Bool[Array, " S"]


def init(spec: TableSpec) -> TabularModel:
    """Return the model of a learner that has seen nothing."""
    num_states, num_actions = spec.num_states, spec.num_actions
    triples = (num_states, num_actions, num_states)
    return TabularModel(
        counts=jnp.zeros(triples),
        reward_sum=jnp.zeros(triples),
        transition=jnp.full(triples, 1.0 / num_states),
        reward=jnp.zeros((num_states, num_actions)),
        absorbing=jnp.zeros(num_states, bool),
    )


def update(model: TabularModel, transition: Transition, smoothing: float) -> TabularModel:
    """Count one transition and refresh the row of its pair.

    Args:
      model: the model so far.
      transition: one step of the task.
      smoothing: α > 0.
    """
    s, a, next_s = transition.s, transition.a, transition.next_s
    counts = model.counts.at[s, a, next_s].add(1.0)
    reward_sum = model.reward_sum.at[s, a, next_s].add(transition.r)
    row = counts[s, a]
    probability = (row + smoothing) / (row.sum() + smoothing * row.shape[-1])
    mean_reward = reward_sum[s, a] / jnp.maximum(row, 1.0)
    return TabularModel(
        counts=counts,
        reward_sum=reward_sum,
        transition=model.transition.at[s, a].set(probability),
        reward=model.reward.at[s, a].set((probability * mean_reward).sum()),
        absorbing=model.absorbing.at[next_s].max(transition.terminated),
    )
