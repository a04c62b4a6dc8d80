"""Value iteration on a dense tabular model (design, section 5.1)."""

import dataclasses
import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

_UNROLLED = 4  # fixed sweeps up to so many are written out


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


def iterate(
    rule: SweepRule,
    backup: Callable[[Any], Any],
    change: Callable[[Any, Any], Float[Array, ""]],
    start: Any,
) -> Any:
    """Return what sweeps make of values, any pytree.

    Args:
      rule: when to stop.
      backup: one sweep.
      change: the largest change of Q from one sweep's values to the next's.
      start: values before the first sweep.
    """
    if rule.tolerance == 0.0:
        few = rule.max_sweeps <= _UNROLLED
        return jax.lax.fori_loop(0, rule.max_sweeps, lambda _, values: backup(values), start, unroll=few)

    def sweep(carry):
        k, values, _ = carry
        new = backup(values)
        return k + 1, new, change(new, values) >= rule.tolerance

    def unfinished(carry):
        k, _, active = carry
        return (k < rule.max_sweeps) & active

    return jax.lax.while_loop(unfinished, sweep, (0, start, True))[1]


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
    live = discount * (1.0 - absorbing)

    def discounted_value(q):
        # Pairwise maxima, since a reduction here would be fused into each multiply-add that reads it.
        return live * functools.reduce(jnp.maximum, jnp.moveaxis(q, 1, 0))

    def backup(value):
        # One slice [S, A, B] per successor, so that a backup is S fused multiply-adds.
        products = (transition[:, :, s] * value[s] for s in range(value.shape[0]))
        return functools.reduce(jnp.add, products, reward)

    if rule.tolerance == 0.0:
        value = discounted_value(q)
        value = jax.lax.fori_loop(0, rule.max_sweeps - 1, lambda _, v: discounted_value(backup(v)), value)
        return backup(value)

    def sweep(carry):
        k, q, value, active = carry
        new_q = backup(value)
        change = jnp.abs(new_q - q).reshape(-1, q.shape[-1]).max(axis=0)
        active = active & (change >= rule.tolerance)
        # A task that is done keeps the value that its last sweep started from, and so repeats that sweep.
        return k + 1, new_q, jnp.where(active, discounted_value(new_q), value), active

    def unfinished(carry):
        k, _, _, active = carry
        return (k < rule.max_sweeps) & active.any()

    active = jnp.ones(q.shape[-1], bool)
    return jax.lax.while_loop(unfinished, sweep, (0, q, discounted_value(q), active))[1]
