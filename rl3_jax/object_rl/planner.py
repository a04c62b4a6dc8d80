"""What planners share, and value iteration on a dense tabular model (design, section 5.1)."""

import dataclasses
import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from rl3_jax.object_rl.base import TableSpec
from rl3_jax.object_rl.tabular_model import Rule, TabularModel

_UNROLLED = 4  # fixed sweeps up to so many are written out
_FEW_BACKUPS = 3
"""Up to so many backups do not pay for moving the tasks to the last axis (docs/measurements.md)."""


@dataclasses.dataclass(frozen=True)
class ModelPlanner:
    """A model of one task and the planning on it: a `Learner` for one table, whose rule sets the sweeps."""

    spec: TableSpec
    rule: Rule

    @property
    def warm(self) -> bool:
        """Whether planning starts from the last values, instead of from zero."""
        return self.spec.episode_length >= self.rule.warm_start_length

    def start(self, values: Any) -> Any:
        """Return the values from which planning starts."""
        return values if self.warm else jax.tree.map(jnp.zeros_like, values)

    def dropped(self, state: Any) -> Int[Array, ""]:
        """Return 0: a table has room for all transitions."""
        return jnp.int32(0)


def iterate(
    rule: Rule, backup: Callable[[Any], Any], change: Callable[[Any, Any], Float[Array, ""]], start: Any
) -> Any:
    """Return what sweeps (`backup`) make of values, any pytree, until the rule says to stop.

    `change` returns the largest change of Q from one sweep's values to the next's.
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


def value_iteration(rule: Rule, model: TabularModel, q: Float[Array, "S A"]) -> Float[Array, "S A"]:
    """Return Q after sweeps of Q(s,a) ← R(s,a) + γ Σ_s' T(s'|s,a) V(s'), V = max_a Q, from `q`.

    Each task stops on its own.
    """
    return _tasks_last(partial(_sweeps, rule))(model.transition, model.reward, model.absorbing, q)


def value_to_back_up(rule: Rule, model: TabularModel) -> Float[Array, " S"]:
    """Return γ V after all but the last of a fixed number of sweeps from zero; 0 for absorbing states.

    The last sweep, Q(s,a) ← R(s,a) + Σ_s' T(s'|s,a) γ V(s'), can then be made by `back_up` for the states
    alone that are looked at. Nor is the first one made: from zero it yields R.
    """
    reward = model.reward
    live, num_backups = rule.discount * (1.0 - model.absorbing), rule.max_sweeps - 2
    if num_backups < 0:
        return jnp.zeros_like(live)
    if num_backups > _FEW_BACKUPS:
        return _tasks_last(partial(_backups, num_backups))(live, model.transition, reward, reward)
    value = live * reward.max(axis=-1)
    for _ in range(num_backups):
        value = live * back_up(model, value).max(axis=-1)
    return value


def back_up(
    model: TabularModel, value: Float[Array, " S"], at: Int[Array, ""] | slice = slice(None)
) -> Float[Array, "*at A"]:
    """Return R(s,a) + Σ_s' T(s'|s,a) V(s') of all states or one."""
    # A GPU would else multiply in TF32, with three decimal digits.
    expected = jnp.matmul(model.weight[at], value, precision=jax.lax.Precision.HIGHEST)
    return model.reward[at] + (expected if model.total is None else expected / model.total[at])


def _tasks_last(kernel: Callable[..., Array]) -> Callable[..., Array]:
    """Return for one task what a kernel does for B at once, whose arrays have the tasks as last axis.

    Under `vmap` the tasks become that axis, so that each multiply-add runs over contiguous tasks: on a
    CPU that is faster than a batched matrix product (docs/measurements.md).
    """

    @jax.custom_batching.custom_vmap
    def one(*arrays):
        return kernel(*(x[..., None] for x in arrays))[..., 0]

    @one.def_vmap
    def many(axis_size, in_batched, *arrays):
        tasks_last = [
            jnp.moveaxis(x, 0, -1) if batched else jnp.broadcast_to(x[..., None], (*x.shape, axis_size))
            for x, batched in zip(arrays, in_batched, strict=True)
        ]
        return jnp.moveaxis(kernel(*tasks_last), -1, 0), True

    return one


def _sweeps(
    rule: Rule,
    transition: Float[Array, "S A S B"],
    reward: Float[Array, "S A B"],
    absorbing: Bool[Array, "S B"],
    q: Float[Array, "S A B"],
) -> Float[Array, "S A B"]:
    """Sweep B tasks at once, each until it has converged."""
    live = rule.discount * (1.0 - absorbing)
    if rule.tolerance == 0.0:
        value = _backups(rule.max_sweeps - 1, live, transition, reward, q)
        return _back_up_all(transition, reward, value)

    def sweep(carry):
        k, q, value, active = carry
        new_q = _back_up_all(transition, reward, value)
        change = jnp.abs(new_q - q).reshape(-1, q.shape[-1]).max(axis=0)
        active = active & (change >= rule.tolerance)
        # A task that is done keeps the value that its last sweep started from, and so repeats that sweep.
        return k + 1, new_q, jnp.where(active, _discounted_value(live, new_q), value), active

    def unfinished(carry):
        k, _, _, active = carry
        return (k < rule.max_sweeps) & active.any()

    start = 0, q, _discounted_value(live, q), jnp.ones(q.shape[-1], bool)
    return jax.lax.while_loop(unfinished, sweep, start)[1]


def _backups(
    number: int,
    live: Float[Array, "S B"],
    transition: Float[Array, "S A S B"],
    reward: Float[Array, "S A B"],
    q: Float[Array, "S A B"],
) -> Float[Array, "S B"]:
    """Return γ V of B tasks after some backups from `q`; `live` is γ, and 0 for absorbing states."""

    def backup(_, value):
        return _discounted_value(live, _back_up_all(transition, reward, value))

    return jax.lax.fori_loop(0, number, backup, _discounted_value(live, q))


def _back_up_all(
    transition: Float[Array, "S A S B"], reward: Float[Array, "S A B"], value: Float[Array, "S B"]
) -> Float[Array, "S A B"]:
    """Return what `back_up` does, for B tasks."""
    # One slice [S, A, B] per successor, so that a backup is S fused multiply-adds.
    products = (transition[:, :, s] * value[s] for s in range(value.shape[0]))
    return functools.reduce(jnp.add, products, reward)


def _discounted_value(live: Float[Array, "S B"], q: Float[Array, "S A B"]) -> Float[Array, "S B"]:
    """Return γ max_a Q of B tasks."""
    # Pairwise maxima, since a reduction here would be fused into each multiply-add that reads it.
    return live * functools.reduce(jnp.maximum, jnp.moveaxis(q, 1, 0))
