"""Learners that see vectors, slowly: written from the design's section 5.6."""

import itertools
import math

import numpy as np


def fourier(x, order):
    """Return cos(π c·x) for each c with at most two entries above 0, in the order of their places."""
    n, features = len(x), [1.0]
    for i in range(n):
        features += [math.cos(math.pi * c * x[i]) for c in range(1, order + 1)]
    if n > 1:
        for i, j in itertools.combinations(range(n), 2):
            for ci in range(1, order + 1):
                features += [math.cos(math.pi * (ci * x[i] + cj * x[j])) for cj in range(1, order + 1)]
    return np.array(features)


def kernel(x, z, width):
    return math.exp(-sum((a - b) ** 2 for a, b in zip(x, z, strict=True)) / (2 * width**2))


class Linear:
    def __init__(self, num_actions, discount=0.95, order=2, width=0.1):
        self.num_actions, self.discount, self.order, self.width = num_actions, discount, order, width
        self.visits, self.least, self.most, self.weights = [], 0.0, 0.0, None

    def features(self, x):
        phi = fourier(x, self.order)
        if self.weights is None:
            self.weights = np.zeros((self.num_actions, len(phi)))
        return phi

    def q(self, x):
        phi, longest = self.features(x), 1 / (1 - self.discount)
        return np.array([min(max(w @ phi, self.least * longest), self.most * longest) for w in self.weights])

    def greedy(self, phi):
        # Ties to the first action; rounded, as solving leaves 1e-16 where exact arithmetic has 0.
        return np.round(self.weights @ phi, 9).argmax()

    def meet(self, x, a, r):
        self.visits.append((x, a))
        self.least, self.most = min(self.least, r), max(self.most, r)

    def values(self, x):
        counts = np.zeros(self.num_actions)
        for z, a in self.visits:
            counts[a] += kernel(x, z, self.width)
        return self.q(x), counts


class LinearQ(Linear):
    def __init__(self, num_actions, trace_decay=0.8, step_size=0.5, **fields):
        super().__init__(num_actions, **fields)
        self.decay, self.step_size, self.trace = trace_decay, step_size, None

    def update(self, x, a, r, next_x, terminated, truncated):
        self.meet(x, a, r)
        phi, next_phi = self.features(x), self.features(next_x)
        if self.trace is None:
            self.trace = np.zeros_like(self.weights)
        q, best = self.weights @ phi, self.greedy(next_phi)
        follows = 0.0 if terminated else self.discount
        error = r + follows * self.q(next_x)[best] - q[a]
        self.trace *= self.discount * self.decay if q[a] == q.max() else 0.0
        self.trace[a] += phi
        moved = follows * self.trace[best] @ next_phi - self.trace[a] @ phi
        self.step_size = min(self.step_size, 1 / abs(moved)) if moved else self.step_size
        self.weights += self.step_size * error * self.trace
        if terminated or truncated:
            self.trace[:] = 0.0


class LeastSquaresQ(Linear):
    """Solves its equations anew after each step, instead of changing an inverse."""

    def __init__(self, num_actions, ridge=1.0, smallest=0.1, **fields):
        super().__init__(num_actions, **fields)
        self.ridge, self.smallest, self.matrix, self.right = ridge, smallest, None, None

    def block(self, a, phi):
        found = np.zeros((self.num_actions, len(phi)))
        found[a] = phi
        return found.ravel()

    def update(self, x, a, r, next_x, terminated, truncated):
        self.meet(x, a, r)
        u = self.block(a, self.features(x))
        if self.matrix is None:
            self.matrix, self.right = self.ridge * np.eye(len(u)), np.zeros(len(u))
        v = u.copy()
        if not terminated:
            next_phi = self.features(next_x)
            v -= self.discount * self.block(self.greedy(next_phi), next_phi)
        # det(M + u vᵀ) = det(M) (1 + vᵀ M⁻¹ u)
        if 1 + v @ np.linalg.solve(self.matrix, u) >= self.smallest:
            self.matrix += np.outer(u, v)
            self.right += r * u
            self.weights = np.linalg.solve(self.matrix, self.right).reshape(self.weights.shape)


