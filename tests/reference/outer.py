"""The outer RL, in loops over float64 (Schulman et al. 2016 and 2017; design, section 7)."""

import numpy as np
from scipy.stats import norm


def log_softmax(logits):
    """Log-probabilities along the last axis."""
    logits = np.asarray(logits, np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def entropy(logits):
    """−Σ π log π."""
    log_p = log_softmax(logits)
    return -(np.exp(log_p) * log_p).sum(-1)


def kl(logits, other):
    """Σ π (log π − log π')."""
    log_p = log_softmax(logits)
    return (np.exp(log_p) * (log_p - log_softmax(other))).sum(-1)


def gae(rewards, values, discount, gae_lambda):
    """A_t = Σ_k (γλ)^k δ_{t+k}: the sum itself, not the recursion. The end is terminal."""
    horizon = len(rewards)
    deltas = [
        rewards[t] + (discount * values[t + 1] if t + 1 < horizon else 0.0) - values[t]
        for t in range(horizon)
    ]
    return np.array(
        [
            sum((discount * gae_lambda) ** (k - t) * deltas[k] for k in range(t, horizon))
            for t in range(horizon)
        ]
    )


def remaining(horizon, discount):
    """Σ_{k < H − t} γ^k at each step t, term by term."""
    return np.array([sum(discount**k for k in range(horizon - t)) for t in range(horizon)])


def first_visits(states, next_states):
    """Whether each step entered a state in which the trial had not been before."""
    been, new = set(), []
    for state, next_state in zip(states, next_states, strict=True):
        been.add(state)
        new.append(next_state not in been)
        been.add(next_state)
    return np.array(new)


def schedule(initial, final, hold, progress):
    """The initial value up to progress `hold`, then linearly to the final one at 1, which stays."""
    if progress >= 1.0:
        return final
    if progress <= hold:
        return initial
    return initial + (final - initial) * (progress - hold) / (1.0 - hold)


def ppo_loss(logits, old_logits, actions, advantages, *, clip, entropy_bonus, normalise):
    """The clipped surrogate with its entropy bonus, term by term; arrays [B, H, …]."""
    advantages = np.asarray(advantages, np.float64)
    if normalise:
        advantages = (advantages - advantages.mean()) / advantages.std()
    log_p, old_log_p = log_softmax(logits), log_softmax(old_logits)
    terms, entropies, log_ratios = [], [], []
    for index in np.ndindex(actions.shape):
        log_ratio = log_p[index][actions[index]] - old_log_p[index][actions[index]]
        ratio = np.exp(log_ratio)
        clipped = min(max(ratio, 1 - clip), 1 + clip)
        terms.append(min(ratio * advantages[index], clipped * advantages[index]))
        entropies.append(entropy(logits[index]))
        log_ratios.append(abs(log_ratio))
    surrogate, mean_entropy = np.mean(terms), np.mean(entropies)
    return -surrogate - entropy_bonus * mean_entropy, -surrogate, mean_entropy, max(log_ratios)


class Adam:
    """Kingma and Ba 2015, algorithm 1, for one array; `l2` times the parameter joins the gradient."""

    def __init__(self, parameter, *, epsilon, l2=0.0):
        self.parameter = np.asarray(parameter, np.float64)
        self.m = np.zeros_like(self.parameter)
        self.v = np.zeros_like(self.parameter)
        self.epsilon, self.l2, self.t = epsilon, l2, 0

    def step(self, gradient, learning_rate):
        """One step; returns the parameter."""
        self.t += 1
        gradient = np.asarray(gradient, np.float64) + self.l2 * self.parameter
        self.parameter = self.parameter - learning_rate * self.direction(gradient)
        return self.parameter

    def direction(self, gradient):
        """The step at learning rate 1, given the gradient with its l2 term."""
        self.m = 0.9 * self.m + 0.1 * gradient
        return self.scaled(self.m / (1 - 0.9**self.t), gradient)

    def scaled(self, m_hat, gradient):
        """A first moment over the root of the second one, which the gradient joins."""
        self.v = 0.999 * self.v + 0.001 * gradient**2
        return m_hat / (np.sqrt(self.v / (1 - 0.999**self.t)) + self.epsilon)


class Muon(Adam):
    """Jordan et al. 2024 for one array, with Nesterov's momentum; a vector has Adam with it (Dozat 2016)."""

    def direction(self, gradient):
        """The step at learning rate 1, given the gradient with its l2 term."""
        matrix = self.parameter.ndim == 2
        beta = 0.95 if matrix else 0.9
        self.m = beta * self.m + (1 - beta) * gradient
        ahead = beta * self.m / (1 - beta ** (self.t + 1)) + (1 - beta) * gradient / (1 - beta**self.t)
        if matrix:
            return 0.2 * max(gradient.shape) ** 0.5 * self._orthogonal(ahead)
        return self.scaled(ahead, gradient)

    def _orthogonal(self, matrix):
        """Five Newton-Schulz steps, p(s) = 3.4445 s − 4.775 s³ + 2.0315 s⁵ of each singular value."""
        left, values, right = np.linalg.svd(matrix, full_matrices=False)
        values = values / (np.sqrt((values**2).sum()) + self.epsilon)
        for _ in range(5):
            values = 3.4445 * values - 4.775 * values**3 + 2.0315 * values**5
        return (left * values) @ right


def squashed_log_density(a, mean, std, low, high):
    """log density at a of c + w tanh(u), u ~ Normal(mean, std²), in one dimension, by change of variable."""
    half = (high - low) / 2
    x = (a - (low + high) / 2) / half
    return norm.logpdf(np.arctanh(x), mean, std) - np.log(half) - np.log1p(-(x**2))


def squashed_mean(function, mean, std, low, high, points=200_001):
    """E function(a) = ∫ function(a) density(a) da over ten standard deviations, by the trapezium rule."""
    u = np.linspace(mean - 10 * std, mean + 10 * std, points)
    # Near a bound 1 − tanh² is lost to rounding, so the edge of what float64 resolves is left out.
    a = (low + high) / 2 + (high - low) / 2 * np.tanh(u[np.abs(u) < 15])
    return np.trapezoid(function(a) * np.exp(squashed_log_density(a, mean, std, low, high)), a)
