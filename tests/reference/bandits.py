"""Exact dynamic programming for Bernoulli bandits with U(0, 1) priors, slow and from the definitions."""

import functools

import numpy as np
from scipy import special


def gittins_index(wins, pulls, steps_left):
    """Return max_τ E[Σ rewards until τ]/E[τ] over stopping times 1 ≤ τ ≤ m, by bisection of λ.

    λ is below it if and only if some τ has E[Σ (reward − λ) until τ] > 0.
    """

    def worth(cost):
        """The largest E[Σ (reward − λ)]: the first pull must be made, the others are a choice."""
        later = np.zeros(steps_left + 1)
        for made in reversed(range(steps_left)):
            more = np.arange(made + 1)
            p = (1 + wins + more) / (2 + pulls + made)
            pull = p - cost + p * later[1 : made + 2] + (1 - p) * later[: made + 1]
            later = np.maximum(pull, 0.0)
        return pull[0]

    return largest_cost(worth)


def discounted_index(wins, pulls, discount, num_pulls):
    """Return max_τ E[Σ_{t<τ} γ^t reward_t]/E[Σ_{t<τ} γ^t], by bisection of λ.

    After N pulls the arm is known: it pays its posterior mean for ever, or is left for good.
    """

    def worth(cost):
        """The largest E[Σ γ^t (reward_t − λ)]: the first pull must be made, the others are a choice."""
        left = num_pulls - pulls
        mean = (1 + wins + np.arange(left + 1)) / (2 + num_pulls)
        later = np.maximum(mean - cost, 0.0) / (1.0 - discount)
        for made in reversed(range(left)):
            p = (1 + wins + np.arange(made + 1)) / (2 + pulls + made)
            pull = p - cost + discount * (p * later[1:] + (1 - p) * later[:-1])
            later = np.maximum(pull, 0.0)
        return pull[0]

    return largest_cost(worth)


def largest_cost(worth):
    """Return the cost between 0 and 1 at which a falling worth is 0."""
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if worth(middle) > 0.0 else (low, middle)
    return low


def policy_value(num_arms, horizon, choose):
    """Return the expected return of a policy over tasks drawn from the prior.

    Args:
      num_arms: number of arms.
      horizon: trial length.
      choose: (arms, m) → arm, where arms is a tuple of (wins, losses), in an order of our choice, and m the
        steps to go.
    """

    @functools.cache
    def value(arms, steps_left):
        if steps_left == 0:
            return 0.0
        return _pull(value, arms, steps_left, choose(arms, steps_left))

    return value(((0, 0),) * num_arms, horizon)


def bayes_optimal_value(num_arms, horizon):
    """Return the largest expected return that any policy reaches over tasks drawn from the prior."""

    @functools.cache
    def value(arms, steps_left):
        if steps_left == 0:
            return 0.0
        different = {state: arm for arm, state in enumerate(arms)}
        return max(_pull(value, arms, steps_left, arm) for arm in different.values())

    return value(((0, 0),) * num_arms, horizon)


def _pull(value, arms, steps_left, arm):
    """Return the expected return from here on if this arm is pulled. Arms are kept sorted: they are alike."""
    wins, losses = arms[arm]
    p = (1 + wins) / (2 + wins + losses)
    others = arms[:arm] + arms[arm + 1 :]
    won = tuple(sorted((*others, (wins + 1, losses))))
    lost = tuple(sorted((*others, (wins, losses + 1))))
    return p * (1.0 + value(won, steps_left - 1)) + (1.0 - p) * value(lost, steps_left - 1)


def beta_log_density(probabilities, wins, losses):
    """Return Σ_a log of the density of Beta(α, β) at p(a)."""
    terms = [
        (alpha - 1) * np.log(p) + (beta - 1) * np.log(1 - p) - special.betaln(alpha, beta)
        for p, alpha, beta in zip(probabilities, wins, losses, strict=True)
    ]
    return sum(terms)
