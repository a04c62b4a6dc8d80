"""Finite-horizon planning on a tabular model."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.trial import TrialEnv, TrialState

TIE = 1e-4
"""Values this near count as equal: sums that are equal by symmetry differ in their rounding."""


def backward_induction(
    transition: Float[Array, "S A S"], reward: Float[Array, "S A"], num_steps: int
) -> Float[Array, "L S A"]:
    """Return the optimal undiscounted values Q_k for k = 1, …, L steps to go, Q_k at index k − 1.

    Q_1 = R and Q_{k+1}(s,a) = R(s,a) + Σ_s' T(s'|s,a) max_a' Q_k(s',a') (Puterman 1994, section 4.5).

    An absorbing state is one that pays 0 and leads to itself.

    Args:
      transition: T(s'|s,a).
      reward: mean reward R of each pair.
      num_steps: L.
    """

    def earlier(q, _):
        # A GPU would else multiply in TF32, with three decimal digits.
        q = reward + jnp.matmul(transition, q.max(axis=-1), precision=jax.lax.Precision.HIGHEST)
        return q, q

    _, values = jax.lax.scan(earlier, jnp.zeros_like(reward), length=num_steps)
    return values


def optimistic_induction(
    transition: Float[Array, "S A S"],
    reward: Float[Array, "S A"],
    radius: Float[Array, "S A"],
    num_steps: int,
) -> Float[Array, "L S A"]:
    """Return the values Q_k for k = 1, …, L steps to go, at index k − 1, where one may also choose T.

    Q_1 = R and Q_{k+1}(s,a) = R(s,a) + max_p Σ_s' p(s') V_k(s'), V_k = max_a Q_k, over the probabilities p
    with ‖p − T(s,a,·)‖₁ ≤ d(s,a) (Jaksch, Ortner and Auer 2010, section 3.1).

    Args:
      transition: T(s'|s,a).
      reward: R, the largest mean reward of each pair that is thought possible.
      radius: d.
      num_steps: L.
    """

    def earlier(q, _):
        q = reward + optimistic_mean(transition, q.max(axis=-1), radius)
        return q, q

    _, values = jax.lax.scan(earlier, jnp.zeros_like(reward), length=num_steps)
    return values


def optimistic_mean(
    transition: Float[Array, "S A S"], value: Float[Array, " S"], radius: Float[Array, "S A"]
) -> Float[Array, "S A"]:
    """Return max_p Σ_s' p(s') V(s') over the probabilities p with ‖p − T(s,a,·)‖₁ ≤ d(s,a).

    The best p moves d/2 of mass, or what there is, from the states of least value to that of the most.
    With the values sorted, v_1 ≥ … ≥ v_S, the i best states then have min(1, d/2 + F_i) of it, where F_i is
    what T gives them, so that the mean is v_S + Σ_{i<S} (v_i − v_{i+1}) min(1, d/2 + F_i).

    Args:
      transition: T(s'|s,a).
      value: V.
      radius: d.
    """
    ranked = -jnp.sort(-value)
    # A matrix product with what is at least v_i: gathering T in the order of V is slower. Equal values share
    # the F of their last, and those before it have no part in the sum.
    among_best = (value[:, None] >= ranked[:-1]).astype(transition.dtype)
    mass = jnp.matmul(transition, among_best, precision=jax.lax.Precision.HIGHEST)
    reached = jnp.minimum(1.0, radius[..., None] / 2.0 + mass)
    return ranked[-1] + reached @ (ranked[:-1] - ranked[1:])


def steps_to_go(env: TrialEnv, state: TrialState) -> Int[Array, ""]:
    """Return min(episode length − step within the episode, H − t): H may cut the last episode short."""
    return jnp.minimum(env.episode_length - state.inner.time, env.horizon - state.time)


def greedy_action(env: TrialEnv, values: Float[Array, "L S A"], state: TrialState) -> Int[Array, ""]:
    """Return argmax_a Q_k(s,a) for the k steps that are left, the first among equals."""
    return values[steps_to_go(env, state) - 1, state.inner.s].argmax()


def tied_action(
    env: TrialEnv, values: Float[Array, "L S A"], state: TrialState, key: PRNGKeyArray
) -> Int[Array, ""]:
    """Return an action of the largest Q_k(s,a) for the k steps that are left, drawn evenly among equals.

    The key is consumed.
    """
    q = values[steps_to_go(env, state) - 1, state.inner.s]
    draws = jax.random.uniform(key, q.shape)
    return jnp.where(q >= q.max() - TIE, draws, -1.0).argmax()


def concrete_index(env: TrialEnv, state: TrialState) -> Int[Array, ""]:
    """Return the integer state of the task that the trial is in."""
    index = env.family.concrete(state.inner, state.task).index
    assert index is not None, "states must be integers"
    return index


def planned_action(env: TrialEnv, policy: Int[Array, "H S"], state: TrialState) -> Int[Array, ""]:
    """Return the action of a plan over the whole trial, which has that for k steps to go at index k − 1."""
    return policy[env.horizon - 1 - state.time, concrete_index(env, state)].astype(jnp.int32)
