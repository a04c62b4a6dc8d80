"""Object-level RL as the trial calls it: a learner behind a state abstraction, or none."""

import dataclasses
from typing import Any

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Int

from rl3_jax.object_rl import (
    Abstraction,
    ActionValues,
    Identity,
    Learner,
    StateSpace,
    TableSpec,
    Transition,
)
from rl3_jax.tasks import ConcreteState, Step


@struct.dataclass
class ObjectRLState:
    """What object-level RL keeps of one trial.

    Attributes:
      abstraction: memory of the state abstraction.
      learner: state of the learner.
    """

    abstraction: Any
    learner: Any


@dataclasses.dataclass(frozen=True)
class ObjectRL:
    """A learner and the state abstraction before it, for one task; callers `vmap`.

    Attributes:
      learner: the ordinary RL algorithm.
      abstraction: what the learner takes for a state.
      space: the concrete states.
      concrete_table: the sizes of the table in which each concrete state has a row.
    """

    learner: Learner
    abstraction: Abstraction
    space: StateSpace
    concrete_table: TableSpec

    @property
    def table(self) -> TableSpec:
        """The sizes of the learner's table."""
        abstraction = self.abstraction
        return dataclasses.replace(
            self.concrete_table,
            num_states=abstraction.num_states(self.space),
            num_successors=abstraction.num_successors(self.space),
            discovered=self.concrete_table.discovered or abstraction.discovered,
            grid=self.concrete_table.grid if isinstance(abstraction, Identity) else None,
        )

    def conflicts(self) -> list[str]:
        """Return a message for each reason why learner and abstraction do not fit such states."""
        return self.abstraction.space_problems(self.space) or self.learner.table_problems(self.table)

    def init(self, at: ConcreteState) -> ObjectRLState:
        """Return what is known at the start of a trial, in its first state."""
        state = ObjectRLState(self.abstraction.init(self.space), self.learner.init(self.table))
        return self.begin(state, at)

    def begin(self, state: ObjectRLState, at: ConcreteState) -> ObjectRLState:
        """Return what is known once a concrete state is entered: an episode's first, or a step's next."""
        memory = self.abstraction.enter(self.space, state.abstraction, at.index, at.coordinates)
        return ObjectRLState(memory, state.learner)

    def observe(
        self, state: ObjectRLState, action: Int[Array, ""], step: Step
    ) -> tuple[ObjectRLState, Transition]:
        """Return what is known after a step, and the step as the learner saw it: between table states."""
        memory = self.abstraction.record(state.abstraction, step.state.index, action)
        state = self.begin(ObjectRLState(memory, state.learner), step.next_state)
        s, next_s = (self.locate(state, at) for at in (step.state, step.next_state))
        transition = Transition(s, action, step.reward, next_s, step.terminated, step.truncated)
        learner = self.learner.update(self.table, state.learner, transition)
        return ObjectRLState(state.abstraction, learner), transition

    def locate(self, state: ObjectRLState, at: ConcreteState) -> Int[Array, ""]:
        """Return the table state of a concrete state that has been met."""
        return self.abstraction.locate(self.space, state.abstraction, at.index, at.coordinates)

    def values(self, state: ObjectRLState, at: ConcreteState) -> ActionValues:
        """Return the current action values and visit counts of a concrete state that has been met."""
        known = self.learner.values(self.table, state.learner, self.locate(state, at))
        counts = self.abstraction.counts(state.abstraction, at.index, known.counts)
        return dataclasses.replace(known, counts=counts)

    def dropped(self, state: ObjectRLState) -> Int[Array, ""]:
        """Return how many transitions of this trial the learner could not keep in its model."""
        return self.learner.dropped(self.table, state.learner)


@dataclasses.dataclass(frozen=True)
class NoObjectRL:
    """No RL inside the trial, as in RL²: keeps nothing, and values all actions 0.

    Attributes:
      table: the sizes of the table in which each concrete state has a row.
    """

    table: TableSpec

    def conflicts(self) -> list[str]:
        """Return no message: nothing has to fit."""
        return []

    def init(self, at: ConcreteState) -> Any:
        """Return the empty state."""
        return ()

    def begin(self, state: Any, at: ConcreteState) -> Any:
        """Return the empty state."""
        return state

    def observe(self, state: Any, action: Int[Array, ""], step: Step) -> tuple[Any, Transition]:
        """Return the empty state, and the step between concrete states."""
        s, next_s = (self.locate(state, at) for at in (step.state, step.next_state))
        return state, Transition(s, action, step.reward, next_s, step.terminated, step.truncated)

    def locate(self, state: Any, at: ConcreteState) -> Int[Array, ""]:
        """Return the index of a concrete state; 0 where states are vectors."""
        return jnp.int32(0) if at.index is None else at.index

    def values(self, state: Any, at: ConcreteState) -> ActionValues:
        """Return zeros."""
        nothing = jnp.zeros(self.table.num_actions)
        return ActionValues(q=nothing, counts=nothing)

    def dropped(self, state: Any) -> Int[Array, ""]:
        """Return 0."""
        return jnp.int32(0)
