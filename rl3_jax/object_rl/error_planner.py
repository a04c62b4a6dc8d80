"""Value iteration that sweeps standard errors of Q along with Q (design, section 5.3)."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from rl3_jax.object_rl import successor_planner
from rl3_jax.object_rl.planner import SweepRule, iterate
from rl3_jax.object_rl.standard_errors import UNTRIED_VARIANCE, Formulas, reward_variance
from rl3_jax.object_rl.successor_model import SuccessorModel
from rl3_jax.object_rl.successor_planner import Problem, RowValues
from rl3_jax.object_rl.tabular_model import TabularModel


def plan_tables(
    rule: SweepRule, formulas: Formulas, model: TabularModel, q: Float[Array, "S A"]
) -> tuple[Float[Array, "S A"], Float[Array, "S A"]]:
    """Return Q, swept from `q`, and E_Q, swept from zero along with it, on whole tables.

    Args:
      rule: when to stop, by the change of Q.
      formulas: discount and smoothing, and what a pair never tried does.
      model: tables, with spread.
      q: values from which to start.
    """
    assert model.spread is not None
    pair, num_states = model.counts.sum(-1, keepdims=True), model.counting.sum().astype(jnp.float32)
    _, p_variance = formulas.probability(model.counts, pair, num_states)
    p_variance = jnp.where(pair > 0.0, p_variance, UNTRIED_VARIANCE) * model.counting
    mean_reward = model.reward_sum / jnp.maximum(model.counts, 1.0)
    of_reward = reward_variance(model.counts, model.spread)

    def backup(carry):
        q, variance = carry
        value = jnp.where(model.absorbing, 0.0, q.max(-1))
        greedy = jnp.take_along_axis(variance, q.argmax(-1, keepdims=True), -1)[:, 0]
        value_variance = jnp.where(model.absorbing, 0.0, greedy)
        terms = formulas.term(model.transition, p_variance, mean_reward, of_reward, value, value_variance)
        return model.reward + formulas.discount * (model.transition * value).sum(-1), terms.sum(-1)

    def change(new, old):
        return jnp.abs(new[0] - old[0]).max()

    q, variance = iterate(rule, backup, change, (q, jnp.zeros_like(q)))
    return q, jnp.sqrt(variance)


def plan_lists(
    rule: SweepRule, formulas: Formulas, model: SuccessorModel, problem: Problem
) -> tuple[RowValues, RowValues]:
    """Return Q and E_Q like `plan_tables`, on lists of successors.

    Successors not in a list are of rank one, as in planning Q: their sums are those over all states less
    those over the list.

    Args:
      rule: when to stop, by the change of Q.
      formulas: discount and smoothing, and what a pair never tried does.
      model: lists, with spread.
      problem: the same as planning Q reads it.
    """
    start = successor_planner.start_of(problem, model.visits.shape[1])
    zero = RowValues(jnp.zeros_like(start.q), jnp.zeros_like(start.untried))
    terms = _list_terms(formulas, model, problem)

    def backup(carry):
        values, variances = carry
        new = successor_planner.backup(formulas, problem, values)
        return new, _variances(formulas, model, problem, terms, values, variances)

    def change(new, old):
        return successor_planner.change(problem, new[0], old[0])

    values, variances = iterate(rule, backup, change, (start, zero))
    return values, RowValues(jnp.sqrt(variances.q), jnp.sqrt(variances.untried))


Listed = Float[Array, "K A N"]


class _Terms(NamedTuple):
    """What the variance of Q reads of the model alone.

    Attributes:
      of_listed: [K, A, N] T, E_T², r̄ and E_R² of listed successors.
      of_others: [A, N] T and E_T² of each of the others.
    """

    of_listed: tuple[Listed, Listed, Listed, Listed]
    of_others: tuple[Float[Array, "A N"], Float[Array, "A N"]]


def _list_terms(formulas: Formulas, model: SuccessorModel, problem: Problem) -> _Terms:
    """Return what does not change from sweep to sweep."""
    assert model.spread is not None
    mean_reward = model.reward_sum / jnp.maximum(model.counts, 1.0)
    of_reward = reward_variance(model.counts, model.spread)
    never = jnp.zeros_like(model.visits)
    return _Terms(
        of_listed=(
            *formulas.probability(model.counts, model.visits, problem.num_states),
            mean_reward,
            of_reward,
        ),
        of_others=formulas.probability(never, model.visits, problem.num_states),
    )


def _variances(
    formulas: Formulas,
    model: SuccessorModel,
    problem: Problem,
    terms: _Terms,
    values: RowValues,
    variances: RowValues,
) -> RowValues:
    """Return Var Q after one sweep from `values` and `variances`."""
    value = jnp.where(problem.live, values.q.max(0), 0.0)
    greedy = jnp.take_along_axis(variances.q, values.q.argmax(0, keepdims=True), 0)[0]
    value_variance = jnp.where(problem.live, greedy, 0.0)
    all_squares = (value**2).sum() + problem.num_unmet * values.untried**2
    all_variances = value_variance.sum() + problem.num_unmet * variances.untried

    # One slice [A, N] per successor, as in planning Q.
    tried, squares, other_variances = jnp.zeros_like(model.visits), all_squares, all_variances
    for k, row in enumerate(model.successors):
        listed = (model.num_listed > k).astype(jnp.float32)
        listed_value, listed_variance = (
            listed * x.at[row].get(mode="promise_in_bounds") for x in (value, value_variance)
        )
        squares -= listed_value**2
        other_variances -= listed_variance
        p, p_variance, mean_reward, of_reward = (x[k] for x in terms.of_listed)
        tried += listed * formulas.term(p, p_variance, mean_reward, of_reward, listed_value, listed_variance)
    others = problem.num_states - model.num_listed
    # A difference of sums that are equal but for rounding may come out below 0, or above where it is 0.
    squares, other_variances = (
        jnp.where(others > 0.0, jnp.maximum(x, 0.0), 0.0) for x in (squares, other_variances)
    )
    tried += formulas.of_others(*terms.of_others, others, squares, other_variances)
    untried, unmet = (
        formulas.of_untried(problem.num_states, all_squares, all_variances, own)
        for own in (value_variance, variances.untried)
    )
    return RowValues(jnp.where(model.visits > 0.0, tried, untried), unmet)