class DeepQ(Linear):
    """Backpropagation and Adam by hand, from first weights and draws that it is given."""

    def __init__(self, num_actions, first, draws, rate=3e-3, target_rate=0.05, **fields):
        super().__init__(num_actions, **fields)
        self.network, self.target = ([(w.copy(), b.copy()) for w, b in first] for _ in range(2))
        self.moments = [[(np.zeros_like(w), np.zeros_like(b)) for w, b in first] for _ in range(2)]
        self.draws, self.rate, self.target_rate, self.updates, self.steps = draws, rate, target_rate, 0, []

    def values(self, x):
        counts = np.zeros(self.num_actions)
        for z, a, *_ in self.steps:
            counts[a] += kernel(x, z, self.width)
        return self.outputs(self.network, x)[-1], counts

    def outputs(self, network, x):
        found = [x]
        for layer, (w, b) in enumerate(network):
            x = x @ w + b if layer == 2 else np.maximum(x @ w + b, 0.0)
            found.append(x)
        return found

    def update(self, x, a, r, next_x, terminated, truncated):
        self.steps.append((x, a, r, next_x, 0.0 if terminated else self.discount))
        for draws in self.draws[len(self.steps) - 1]:
            chosen = [self.steps[int(u * len(self.steps))] for u in draws]
            gradient = [[np.zeros_like(w), np.zeros_like(b)] for w, b in self.network]
            for z, action, reward, next_z, follows in chosen:
                seen = self.outputs(self.network, z)
                goal = reward + follows * self.outputs(self.target, next_z)[-1].max()
                back = np.zeros(self.num_actions)
                back[action] = (seen[-1][action] - goal) / len(chosen)
                for layer in (2, 1, 0):
                    gradient[layer][0] += np.outer(seen[layer], back)
                    gradient[layer][1] += back
                    back = (self.network[layer][0] @ back) * (seen[layer] > 0.0)
            self.follow(gradient)

    def follow(self, gradient):
        self.updates += 1
        for layer in range(3):
            changed, slow = [], []
            for part in range(2):
                m, v, g = self.moments[0][layer][part], self.moments[1][layer][part], gradient[layer][part]
                m += 0.1 * (g - m)
                v += 0.001 * (g**2 - v)
                step = (m / (1 - 0.9**self.updates)) / (np.sqrt(v / (1 - 0.999**self.updates)) + 1e-8)
                changed.append(self.network[layer][part] - self.rate * step)
                old = self.target[layer][part]
                slow.append(old + self.target_rate * (changed[-1] - old))
            self.network[layer], self.target[layer] = tuple(changed), tuple(slow)


class Kernel:
    def __init__(self, num_actions, discount=0.95, width=0.1, radius=0.5, room=(64, 8), sweeps=1, prior=0.1):
        self.num_actions, self.discount, self.width, self.prior = num_actions, discount, width, prior
        self.radius, self.sweeps, (self.states, self.successors) = radius * width, sweeps, room
        self.places, self.value, self.listed, self.transitions = [], [], [], []

    def meet(self, x):
        distances = [math.dist(x, z) for z in self.places]
        if len(self.places) < self.states and all(d > self.radius for d in distances):
            self.places.append(x)
            self.value.append(0.0)
            self.listed.append([])
            return len(self.places) - 1
        return int(np.argmin(distances))

    def update(self, x, a, r, next_x, terminated, truncated):
        i = self.meet(x)
        j = self.meet(next_x)
        if j not in self.listed[i]:
            if len(self.listed[i]) < self.successors:
                self.listed[i].append(j)
            else:
                j = min(self.listed[i], key=lambda k: math.dist(self.places[k], self.places[j]))
        self.transitions.append((i, a, r, None if terminated else j))
        for _ in range(self.sweeps):
            self.planned_on = self.value
            self.value = [self.values(z)[0].max() for z in self.places]

    def values(self, x):
        worth, counts = np.zeros(self.num_actions), np.zeros(self.num_actions)
        for i, a, r, j in self.transitions:
            near = kernel(x, self.places[i], self.width)
            counts[a] += near
            worth[a] += near * (r + (0.0 if j is None else self.discount * self.planned_on[j]))
        return worth / (self.prior + counts), counts
