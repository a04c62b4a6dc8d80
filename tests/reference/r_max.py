"""R-max on a grid, in loops over float64 (design, section 5.5)."""

import numpy as np

STEPS = ((0, 0), (-1, 0), (0, 1), (1, 0), (0, -1))
"""Rows and columns that stay, north, east, south and west lead on."""


class RMax:
    """A plan to what is unknown on one grid.

    `grid` has the fields of `rl3_jax.grid.Grid`.
    """

    def __init__(self, grid, discount, sweeps):
        self.grid, self.discount, self.sweeps = grid, discount, sweeps
        self.size, self.actions = grid.rows * grid.columns, len(grid.moves)
        self.n = np.zeros((self.size, self.actions))
        self.paid = {}
        self.entered = set()
        self.blocked = dict.fromkeys(range(self.size), grid.blocked)
        self.q = np.zeros((self.size, self.actions))

    def neighbour(self, s, d):
        """The cell to which a displacement leads; None beyond the walls."""
        row, column = s // self.grid.columns + STEPS[d][0], s % self.grid.columns + STEPS[d][1]
        inside = 0 <= row < self.grid.rows and 0 <= column < self.grid.columns
        return row * self.grid.columns + column if inside else None

    def moves(self, s, a):
        """P(d|a) in a cell."""
        slippery = s in self.paid and self.paid[s][0] == self.grid.slippery
        return (self.grid.slippery_moves if slippery else self.grid.moves)[a]

    def belief(self, s, d):
        """b of the cell to which a displacement leads."""
        cell = self.neighbour(s, d)
        return 1.0 if cell is None else self.blocked[cell]

    def update(self, s, a, r, next_s, terminated):
        """Take in one step, then plan."""
        self.n[s, a] += 1
        self.entered.add(s)
        self.blocked[s] = 0.0
        if next_s == s:
            self.infer(s, a)
        self.entered.add(next_s)
        self.paid[next_s] = (r, terminated)
        self.blocked[next_s] = 0.0
        for _ in range(self.sweeps):
            self.q = np.array([[self.backup(s, a) for a in range(self.actions)] for s in range(self.size)])

    def infer(self, s, a):
        """Bayes' rule for each cell around, after an action that led nowhere."""
        moves = self.moves(s, a)
        after = {}
        for d in range(1, 5):
            cell = self.neighbour(s, d)
            if cell is None:
                continue
            others = moves[0] + sum(moves[e] * self.belief(s, e) for e in range(1, 5) if e != d)
            if_blocked, if_free = moves[d] + others, others
            b = self.blocked[cell]
            evidence = b * if_blocked + (1 - b) * if_free
            if evidence > 0:
                after[cell] = min(b * if_blocked / evidence, 0.99)
        self.blocked.update(after)

    def arriving(self, s):
        """X: what entering a cell pays, and what follows."""
        if s in self.paid:
            r, ends = self.paid[s]
        elif s in self.entered:
            r, ends = 0.0, False
        elif max(self.grid.largest_reward) in [reward for reward, _ in self.paid.values()]:
            r, ends = self.grid.usual_reward, False
        else:
            r, ends = self.grid.largest_reward[s], self.grid.ends[s]
        worth = r + (0.0 if ends else self.discount * self.q[s].max())
        risk = self.risk(s)
        return (1 - risk) * worth + risk * self.grid.danger

    def risk(self, s):
        """How likely a cell that was not entered is a danger."""
        around = [self.neighbour(s, d) for d in range(1, 5)]
        paid = [self.paid.get(cell, (0.0, False))[0] for cell in around if cell in self.entered]
        warned = any(r == self.grid.warning for r in paid)
        harmless = any(r > self.grid.warning for r in paid)
        return self.grid.risk if warned and not harmless and s not in self.entered else 0.0

    def staying(self, s):
        """W: what staying in a cell pays, and what follows."""
        return self.paid.get(s, (0.0, False))[0] + self.discount * self.q[s].max()

    def backup(self, s, a):
        """Q(s,a) from the last values."""
        expected = 0.0
        for d, p in enumerate(self.moves(s, a)):
            cell = self.neighbour(s, d)
            ahead = self.staying(s) if d == 0 or cell is None else self.arriving(cell)
            b = 0.0 if d == 0 else self.belief(s, d)
            expected += p * ((1 - b) * ahead + b * self.staying(s))
        return expected
