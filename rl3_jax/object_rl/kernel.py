"""Kernel-based RL (Ormoneit and Sen 2002): planning on transitions that count for near states, too."""

import dataclasses
from typing import Annotated, ClassVar

import jax
import jax.numpy as jnp
from annotated_types import Ge, Lt
from flax import struct
from jaxtyping import Array, Float, Int

from rl3_jax.constraints import Count, Positive
from rl3_jax.object_rl.base import ActionValues, Learner, TableSpec, Transition, error_problems, size_problems
from rl3_jax.object_rl.features import FAR, Width, nearness, square_distance
from rl3_jax.platforms import look_up


@struct.dataclass
class KernelState:
    """The representatives met in a trial, and what is known of each.

    Attributes:
      places: [n, N] the vectors z; those not yet met are far from all others.
      num_met: [] how many were met.
      near: [N, N] k(z_i, z_j), 0 where one is not met.
      visits: [A, N] n(i,a), float32.
      reward_sum: [A, N] Σ r of these visits.
      successors: [K, N] representatives that followed one, whatever the action.
      num_listed: [N] how many of them there are.
      counts: [K, A, N] how often each followed, episodes that terminated left out.
      weight: [A, N] Σ_j k(z_i, z_j) n(j,a), the pseudo-counts of representatives.
      worth: [A, N] W(i,a), what all visits of i with a earned and led to, as last planned.
      value: [N] V(i) = max_a Q(z_i, a).
    """

    places: Float[Array, "n N"]
    num_met: Int[Array, ""]
    near: Float[Array, "N N"]
    visits: Float[Array, "A N"]
    reward_sum: Float[Array, "A N"]
    successors: Int[Array, "K N"]
    num_listed: Int[Array, " N"]
    counts: Float[Array, "K A N"]
    weight: Float[Array, "A N"]
    worth: Float[Array, "A N"]
    value: Float[Array, " N"]


