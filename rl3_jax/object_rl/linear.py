"""Learners whose action values are linear in features of a vector (design, section 5.6)."""

import dataclasses
from typing import Annotated, ClassVar

import jax.numpy as jnp
from annotated_types import Ge, Lt
from flax import struct
from jaxtyping import Array, Float

from rl3_jax.constraints import Count, Fraction, Positive
from rl3_jax.object_rl.base import ActionValues, Learner, TableSpec, Transition, error_problems, size_problems
from rl3_jax.object_rl.features import Visits, Width, fourier, num_features

SMALLEST = 0.1
"""Divisor below which least squares leave a step out: off-policy the matrix need not be positive definite."""


@struct.dataclass
class Known:
    """What both learners keep of a trial.

    Attributes:
      weights: [A, F] w_a, so that Q(x,a) = w_a · φ(x).
      visits: where it has been.
      least: [] the smallest reward seen, at most 0.
      most: [] the largest, at least 0.
    """

    weights: Float[Array, "A F"]
    visits: Visits
    least: Float[Array, ""]
    most: Float[Array, ""]


@dataclasses.dataclass(frozen=True)
class Linear(Learner):
    """Q(x,a) = w_a · φ(x), with the Fourier basis of vectors within [0, 1]^n.

    Values are kept between the smallest and the largest return that rewards seen so far allow,
    `least`/(1 − γ) and `most`/(1 − γ). Counts are pseudo-counts: each visit counts as much as it is near.

    Attributes:
      discount: γ.
      order: the largest frequency of a feature along a coordinate; F grows with its square.
      count_width: h, the distance, with coordinates scaled to [0, 1], at which a visit counts 0.61.
    """

    sees_vectors: ClassVar[bool] = True

    discount: Annotated[float, Ge(0), Lt(1)] = 0.95
    order: Count = 2
    count_width: Width = 0.1

    def table_problems(self, spec: TableSpec) -> list[str]:
        """Return a message for each thing about such states that this learner cannot do."""
        return size_problems(self, spec, ", or a smaller learner.order") + error_problems(self, spec)

    def features(self, x: Float[Array, " n"]) -> Float[Array, " F"]:
        """Return φ(x)."""
        return fourier(x, self.order)

    def known(self, spec: TableSpec) -> Known:
        """Return what is known before any step."""
        num_coordinates = len(spec.bounds)
        return Known(
            weights=jnp.zeros((spec.num_actions, num_features(num_coordinates, self.order))),
            visits=Visits.none(spec.horizon, num_coordinates),
            least=jnp.float32(0.0),
            most=jnp.float32(0.0),
        )

    def meet(self, known: Known, transition: Transition) -> Known:
        """Return what is known after a transition, but for the weights."""
        return Known(
            weights=known.weights,
            visits=known.visits.after(transition.s, transition.a),
            least=jnp.minimum(known.least, transition.r),
            most=jnp.maximum(known.most, transition.r),
        )

    def q(self, known: Known, phi: Float[Array, " F"]) -> Float[Array, " A"]:
        """Return Q(x, ·) within its bounds."""
        longest = 1.0 / (1.0 - self.discount)
        return jnp.clip(known.weights @ phi, known.least * longest, known.most * longest)

    def shown(self, spec: TableSpec, known: Known, x: Float[Array, " n"]) -> ActionValues:
        """Return values and pseudo-counts of a vector."""
        counts = known.visits.counts(x, self.count_width, spec.num_actions)
        return ActionValues(self.q(known, self.features(x)), counts)


@struct.dataclass
class TraceState:
    """A gradient learner: what it knows, its eligibility traces, and the step size that they allow.

    Attributes:
      known: weights and visits.
      trace: [A, F] e, of the current episode.
      step_size: [] η.
    """

    known: Known
    trace: Float[Array, "A F"]
    step_size: Float[Array, ""]


