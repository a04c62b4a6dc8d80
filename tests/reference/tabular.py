"""The RL inside a trial, in loops over float64 (design, section 5)."""

import numpy as np


class Model:
    """A smoothed maximum-likelihood model of a task with S states and A actions, or one with a prior.

    `counting` are the states that count as successors: all, or those met so far where `discovered`.
    A pair never tried leads to each of them alike, or to its own state where it is `untried="stay"`.
    `prior` is m and w: each reward counts by how far it is above m, and with w > 0 a pair pays the
    posterior's mean.
    """

    def __init__(
        self, num_states, num_actions, smoothing, discovered=False, untried="uniform", prior=(0.0, 0.0)
    ):
        self.smoothing = smoothing
        self.untried = untried
        self.prior_reward, self.prior_count = prior
        self.counting = np.full(num_states, not discovered)
        self.n = np.zeros((num_states, num_actions, num_states))
        self.rewards = {}
        self.absorbing = np.zeros(num_states, bool)

    def add(self, s, a, r, next_s, terminated):
        """Count one transition."""
        self.n[s, a, next_s] += 1
        self.rewards.setdefault((s, a, next_s), []).append(r - self.prior_reward)
        self.counting[[s, next_s]] = True
        if terminated:
            self.absorbing[next_s] = True

    def probability(self, s, a, next_s):
        """T(s'|s,a)."""
        if self.untried == "stay" and self.n[s, a].sum() == 0:
            return float(s == next_s)
        if not self.counting[next_s]:
            return 0.0
        num_states = self.counting.sum()
        pair = self.n[s, a].sum()
        if pair == 0:
            return 1 / num_states
        return (self.n[s, a, next_s] + self.smoothing) / (pair + self.smoothing * num_states)

    def mean_reward(self, s, a, next_s):
        """r̄(s,a,s'), or with a prior what the pair pays, whatever follows."""
        if self.prior_count:
            of_pair = [sum(self.rewards.get((s, a, then), [])) for then in range(len(self.n))]
            return sum(of_pair) / (self.n[s, a].sum() + self.prior_count)
        seen = self.rewards.get((s, a, next_s))
        return np.mean(seen) if seen else 0.0

    def tables(self):
        """T and r̄ as arrays [S, A, S]."""
        t = np.zeros(self.n.shape)
        r = np.zeros(self.n.shape)
        for triple in np.ndindex(self.n.shape):
            t[triple] = self.probability(*triple)
            r[triple] = self.mean_reward(*triple)
        return t, r


def value_iteration(model, discount, tolerance, max_sweeps, q):
    """Return Q, and how near the stop rule came to the other decision (float32 may decide otherwise)."""
    t, r = model.tables()
    margin = np.inf
    for _ in range(max_sweeps):
        v = q.max(axis=1)
        v[model.absorbing] = 0.0
        new_q = (t * (r + discount * v)).sum(axis=2)
        change = np.abs(new_q - q).max()
        q = new_q
        if tolerance:
            margin = min(margin, abs(change - tolerance))
            if change < tolerance:
                break
    return q, margin


class ModelBased:
    """The model and its plan after each step; `warm` plans from the last values."""

    def __init__(
        self, num_states, num_actions, *, discount, tolerance, max_sweeps, warm=False, **model_options
    ):
        self.model = Model(num_states, num_actions, **model_options)
        self.rule = (discount, tolerance, max_sweeps)
        self.warm = warm
        self.q = np.zeros((num_states, num_actions))
        self.margin = np.inf

    def update(self, s, a, r, next_s, terminated):
        """Count one transition and plan."""
        self.model.add(s, a, r, next_s, terminated)
        start = self.q if self.warm else np.zeros_like(self.q)
        self.q, margin = value_iteration(self.model, *self.rule, start)
        self.margin = min(self.margin, margin)

    def values(self, s):
        """Q(s, ·) and n(s, ·)."""
        return self.q[s], self.model.n[s].sum(axis=1)


