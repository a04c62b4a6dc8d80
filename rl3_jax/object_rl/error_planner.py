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
      formulas: discount and smoothing.
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
      formulas: discount and smoothing.
      model: lists, with spread.
      problem: the same as planning Q reads it.
    """
    start = successor_planner.start_of(problem, model.visits.shape[1])
    zero = RowValues(jnp.zeros_like(start.q), jnp.zeros_like(start.untried))
    terms = _list_terms(formulas, model, problem)

    def backup(carry):
        values, variances = carry
        new = successor_planner.backup(formulas.discount, formulas.smoothing, problem, values)
        return new, _variances(formulas, model, problem, terms, values, variances)

    def change(new, old):
        return successor_planner.change(problem, new[0], old[0])

    values, variances = iterate(rule, backup, change, (start, zero))
    return values, RowValues(jnp.sqrt(variances.q), jnp.sqrt(variances.untried))


class _Terms(NamedTuple):
    """What the variance of Q reads of the model alone: [K, A, N] of listed successors, [A, N] of others."""

    listed: Float[Array, "K 1 N"]
    p: Float[Array, "K A N"]
    p_variance: Float[Array, "K A N"]
    mean_reward: Float[Array, "K A N"]
    reward_variance: Float[Array, "K A N"]
    p_other: Float[Array, "A N"]
    p_variance_other: Float[Array, "A N"]


def _list_terms(formulas: Formulas, model: SuccessorModel, problem: Problem) -> _Terms:
    assert model.spread is not None
    slots = jnp.arange(model.counts.shape[0])[:, None, None]
    return _Terms(
        (slots < model.num_listed).astype(jnp.float32),
        *formulas.probability(model.counts, model.visits, problem.num_states),
        model.reward_sum / jnp.maximum(model.counts, 1.0),
        reward_variance(model.counts, model.spread),
        *formulas.probability(jnp.zeros_like(model.visits), model.visits, problem.num_states),
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

    listed_value = value[model.successors][:, None]
    listed_variance = value_variance[model.successors][:, None]
    of_listed = formulas.term(
        terms.p,
        terms.p_variance,
        terms.mean_reward,
        terms.reward_variance,
        listed_value,
        listed_variance,
    )
    others = problem.num_states - model.num_listed
    # A difference of sums that are equal but for rounding may come out below 0.
    squares = jnp.maximum(all_squares - (terms.listed * listed_value**2).sum(0), 0.0)
    other_variances = jnp.maximum(all_variances - (terms.listed * listed_variance).sum(0), 0.0)
    tried = (terms.listed * of_listed).sum(0) + formulas.of_others(
        terms.p_other, terms.p_variance_other, others, squares, other_variances
    )
    p = 1.0 / problem.num_states
    untried = formulas.of_others(p, UNTRIED_VARIANCE, problem.num_states, all_squares, all_variances)
    return RowValues(jnp.where(model.visits > 0.0, tried, untried), untried)
