"""Value iteration over lists of successors (design, section 5.1)."""

import functools
from functools import partial

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float

from rl3_jax.object_rl.planner import iterate
from rl3_jax.object_rl.successor_model import SuccessorModel, is_met
from rl3_jax.object_rl.tabular_model import Rule

_WIDTHS = 4  # programs for different numbers of rows; more sweep fewer idle rows, and compile longer
_LANES = 16  # a width is a multiple of this many rows, the float32 lanes of a wide register


@struct.dataclass
class RowValues:
    """Action values of all states.

    Attributes:
      q: [A, N] of the states met; rows not yet given to a state hold anything.
      untried: [] value of each state not met; with `uniform` also that of any pair never tried.
    """

    q: Float[Array, "A N"]
    untried: Float[Array, ""]


@struct.dataclass
class Problem:
    """What one planning reads.

    Attributes:
      model: lists of successors; an entry not listed has count 0.
      start: values from which to start.
      met_before: [N] rows to which `start` applies; the others start as states not met.
      met: [N] rows that were given to a state.
      live: [N] rows of states met that are not absorbing.
      any_unmet: [] whether there are states not met.
      num_unmet: [] states not met that count, float32.
      num_states: [] states that count, M, float32.
    """

    model: SuccessorModel
    start: RowValues
    met_before: Bool[Array, " N"]
    met: Bool[Array, " N"]
    live: Bool[Array, " N"]
    any_unmet: Bool[Array, ""]
    num_unmet: Float[Array, ""]
    num_states: Float[Array, ""]


def value_iteration(rule: Rule, problem: Problem) -> RowValues:
    """Return values after sweeps of the dense planner's backup; each task stops on its own.

    The smoothing is rank one: Q(s,a) = (Σ_s' (n + α) r̄ + γ (α Σ_s' V(s') + Σ_k n_k V(s'_k)))/(n(s,a) + αM),
    and for a pair never tried γ/M Σ_s' V(s'), or γ V(s) if it stays. All states not met are worth the same,
    and are counted instead of swept. Written for one task; under `vmap` all tasks sweep as many rows as the
    task that has met most.
    """
    rows, sweeps = problem.met.shape[0], partial(_sweeps, rule)
    if not problem.model.compact or rows <= _LANES:
        return sweeps(rows, problem)
    return _for_batches(sweeps, rows, 0)(problem)


def problem_of(
    model: SuccessorModel, start: RowValues, met_before: Bool[Array, " N"], discovered: bool
) -> Problem:
    """Return what planning reads; M is the number of states met where they are discovered, or of all."""
    met = is_met(model)
    num_states = model.num_met if discovered else jnp.int32(model.row_of.shape[0])
    return Problem(
        model=model,
        start=start,
        met_before=met_before,
        met=met,
        live=met & ~model.absorbing,
        any_unmet=model.num_met < model.row_of.shape[0],
        num_unmet=(num_states - model.num_met).astype(jnp.float32),
        num_states=num_states.astype(jnp.float32),
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
        return jax.lax.switch((problem.model.num_met.max() - 1) // step, branches, problem)

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
    q = jnp.where(problem.met_before[:width], start.q[:, :width], start.untried)
    return RowValues(q, start.untried)


def backup(rule: Rule, problem: Problem, values: RowValues) -> RowValues:
    """Return values after one sweep of the first rows, as many as `values` has."""
    # Slices are taken here, where they are read: taken before the loop they would be copies.
    width, model = values.q.shape[1], problem.model
    visits, successors = model.visits[:, :width], model.successors[:, :width]
    best = functools.reduce(jnp.maximum, values.q)
    value = jnp.where(problem.live[:width], best, 0.0)
    total = value.sum() + problem.num_unmet * values.untried
    # One slice [A, W] per successor, so that each is gathered once and not once an action.
    successor_values = (value.at[row].get(mode="promise_in_bounds") for row in successors)
    products = (n[:, :width] * v for n, v in zip(model.experience.counts, successor_values, strict=True))
    expected = functools.reduce(jnp.add, products, rule.smoothing * total)
    # Pairs never tried have a weight too, as without smoothing it would be 0.
    weight = jnp.maximum(visits, 1.0) + rule.smoothing * problem.num_states
    tried = (model.reward[:, :width] + rule.discount * expected) / weight
    if rule.untried == "stay":
        untried, unmet = rule.discount * value, rule.discount * values.untried
    else:
        untried = unmet = rule.discount / problem.num_states * total
    return RowValues(q=jnp.where(visits > 0.0, tried, untried), untried=unmet)


def change(problem: Problem, new: RowValues, old: RowValues) -> Float[Array, ""]:
    """Return the largest change of Q, of all states."""
    of_met = jnp.where(problem.met[: new.q.shape[1]], jnp.abs(new.q - old.q), 0.0).max()
    of_unmet = jnp.where(problem.any_unmet, jnp.abs(new.untried - old.untried), 0.0)
    return jnp.maximum(of_met, of_unmet)
