"""Tabular models: what a trial's experience says of one, and finite-horizon planning on it."""

import math

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from rl3_jax.baselines.common import Number

Model = tuple[Float[Array, "S A S"], Float[Array, "S A"]]
"""Transition probabilities T and mean rewards R."""


@struct.dataclass
class MdpMemory:
    """Experience of one trial, and the values planned for this episode.

    Attributes:
      time: [] steps taken in this trial.
      triples: [H] flat index of each step's (s, a, s'); S·A·S for steps not yet taken.
      counts: [S, A] n(s,a), float32.
      reward_sum: [S, A] sum of the rewards of each pair.
      values: [L, S, A] what is planned, for k steps to go at index k − 1; L is the episode length.
    """

    time: Int[Array, ""]
    triples: Int[Array, " H"]
    counts: Float[Array, "S A"]
    reward_sum: Float[Array, "S A"]
    values: Float[Array, "L S A"]


def triple_counts(memory: MdpMemory) -> Float[Array, "S A S"]:
    """Return n(s,a,s'), how often each triple was seen."""
    shape = (*memory.counts.shape, len(memory.counts))
    return jnp.bincount(memory.triples, length=math.prod(shape)).reshape(shape).astype(jnp.float32)


def likeliest_model(memory: MdpMemory, prior_reward: Number) -> Model:
    """Return the maximum-likelihood T(s'|s,a) = n(s,a,s')/n(s,a) and R(s,a) = Σ r/n(s,a).

    A pair never tried has T = 1/S and R = m, the `prior_reward`.
    """
    tried = memory.counts > 0.0
    counts = jnp.maximum(memory.counts, 1.0)
    shares = triple_counts(memory) / counts[..., None]
    transition = jnp.where(tried[..., None], shares, 1.0 / len(counts))
    return transition, jnp.where(tried, memory.reward_sum / counts, prior_reward)


def mean_model(memory: MdpMemory, prior_reward: Number) -> Model:
    """Return the posterior's means T(s'|s,a) = (1 + n(s,a,s'))/(S + n(s,a)), R(s,a) = (m + Σ r)/(1 + n(s,a)).

    Priors are T(s,a,·) ~ Dirichlet(1, …, 1) and R(s,a) ~ Normal(m, 1), m being `prior_reward`; rewards are
    seen through noise Normal(0, 1).
    """
    transition = (1.0 + triple_counts(memory)) / (len(memory.counts) + memory.counts)[..., None]
    return transition, (prior_reward + memory.reward_sum) / (1.0 + memory.counts)


def backward_induction(
    transition: Float[Array, "S A S"],
    reward: Float[Array, "*L S A"],
    num_steps: int,
    radius: Float[Array, "S A"] | None = None,
) -> Float[Array, "L S A"]:
    """Return the optimal undiscounted values Q_k for k = 1, …, L steps to go, Q_k at index k − 1.

    Q_1 = R and Q_{k+1}(s,a) = R(s,a) + Σ_s' T(s'|s,a) V_k(s'), V_k = max_a Q_k (Puterman 1994, section 4.5).
    An absorbing state is one that pays 0 and leads to itself. Rewards may differ with the steps to go, R_k at
    index k − 1.

    With a `radius` d one may also choose T: `optimistic_mean` takes the place of the sum.
    """

    def earlier(q, reward):
        value = q.max(axis=-1)
        if radius is None:
            # A GPU would else multiply in TF32, with three decimal digits.
            later = jnp.matmul(transition, value, precision=jax.lax.Precision.HIGHEST)
        else:
            later = optimistic_mean(transition, value, radius)
        return reward + later, reward + later

    pairs = transition.shape[:2]
    return jax.lax.scan(earlier, jnp.zeros(pairs), jnp.broadcast_to(reward, (num_steps, *pairs)))[1]


def optimistic_mean(
    transition: Float[Array, "S A S"], value: Float[Array, " S"], radius: Float[Array, "S A"]
) -> Float[Array, "S A"]:
    """Return max_p Σ_s' p(s') V(s') over the probabilities p with ‖p − T(s,a,·)‖₁ ≤ d(s,a).

    The best p moves d/2 of mass from the states of least value to that of the most (Jaksch, Ortner and Auer
    2010, section 3.1). With sorted values v_1 ≥ … ≥ v_S, and F_i what T gives the i best states, the mean is
    v_S + Σ_{i<S} (v_i − v_{i+1}) min(1, d/2 + F_i).
    """
    ranked = -jnp.sort(-value)
    # A matrix product with what is at least v_i: gathering T in the order of V is slower. Equal values share
    # the F of their last, and those before it have no part in the sum.
    among_best = (value[:, None] >= ranked[:-1]).astype(transition.dtype)
    mass = jnp.matmul(transition, among_best, precision=jax.lax.Precision.HIGHEST)
    reached = jnp.minimum(1.0, radius[..., None] / 2.0 + mass)
    return ranked[-1] + reached @ (ranked[:-1] - ranked[1:])


def optimistic_transition(
    transition: Float[Array, "S A S"], value: Float[Array, " S"], radius: Float[Array, "S A"]
) -> tuple[Float[Array, "S A S"], Bool[Array, "S A"]]:
    """Return the probabilities p of `optimistic_mean`, and where p is certain of the best state.

    d/2 is added to the state of largest value, and what is then too much taken from those of least value,
    one after the other (Jaksch, Ortner and Auer 2010, figure 2).
    """
    ascending = jnp.argsort(value)
    raised = transition[..., ascending].at[..., -1].add(radius / 2.0)
    certain = raised[..., -1] > 1.0
    below = jnp.cumsum(raised, axis=-1) - raised
    best = raised - jnp.clip(raised.sum(-1, keepdims=True) - 1.0 - below, 0.0, raised)
    best = jnp.where(certain[..., None], jnp.arange(len(value)) == len(value) - 1, best)
    return best[..., jnp.argsort(ascending)], certain
