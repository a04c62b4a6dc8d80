"""Value iteration on a dense tabular model (design, section 5.1)."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


@dataclasses.dataclass(frozen=True)
class SweepRule:
    """How many synchronous sweeps value iteration makes.

    Attributes:
      max_sweeps: sweeps made at the most.
      tolerance: stop once the largest change of Q in a sweep is below this; 0 makes the number of
        sweeps fixed, and the program shorter.
    """

    max_sweeps: int
    tolerance: float


def value_iteration(
    rule: SweepRule,
    discount: float,
    transition: Float[Array, "S A S"],
    reward: Float[Array, "S A"],
    absorbing: Bool[Array, " S"],
    q: Float[Array, "S A"],
) -> Float[Array, "S A"]:
    """Return Q after sweeps of Q(s,a) ← R(s,a) + γ Σ_s' T(s'|s,a) V(s'), V = max_a Q, from `q`.

    Written for one task. Under `vmap` the tasks become the last axis, so that each multiply-add runs
    over contiguous tasks: 2.5 times faster on a CPU than a batched matrix product at S=10, 128 tasks.

    Args:
      rule: when to stop; each task stops on its own.
      discount: planning discount γ.
      transition: T(s'|s,a).
      reward: expected reward of each pair.
      absorbing: states whose value is 0.
      q: values from which to start.
    """
    return _plan(rule, discount)(transition, reward, absorbing, q)


def _plan(rule: SweepRule, discount: float):
    """Return the planner for one task together with its rule for many."""

    @jax.custom_batching.custom_vmap
    def plan(transition, reward, absorbing, q):
        tasks_last = jax.tree.map(partial(jnp.expand_dims, axis=-1), (transition, reward, absorbing, q))
        return _sweeps(rule, discount, *tasks_last)[..., 0]

    @plan.def_vmap
    def plan_many(axis_size, in_batched, *arrays):
        tasks_last = [
            jnp.moveaxis(x, 0, -1) if batched else jnp.broadcast_to(x[..., None], (*x.shape, axis_size))
            for x, batched in zip(arrays, in_batched, strict=True)
        ]
        return jnp.moveaxis(_sweeps(rule, discount, *tasks_last), -1, 0), True

    return plan


def _sweeps(
    rule: SweepRule,
    discount: float,
    transition: Float[Array, "S A S B"],
    reward: Float[Array, "S A B"],
    absorbing: Bool[Array, "S B"],
    q: Float[Array, "S A B"],
) -> Float[Array, "S A B"]:
    """Sweep B tasks at once, each until it has converged."""
    # [S', S, A, B]: one slice per successor, so that a backup is S fused multiply-adds.
    successors = jnp.moveaxis(transition, 2, 0)
    live = discount * (1.0 - absorbing)

    def backup(q):
        value = live * q.max(axis=1)
        result = reward
        for successor in range(successors.shape[0]):
            result = result + successors[successor] * value[successor]
        return result

    if rule.tolerance == 0.0:
        return jax.lax.fori_loop(0, rule.max_sweeps, lambda _, q: backup(q), q)

    def sweep(carry):
        k, q, active = carry
        new_q = backup(q)
        change = jnp.abs(new_q - q).max(axis=(0, 1))
        return k + 1, jnp.where(active, new_q, q), active & (change >= rule.tolerance)

    def unfinished(carry):
        k, _, active = carry
        return (k < rule.max_sweeps) & active.any()

    active = jnp.ones(q.shape[-1], bool)
    return jax.lax.while_loop(unfinished, sweep, (0, q, active))[1]