@dataclasses.dataclass(frozen=True)
class LinearQ(Linear):
    """Semi-gradient Q(λ) with Watkins's traces (Sutton and Barto 2018, section 12.10).

    After each step, with δ = r + γ max_a' Q(x',a') − w_a · φ(x): e ← γλ e, or 0 if a was not greedy;
    e_a += φ(x); η ← min(η, 1/abs(Σ e ∘ (γ φ(x') − φ(x)))), so that no step overshoots (Dabney and Barto
    2012); w ← w + η δ e. An episode's end clears e, and one that terminated does not bootstrap.

    Attributes:
      trace_decay: λ.
      step_size: η at first.
    """

    learner: ClassVar[str] = "linear-q"

    trace_decay: Fraction = 0.8
    step_size: Positive = 0.5

    def init(self, spec: TableSpec) -> TraceState:
        """Return the state of a learner that has seen nothing."""
        known = self.known(spec)
        return TraceState(known, jnp.zeros_like(known.weights), jnp.float32(self.step_size))

    def update(self, spec: TableSpec, state: TraceState, transition: Transition) -> TraceState:
        """Return the state after one more transition."""
        known, a = self.meet(state.known, transition), transition.a
        phi, next_phi = self.features(transition.s), self.features(transition.next_s)
        q, best = known.weights @ phi, (known.weights @ next_phi).argmax()
        follows = jnp.where(transition.terminated, 0.0, self.discount)
        error = transition.r + follows * self.q(known, next_phi)[best] - q[a]
        kept = jnp.where(q[a] >= q.max(), self.discount * self.trace_decay, 0.0)
        trace = (kept * state.trace).at[a].add(phi)
        moved = trace[best] @ (follows * next_phi) - trace[a] @ phi
        step_size = jnp.minimum(state.step_size, 1.0 / jnp.maximum(jnp.abs(moved), 1e-6))
        known = dataclasses.replace(known, weights=known.weights + step_size * error * trace)
        ended = transition.terminated | transition.truncated
        return TraceState(known, jnp.where(ended, 0.0, trace), step_size)

    def values(self, spec: TableSpec, state: TraceState, s: Float[Array, " n"]) -> ActionValues:
        """Return the current action values and pseudo-counts of a vector."""
        return self.shown(spec, state.known, s)


@struct.dataclass
class LeastSquaresState:
    """What a learner by least squares knows, and the inverse of its matrix.

    Attributes:
      known: weights and visits.
      inverse: [A, F, A, F] B = (ridge I + Σ u vᵀ)^−1, rows and columns counted by action and feature.
    """

    known: Known
    inverse: Float[Array, "A F A F"]


@dataclasses.dataclass(frozen=True)
class LeastSquaresQ(Linear):
    """LSTD-Q, recursively, for the greedy policy of the moment (Lagoudakis and Parr 2003).

    Let ψ(x,a) be the features of x in the block of action a, u = ψ(x,a), and v = u − γ ψ(x', a') with
    a' = argmax Q(x',·), or v = u where an episode terminated. Weights solve (ridge I + Σ u vᵀ) w = Σ u r. A
    step changes w, and B = (ridge I + Σ u vᵀ)^−1, by g = B u / (1 + v·B u): w += g (r − v·w), B −= g (vᵀB)
    (Sherman and Morrison). A step whose divisor is below `SMALLEST` is left out. The greedy actions of
    earlier steps stay as they were (Buşoniu et al. 2010).

    Attributes:
      ridge: keeps weights small while little is known.
    """

    learner: ClassVar[str] = "lstd-q"

    ridge: Positive = 1.0

    def init(self, spec: TableSpec) -> LeastSquaresState:
        """Return the state of a learner that has seen nothing."""
        known = self.known(spec)
        size, shape = known.weights.size, known.weights.shape
        return LeastSquaresState(known, (jnp.eye(size) / self.ridge).reshape(*shape, *shape))

    def update(self, spec: TableSpec, state: LeastSquaresState, transition: Transition) -> LeastSquaresState:
        """Return the state after one more transition."""
        known, inverse, a = self.meet(state.known, transition), state.inverse, transition.a
        phi, next_phi = self.features(transition.s), self.features(transition.next_s)
        best = (known.weights @ next_phi).argmax()
        next_phi = jnp.where(transition.terminated, 0.0, self.discount) * next_phi
        column = jnp.einsum("bgf,f->bg", inverse[:, :, a], phi)
        row = jnp.einsum("f,fbg->bg", phi, inverse[a]) - jnp.einsum("f,fbg->bg", next_phi, inverse[best])
        divisor = 1.0 + column[a] @ phi - column[best] @ next_phi
        gain = jnp.where(divisor >= SMALLEST, column / divisor, 0.0)
        error = transition.r + known.weights[best] @ next_phi - known.weights[a] @ phi
        known = dataclasses.replace(known, weights=known.weights + gain * error)
        return LeastSquaresState(known, inverse - gain[:, :, None, None] * row)

    def values(self, spec: TableSpec, state: LeastSquaresState, s: Float[Array, " n"]) -> ActionValues:
        """Return the current action values and pseudo-counts of a vector."""
        return self.shown(spec, state.known, s)
