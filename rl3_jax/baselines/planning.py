"""Finite-horizon planning on a tabular model."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from rl3_jax.trial import TrialEnv, TrialState


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


def steps_to_go(env: TrialEnv, state: TrialState) -> Int[Array, ""]:
    """Return min(episode length − step within the episode, H − t): H may cut the last episode short."""
    return jnp.minimum(env.table.episode_length - state.inner.time, env.horizon - state.time)


def greedy_action(env: TrialEnv, values: Float[Array, "L S A"], state: TrialState) -> Int[Array, ""]:
    """Return argmax_a Q_k(s,a) for the k steps that are left, the first among equals."""
    return values[steps_to_go(env, state) - 1, state.inner.s].argmax()


def concrete_index(env: TrialEnv, state: TrialState) -> Int[Array, ""]:
    """Return the integer state of the task that the trial is in."""
    index = env.family.concrete(state.inner, state.task).index
    assert index is not None, "states must be integers"
    return index


def planned_action(env: TrialEnv, policy: Int[Array, "H S"], state: TrialState) -> Int[Array, ""]:
    """Return the action of a plan over the whole trial, which has that for k steps to go at index k − 1."""
    return policy[env.horizon - 1 - state.time, concrete_index(env, state)].astype(jnp.int32)