class BanditModel:
    """The closed form for bandits; `prior` is m and w."""

    def __init__(self, num_actions, *, smoothing, prior=(0.0, 0.0)):
        self.smoothing = smoothing
        self.prior_reward, self.prior_count = prior
        self.rewards = [[] for _ in range(num_actions)]
        self.margin = np.inf

    def update(self, s, a, r, next_s, terminated):
        """Remember the reward of an arm."""
        self.rewards[a].append(r)

    def values(self, s):
        """Q(a) = r̄(a)(n(a) + α)/(n(a) + 2α) for arms pulled, 0 for the rest; and n(a).

        With w > 0 the posterior's mean less m, Σ (r − m)/(n(a) + w).
        """
        n = np.array([len(seen) for seen in self.rewards], float)
        q = np.zeros(len(n))
        for a in np.flatnonzero(n):
            above = np.array(self.rewards[a]) - self.prior_reward
            if self.prior_count:
                q[a] = above.sum() / (n[a] + self.prior_count)
            else:
                q[a] = above.mean() * (n[a] + self.smoothing) / (n[a] + 2 * self.smoothing)
        return q, n


class QLearning:
    """Off-policy tabular Q-learning; step size n(s,a)^−ω unless constant."""

    def __init__(self, num_states, num_actions, *, discount, omega=0.8, constant=None, initial=0.0):
        self.discount, self.omega, self.constant = discount, omega, constant
        self.q = np.full((num_states, num_actions), float(initial))
        self.n = np.zeros((num_states, num_actions))
        self.margin = np.inf

    def update(self, s, a, r, next_s, terminated):
        """Count a pair and update it."""
        self.n[s, a] += 1
        self.learn(s, a, r, next_s, terminated)

    def learn(self, s, a, r, next_s, terminated):
        """Update one pair; only termination stops the bootstrap."""
        step_size = self.constant if self.constant is not None else self.n[s, a] ** -self.omega
        target = r if terminated else r + self.discount * self.q[next_s].max()
        self.q[s, a] = (1 - step_size) * self.q[s, a] + step_size * target

    def values(self, s):
        """Q(s, ·) and n(s, ·)."""
        return self.q[s], self.n[s]


class DynaQ(QLearning):
    """Q-learning with updates from the pairs tried; `draws` gives a step's numbers [m, 2] that choose.

    Successors are ordered by state, or as they were met after their state where `listed`.
    """

    def __init__(self, num_states, num_actions, *, draws, listed, **options):
        super().__init__(num_states, num_actions, **options)
        self.draws, self.listed = draws, listed
        self.model = Model(num_states, num_actions, smoothing=0.0)
        self.tried, self.met_after, self.steps = [], [[] for _ in range(num_states)], 0

    def update(self, s, a, r, next_s, terminated):
        """Learn from a transition, then from the model."""
        super().update(s, a, r, next_s, terminated)
        self.model.add(s, a, r, next_s, terminated)
        if (s, a) not in self.tried:
            self.tried.append((s, a))
        if next_s not in self.met_after[s]:
            self.met_after[s].append(next_s)
        for which_pair, which_successor in np.asarray(self.draws(self.steps), float):
            pair = self.tried[int(which_pair * len(self.tried))]
            successor = self.successor(pair, which_successor)
            mean = self.model.mean_reward(*pair, successor)
            self.learn(*pair, mean, successor, self.model.absorbing[successor])
        self.steps += 1

    def successor(self, pair, draw):
        """Draw s' in proportion to n(s,a,s')."""
        n = self.model.n[pair]
        order = self.met_after[pair[0]] if self.listed else range(len(n))
        seen = np.repeat(order, n[order].astype(int))
        return seen[int(draw * len(seen))]


def optimal_q(transition, reward, discount):
    """The fixed point of Q = R + γ T max Q of a known MDP, by policy iteration."""
    num_states = len(reward)
    policy = np.zeros(num_states, int)
    while True:
        rows = np.arange(num_states), policy
        value = np.linalg.solve(np.eye(num_states) - discount * transition[rows], reward[rows])
        q = reward + discount * transition @ value
        better = q.argmax(axis=1)
        if (q[np.arange(num_states), better] <= q[rows] + 1e-12).all():
            return q
        policy = better
