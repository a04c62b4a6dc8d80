"""Standard errors of T, r̄ and Q, swept along with Q (design, section 5.3; the reference's formulas)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from rl3_jax.object_rl import successor_planner
from rl3_jax.object_rl.planner import iterate
from rl3_jax.object_rl.successor_planner import Problem, RowValues
from rl3_jax.object_rl.tabular_model import Experience, Rule, TabularModel
from rl3_jax.platforms import look_up

UNTRIED_VARIANCE = 1.0 / 12.0
"""Var T(s'|s,a) of a pair never tried, for each state that counts: that of a uniform variable."""


def plan_tables(
    rule: Rule, model: TabularModel, q: Float[Array, "S A"]
) -> tuple[Float[Array, "S A"], Float[Array, "S A"]]:
    """Return Q, swept from `q`, and E_Q, swept from zero along with it, on tables with spread."""
    counts, num_states = model.experience.counts, model.counting.sum().astype(jnp.float32)
    pair = counts.sum(-1, keepdims=True)
    _, p_variance = probability(rule, counts, pair, num_states)
    p_variance = jnp.where(pair > 0.0, p_variance, UNTRIED_VARIANCE) * model.counting
    mean_reward = model.experience.reward_sum / jnp.maximum(counts, 1.0)
    of_reward = reward_variance(model.experience)

    def backup(carry):
        q, variance = carry
        value = jnp.where(model.absorbing, 0.0, q.max(-1))
        greedy = jnp.take_along_axis(variance, q.argmax(-1, keepdims=True), -1)[:, 0]
        value_variance = jnp.where(model.absorbing, 0.0, greedy)
        terms = term(rule, model.transition, p_variance, mean_reward, of_reward, value, value_variance)
        return model.reward + rule.discount * (model.transition * value).sum(-1), terms.sum(-1)

    def change(new, old):
        return jnp.abs(new[0] - old[0]).max()

    q, variance = iterate(rule, backup, change, (q, jnp.zeros_like(q)))
    return q, jnp.sqrt(variance)


def plan_lists(rule: Rule, problem: Problem) -> tuple[RowValues, RowValues]:
    """Return Q and E_Q like `plan_tables`, on lists of successors with spread.

    Successors not in a list are of rank one, as in planning Q: their sums are those over all states less
    those over the list.
    """
    rows, experience = problem.rows, problem.rows.experience
    start = successor_planner.start_of(problem, rows.visits.shape[1])
    zero = RowValues(jnp.zeros_like(start.q), jnp.zeros_like(start.untried))
    # T, E_T², r̄ and E_R² of listed successors, T and E_T² of others.
    of_listed = (
        *probability(rule, experience.counts, rows.visits, problem.num_states),
        experience.reward_sum / jnp.maximum(experience.counts, 1.0),
        reward_variance(experience),
    )
    of_other = probability(rule, jnp.zeros_like(rows.visits), rows.visits, problem.num_states)

    def backup(carry):
        values, variances = carry
        value = jnp.where(problem.live, values.q.max(0), 0.0)
        greedy = jnp.take_along_axis(variances.q, values.q.argmax(0, keepdims=True), 0)[0]
        value_variance = jnp.where(problem.live, greedy, 0.0)
        all_squares = (value**2).sum() + problem.num_unmet * values.untried**2
        all_variances = value_variance.sum() + problem.num_unmet * variances.untried

        # One slice [A, N] per successor, as in planning Q.
        tried, squares, other_variances = jnp.zeros_like(rows.visits), all_squares, all_variances
        for k, row in enumerate(rows.successors):
            listed = (rows.num_listed > k).astype(jnp.float32)
            listed_value, listed_variance = (listed * look_up(x, row) for x in (value, value_variance))
            squares -= listed_value**2
            other_variances -= listed_variance
            p, p_variance, mean_reward, of_reward = (x[k] for x in of_listed)
            tried += listed * term(rule, p, p_variance, mean_reward, of_reward, listed_value, listed_variance)
        others = problem.num_states - rows.num_listed
        # A difference of sums that are equal but for rounding may come out below 0, or above where it is 0.
        squares, other_variances = (
            jnp.where(others > 0.0, jnp.maximum(x, 0.0), 0.0) for x in (squares, other_variances)
        )
        tried += of_others(rule, *of_other, others, squares, other_variances)
        untried, unmet = (
            of_untried(rule, problem.num_states, all_squares, all_variances, own)
            for own in (jnp.where(problem.met, value_variance, variances.untried), variances.untried)
        )
        new = RowValues(jnp.where(rows.visits > 0.0, tried, untried), unmet)
        return successor_planner.backup(rule, problem, values), new

    def change(new, old):
        return successor_planner.change(problem, new[0], old[0])

    values, variances = iterate(rule, backup, change, (start, zero))
    return values, RowValues(jnp.sqrt(variances.q), jnp.sqrt(variances.untried))


def of_arms(rule: Rule, experience: Experience) -> Float[Array, " A"]:
    """Return E_Q of a bandit's arms: one sweep over its two states, whose values are 0 before."""
    zero, n, of_reward = jnp.float32(0.0), experience.counts, reward_variance(experience)
    mean_reward = experience.reward_sum / jnp.maximum(n, 1.0)
    variance = term(rule, *probability(rule, n, n, 2.0), mean_reward, of_reward, zero, zero)
    variance += of_others(rule, *probability(rule, jnp.zeros_like(n), n, 2.0), 1.0, zero, zero)
    errors = jnp.sqrt(jnp.where(n > 0.0, variance, of_untried(rule, 2.0, zero, zero, zero)))
    return jnp.where(n.sum() > 0.0, errors, 0.0)  # before the first pull nothing is planned


def probability(
    rule: Rule,
    n: Float[Array, "*triples"],
    pair: Float[Array, "*#triples"],
    num_states: Float[Array, ""] | float,
) -> tuple[Float[Array, "*triples"], Float[Array, "*triples"]]:
    """Return T(s'|s,a) and its variance T(1 − T)/(n(s,a) + αM) for pairs that were tried.

    `n` is n(s,a,s') and `num_states` M. `pair` is n(s,a), where 0 counts as 1: results are finite also where
    they are not used.
    """
    weight = jnp.maximum(pair, 1.0) + rule.smoothing * num_states
    p = (n + rule.smoothing) / weight
    # 1 − p from the counts, which are exact: near p = 1 the difference would be mostly rounding.
    others = (pair - n + rule.smoothing * (num_states - 1.0)) / weight
    return p, p * others / weight


def term(
    rule: Rule,
    p: Float[Array, "*triples"],
    p_variance: Float[Array, "*triples"],
    mean_reward: Float[Array, "*triples"],
    reward_variance: Float[Array, "*triples"],
    value: Float[Array, "*#triples"],
    value_variance: Float[Array, "*#triples"],
) -> Float[Array, "*triples"]:
    """Return T²X + (r̄ + γV)²E_T² + X E_T² with X = E_R² + γ²E_V², one successor's part of Var Q."""
    x = reward_variance + rule.discount**2 * value_variance
    return (p**2 + p_variance) * x + (mean_reward + rule.discount * value) ** 2 * p_variance


def of_others(
    rule: Rule,
    p: Float[Array, "*pairs"] | float,
    p_variance: Float[Array, "*pairs"] | float,
    number: Float[Array, "*#pairs"] | float,
    value_squares: Float[Array, "*#pairs"],
    value_variances: Float[Array, "*#pairs"],
) -> Float[Array, "*pairs"]:
    """Return Σ of `term` over successors never seen, r̄ = 0 and E_R = 1: of rank one.

    All have the same T and E_T²; given are their number, and Σ V² and Σ E_V² over them.
    """
    x = number + rule.discount**2 * value_variances
    return (p**2 + p_variance) * x + rule.discount**2 * value_squares * p_variance


def of_untried(
    rule: Rule,
    num_states: Float[Array, ""] | float,
    value_squares: Float[Array, ""],
    value_variances: Float[Array, ""],
    own_variance: Float[Array, "*#pairs"],
) -> Float[Array, "*#pairs"]:
    """Return Var Q of pairs never tried, one number if all have the same.

    Given are M, Σ V² and Σ E_V² over the states that count, and E_V² of the pair's own state.
    """
    stays = rule.untried == "stay"
    p = 0.0 if stays else 1.0 / num_states
    variance = of_others(rule, p, UNTRIED_VARIANCE, num_states, value_squares, value_variances)
    # T = 1 adds T²X of the pair's own state.
    return variance + 1.0 + rule.discount**2 * own_variance if stays else variance


def reward_variance(experience: Experience) -> Float[Array, "*triples"]:
    """Return E_R² = (mean of r² − r̄²)/(n − 1), or 1 if n ≤ 1."""
    n, spread = experience.counts, experience.spread
    assert spread is not None, "standard errors are asked for"
    return jnp.where(n > 1.0, spread / jnp.maximum(n * (n - 1.0), 1.0), 1.0)