@dataclasses.dataclass(frozen=True)
class Kernel(Learner):
    """A model of representative states, which lends what it knows of one to those near it.

    A vector met becomes a representative z_i if none is within `radius` and there is room, else it counts as
    the nearest. With k(x,z) = exp(−|x − z|²/(2 h²)) and W(i,a) = Σ r + γ Σ_j n(i,a,j) V(j), over the
    transitions that began at i with a, and did not terminate where a successor counts,

        Q(x,a) = Σ_i k(x,z_i) W(i,a) / (w + Σ_i k(x,z_i) n(i,a)),  V(i) = max_a Q(z_i,a).

    After each step V is swept from its last values: W from V, then V from W. The denominator, without w, is
    the pseudo-count of (x,a).

    Attributes:
      discount: γ.
      width: h, with coordinates scaled to [0, 1].
      radius: the distance at which a vector becomes a representative of its own, in units of h.
      max_states: N, representatives at the most.
      max_successors: K, of each; a further one counts as the nearest of these.
      sweeps: after each step.
      shrinkage: w, so many visits say beforehand that an action is worth 0.
    """

    learner: ClassVar[str] = "kernel"
    sees_vectors: ClassVar[bool] = True

    discount: Annotated[float, Ge(0), Lt(1)] = 0.95
    width: Width = 0.1
    radius: Positive = 0.5
    max_states: Count = 64
    max_successors: Count = 8
    sweeps: Count = 1
    shrinkage: Positive = 0.1

    def table_problems(self, spec: TableSpec) -> list[str]:
        """Return a message for each thing about such states that this learner cannot do."""
        return size_problems(self, spec, ", or a smaller learner.max_states") + error_problems(self, spec)

    def init(self, spec: TableSpec) -> KernelState:
        """Return the state of a learner that has seen nothing."""
        number = min(self.max_states, 2 * spec.horizon + 1)
        pairs = (spec.num_actions, number)
        return KernelState(
            places=jnp.full((len(spec.bounds), number), FAR),
            num_met=jnp.int32(0),
            near=jnp.zeros((number, number)),
            visits=jnp.zeros(pairs),
            reward_sum=jnp.zeros(pairs),
            successors=jnp.zeros((self.max_successors, number), jnp.int32),
            num_listed=jnp.zeros(number, jnp.int32),
            counts=jnp.zeros((self.max_successors, *pairs)),
            weight=jnp.zeros(pairs),
            worth=jnp.zeros(pairs),
            value=jnp.zeros(number),
        )

    def update(self, spec: TableSpec, state: KernelState, transition: Transition) -> KernelState:
        """Count the transition, then plan."""
        state, i = self.meet(state, transition.s)
        state, j = self.meet(state, transition.next_s)
        return self.plan(self.count(state, i, transition, j))

    def values(self, spec: TableSpec, state: KernelState, s: Float[Array, " n"]) -> ActionValues:
        """Return the current action values and pseudo-counts of a vector."""
        near = nearness(state.places, s, self.width)
        counts = state.visits @ near
        return ActionValues(state.worth @ near / (self.shrinkage + counts), counts)

    def meet(self, state: KernelState, x: Float[Array, " n"]) -> tuple[KernelState, Int[Array, ""]]:
        """Return the state after a vector is met, and its representative."""
        # The barrier keeps XLA from computing the distance twice, which might round in two ways.
        distance = jax.lax.optimization_barrier(square_distance(state.places, x))
        least, number = distance.min(), len(state.value)
        # On a CPU `argmin` takes several times as long as the two minima. No distance equals one that is NaN.
        nearest = jnp.where(distance == least, jnp.arange(number), number - 1).min()
        is_new = least > (self.radius * self.width) ** 2
        row = jnp.where(is_new, state.num_met, number)  # beyond the end nothing is written
        near = jnp.exp(distance * (-0.5 / self.width**2)).at[row].set(1.0, mode="drop")
        met = dataclasses.replace(
            state,
            places=state.places.at[:, row].set(x, mode="drop"),
            num_met=jnp.minimum(state.num_met + is_new, number),
            near=state.near.at[row].set(near, mode="drop").at[:, row].set(near, mode="drop"),
            weight=state.weight.at[:, row].set(state.visits @ near, mode="drop"),
        )
        return met, jnp.where(row < number, row, nearest)

    def count(
        self, state: KernelState, i: Int[Array, ""], transition: Transition, j: Int[Array, ""]
    ) -> KernelState:
        """Return the state after one more transition between representatives."""
        a, slots = transition.a, jnp.arange(len(state.successors))
        listed, has_room = state.successors[:, i], state.num_listed[i] < len(slots)
        known = slots < state.num_listed[i]
        # The nearest of those listed is the successor itself, if it is among them.
        distance = square_distance(state.places[:, listed], state.places[:, j])
        distance = jnp.where(known, distance, jnp.inf)
        is_new = has_room & (distance.min() > 0.0)
        slot = jnp.where(is_new, state.num_listed[i], distance.argmin())
        follows = 1.0 - transition.terminated
        return dataclasses.replace(
            state,
            visits=state.visits.at[a, i].add(1.0),
            reward_sum=state.reward_sum.at[a, i].add(transition.r),
            successors=state.successors.at[slot, i].set(jnp.where(is_new, j, listed[slot])),
            num_listed=state.num_listed.at[i].add(is_new),
            counts=state.counts.at[slot, a, i].add(follows),
            weight=state.weight.at[a].add(state.near[i]),
        )

    def plan(self, state: KernelState) -> KernelState:
        """Return the state after its sweeps."""

        def sweep(_, state: KernelState) -> KernelState:
            # One row per successor, so that each is gathered once and not once an action.
            led_to = (look_up(state.value, row) for row in state.successors)
            followed = sum(n * value for n, value in zip(state.counts, led_to, strict=True))
            worth = state.reward_sum + self.discount * followed
            q = worth @ state.near / (self.shrinkage + state.weight)
            return dataclasses.replace(state, worth=worth, value=q.max(0))

        return jax.lax.fori_loop(0, self.sweeps, sweep, state, unroll=self.sweeps <= 4)
