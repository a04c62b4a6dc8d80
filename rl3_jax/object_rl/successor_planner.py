"""Value iteration over lists of successors (design, section 5.1)."""

import functools
from functools import partial

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from rl3_jax.object_rl.planner import iterate
from rl3_jax.object_rl.successor_lists import Rows, SuccessorLists
from rl3_jax.object_rl.successor_model import SuccessorModel
from rl3_jax.object_rl.tabular_model import Rule
from rl3_jax.platforms import look_up

_WIDTHS = 4  # programs for different numbers of rows; more sweep fewer idle rows, and compile longer
_LANES = 16  # a width is a multiple of this many rows, the float32 lanes of a wide register


@struct.dataclass
class RowValues:
    """Action values of all states.

    Attributes:
      q: [A, N] of the rows. Rows not yet given to a state hold anything; those of states not met, where each
        state has its row, are worth `untried`.
      untried: [] value of each state not met; with `uniform` also that of any pair never tried.
    """

    q: Float[Array, "A N"]
    untried: Float[Array, ""]


@struct.dataclass
class Problem:
    """What one planning reads.

    Attributes:
      rows: lists of successors; an entry not listed has count 0.
      start: values from which to start.
      met_before: [N] rows to which `start` applies; the others start as states not met. Not read if all
        states have rows.
      met: [N] rows whose state was met.
      absorbing: [N] rows of absorbing states.
      live: [N] rows of states met that are not absorbing.
      num_met: [] states met.
      any_unmet: [] whether there are others.
      num_unmet: [] states not met that count, float32.
      num_states: [] states that count, M, float32.
      all_have_rows: whether each state has a row from the start, or once it is met.
    """

    rows: Rows
    start: RowValues
    met_before: Bool[Array, " N"]
    met: Bool[Array, " N"]
    absorbing: Bool[Array, " N"]
    live: Bool[Array, " N"]
    num_met: Int[Array, ""]
    any_unmet: Bool[Array, ""]
    num_unmet: Float[Array, ""]
    num_states: Float[Array, ""]
    all_have_rows: bool = struct.field(pytree_node=False)


def value_iteration(rule: Rule, problem: Problem) -> RowValues:
    """Return values after sweeps of the dense planner's backup; each task stops on its own.

    The smoothing is rank one: Q(s,a) = (Σ_s' (n + α) r̄ + γ (α Σ_s' V(s') + Σ_k n_k V(s'_k)))/(n(s,a) + αM),
    and for a pair never tried γ/M Σ_s' V(s'), or γ V(s) if it stays. All states not met are worth the same,
    and are counted instead of swept. Written for one task; under `vmap` all tasks sweep as many rows as the
    task that has met most, where rows are given to states as they are met.
    """
    rows, sweeps = problem.met.shape[0], partial(_sweeps, rule)
    if problem.all_have_rows or rows <= _LANES:
        return sweeps(rows, problem)
    return _for_batches(sweeps, rows, 0)(problem)


def problem_of(
    rule: Rule,
    model: SuccessorModel | SuccessorLists,
    start: RowValues,
    met_before: Bool[Array, " N"],
    discovered: bool,
) -> Problem:
    """Return what planning reads; M is the number of states met where they are discovered, or of all."""
    num_states = model.num_met if discovered else jnp.int32(model.num_states)
    return Problem(
        rows=model.rows(rule.smoothing),
        start=start,
        met_before=met_before,
        met=model.met,
        absorbing=model.absorbing,
        live=model.met & ~model.absorbing,
        any_unmet=model.num_met < model.num_states,
        num_met=model.num_met,
        num_unmet=(num_states - model.num_met).astype(jnp.float32),
        num_states=num_states.astype(jnp.float32),
        all_have_rows=isinstance(model, SuccessorLists),
    )


def _for_batches(sweeps, rows: int, depth: int):
    """Return the planner for `depth` nested batches of tasks, which all sweep as many rows."""
    step = max(_LANES, -(-rows // (_WIDTHS * _LANES)) * _LANES)
    widths = [*range(step, rows, step), rows]

    def of_width(width, problem):
        values = sweeps(width, problem)
        return values.replace(q=problem.start.q.at[:, :width].set(values.q))

    @jax.custom_batching.custom_vmap
    def plan(problem):
        branches = [partial(of_width, width) for width in widths]
        for _ in range(depth):
            branches = [jax.vmap(branch) for branch in branches]
        return jax.lax.switch((problem.num_met.max() - 1) // step, branches, problem)

    @plan.def_vmap
    def plan_many(axis_size, in_batched, problem):
        def batch(x, batched):
            return x if batched else jnp.broadcast_to(x, (axis_size, *x.shape))

        problem = jax.tree.map(batch, problem, in_batched[0])
        values = _for_batches(sweeps, rows, depth + 1)(problem)
        return values, jax.tree.map(lambda _: True, values)

    return plan


def _sweeps(rule: Rule, width: int, problem: Problem) -> RowValues:
    """Sweep the first rows of one task, as many as `width`."""
    return iterate(rule, partial(backup, rule, problem), partial(change, problem), start_of(problem, width))


def start_of(problem: Problem, width: int) -> RowValues:
    """Return the first rows of the values from which to start."""
    start = problem.start
    if problem.all_have_rows:
        return start
    q = jnp.where(problem.met_before[:width], start.q[:, :width], start.untried)
    return RowValues(q, start.untried)


def backup(rule: Rule, problem: Problem, values: RowValues) -> RowValues:
    """Return values after one sweep of the first rows, as many as `values` has."""
    # Slices are taken here, where they are read: taken before the loop they would be copies.
    width, rows = values.q.shape[1], problem.rows
    visits, successors = rows.visits[:, :width], rows.successors[:, :width]
    best = functools.reduce(jnp.maximum, values.q)
    if rule.untried == "stay" and rule.smoothing == 0.0 and problem.all_have_rows:
        # Nothing reads the sum of all values, nor M, and states not met are worth 0. On a CPU the sum keeps
        # XLA from fusing sweeps into each other, which would make each several times (docs/measurements.md).
        value, total, smoothed = jnp.where(problem.absorbing, 0.0, best), 0.0, 0.0
    else:
        value, smoothed = jnp.where(problem.live[:width], best, 0.0), rule.smoothing * problem.num_states
        total = value.sum() + problem.num_unmet * values.untried
    # One slice [A, W] per successor, so that each is gathered once and not once an action.
    successor_values = (look_up(value, row) for row in successors)
    products = (n[:, :width] * v for n, v in zip(rows.experience.counts, successor_values, strict=True))
    expected = functools.reduce(jnp.add, products, rule.smoothing * total)
    # Pairs never tried have a weight too, as without smoothing it would be 0.
    weight = jnp.maximum(visits, 1.0) + smoothed
    tried = (rows.reward[:, :width] + rule.discount * expected) / weight
    if rule.untried == "stay":
        untried, unmet = rule.discount * value, jnp.float32(0.0)
    else:
        untried = unmet = rule.discount / problem.num_states * total
    return RowValues(q=jnp.where(visits > 0.0, tried, untried), untried=unmet)


def change(problem: Problem, new: RowValues, old: RowValues) -> Float[Array, ""]:
    """Return the largest change of Q, of all states."""
    of_met = jnp.where(problem.met[: new.q.shape[1]], jnp.abs(new.q - old.q), 0.0).max()
    of_unmet = jnp.where(problem.any_unmet, jnp.abs(new.untried - old.untried), 0.0)
    return jnp.maximum(of_met, of_unmet)
