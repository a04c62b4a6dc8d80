"""Standard errors of Q, in loops over float64 (design, section 5.3)."""

import numpy as np

from tests.reference import tabular


def reward_error(rewards):
    """E_R of one triple, given all its rewards."""
    n = len(rewards)
    if n <= 1:
        return 1.0
    rewards = np.array(rewards)
    return np.sqrt(max((rewards**2).mean() - rewards.mean() ** 2, 0.0) / (n - 1))


def transition_error(model, s, a, next_s):
    """E_T of one triple."""
    if not model.counting[next_s]:
        return 0.0
    pair = model.n[s, a].sum()
    if pair == 0:
        return np.sqrt(1 / 12)
    p = model.probability(s, a, next_s)
    return np.sqrt(p * (1 - p) / (pair + model.smoothing * model.counting.sum()))


class ModelBased(tabular.ModelBased):
    """Plans E_Q from zero along with Q; `values` gives it besides."""

    def update(self, s, a, r, next_s, terminated):
        """Count one transition and plan both."""
        self.model.add(s, a, r, next_s, terminated)
        q = self.q if self.warm else np.zeros_like(self.q)
        t, mean = self.model.tables()
        e_t, e_r = np.zeros_like(t), np.zeros_like(t)
        for triple in np.ndindex(t.shape):
            e_t[triple] = transition_error(self.model, *triple)
            e_r[triple] = reward_error(self.model.rewards.get(triple, []))
        discount, tolerance, max_sweeps = self.rule
        e_q = np.zeros_like(q)
        for _ in range(max_sweeps):
            self.note_ties(q, e_q)
            greedy = np.arange(len(q)), q.argmax(axis=1)
            live = ~self.model.absorbing
            v, e_v = q[greedy] * live, e_q[greedy] * live
            x = e_r**2 + discount**2 * e_v**2
            e_q = np.sqrt((t**2 * x + (mean + discount * v) ** 2 * e_t**2 + x * e_t**2).sum(axis=2))
            new_q = (t * (mean + discount * v)).sum(axis=2)
            change = np.abs(new_q - q).max()
            q = new_q
            if tolerance:
                self.margin = min(self.margin, abs(change - tolerance))
                if change < tolerance:
                    break
        self.q, self.e_q = q, e_q

    def note_ties(self, q, e_q):
        """Note how near rounding comes to choosing another greedy action, where that matters."""
        for row, errors in zip(q, e_q, strict=True):
            best = row.argmax()
            for other in range(len(row)):
                if other != best and abs(errors[other] - errors[best]) > 1e-9 and row.any():
                    self.margin = min(self.margin, row[best] - row[other])

    def values(self, s):
        """Q(s, ·), n(s, ·) and E_Q(s, ·)."""
        return (*super().values(s), self.e_q[s])
