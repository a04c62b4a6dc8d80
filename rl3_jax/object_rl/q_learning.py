"""Tabular Q-learning as object-level RL (design, section 5.2; Watkins and Dayan 1992)."""

import dataclasses
from typing import Annotated, Any, ClassVar

import jax.numpy as jnp
from annotated_types import Ge, Le
from flax import struct
from jaxtyping import Array, Float, Int

from rl3_jax.constraints import Fraction, NonNegative
from rl3_jax.object_rl.base import ActionValues, Learner, TableSpec, Transition, error_problems, size_problems


@struct.dataclass
class QLearningState:
    """The table of a Q-learner.

    Attributes:
      q: [S, A] action values.
      counts: [S, A] visits of each pair, float32.
    """

    q: Float[Array, "S A"]
    counts: Float[Array, "S A"]


@dataclasses.dataclass(frozen=True)
class QLearning(Learner):
    """One off-policy update a step.

    A truncated episode bootstraps from s', a terminated one does not.

    Attributes:
      discount: γ.
      step_size: η; 0 stands for n(s,a)^−ω.
      step_exponent: ω.
      initial_value: value of pairs never tried; above the true values it is optimistic.
    """

    learner: ClassVar[str] = "q-learning"

    discount: Fraction = 0.95
    step_size: Annotated[float, Ge(0), Le(1), "0 for n^−ω"] = 0.0
    step_exponent: NonNegative = 0.8
    initial_value: float = 0.0

    def table_problems(self, spec: TableSpec) -> list[str]:
        """Return a message for each thing about such a table that this learner cannot do."""
        return size_problems(self, spec, "") + error_problems(self, spec)

    def init(self, spec: TableSpec) -> Any:
        """Return the table (`QLearningState`) before any experience."""
        pairs = (spec.num_states, spec.num_actions)
        return QLearningState(q=jnp.full(pairs, self.initial_value), counts=jnp.zeros(pairs))

    def update(self, spec: TableSpec, state: Any, transition: Transition) -> Any:
        """Count the transition, then learn from it."""
        counts = state.counts.at[transition.s, transition.a].add(1.0)
        return self.learn(QLearningState(q=state.q, counts=counts), transition)

    def learn(self, table: QLearningState, transition: Transition) -> QLearningState:
        """Return the table after Q(s,a) ← Q(s,a) + η (r + γ max_a' Q(s',a') − Q(s,a)); counts stay."""
        s, a = transition.s, transition.a
        eta = self.step_size or table.counts[s, a] ** -self.step_exponent
        bootstrap = jnp.where(transition.terminated, 0.0, table.q[transition.next_s].max())
        error = transition.r + self.discount * bootstrap - table.q[s, a]
        return QLearningState(q=table.q.at[s, a].add(eta * error), counts=table.counts)

    def values(self, spec: TableSpec, state: Any, s: Int[Array, ""]) -> ActionValues:
        """Return the current action values and visit counts of state `s`."""
        return ActionValues(q=state.q[s], counts=state.counts[s])
