"""Object-level RL as the trial calls it: a learner behind a state abstraction."""

import dataclasses
from typing import Any

from flax import struct
from jaxtyping import Array, Int

from rl3_jax.object_rl import Abstraction, ActionValues, Learner, State, TableSpec, Transition
from rl3_jax.object_rl.base import learner_problems
from rl3_jax.tasks import ConcreteState, Step


@struct.dataclass
class ObjectRLState:
    """What object-level RL keeps of one trial: the memory of the abstraction, and the learner's state."""

    abstraction: Any
    learner: Any


@dataclasses.dataclass(frozen=True)
class ObjectRL:
    """A learner and the state abstraction before it, for one task; callers `vmap`.

    Attributes:
      learner: the ordinary RL algorithm.
      abstraction: what the learner takes for a state.
      space: the sizes of the table in which each concrete state has a row.
    """

    learner: Learner
    abstraction: Abstraction
    space: TableSpec

    @property
    def table(self) -> TableSpec:
        """The sizes of the learner's table."""
        return self.abstraction.table(self.space)

    def conflicts(self) -> list[str]:
        """Return a message for each reason why learner and abstraction do not fit such states."""
        return self.abstraction.space_problems(self.space) or learner_problems(self.learner, self.table)

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
        """Return what is known after a step, and the step as the learner saw it."""
        memory = self.abstraction.record(state.abstraction, step.state.index, action)
        state = self.begin(ObjectRLState(memory, state.learner), step.next_state)
        s, next_s = (self.locate(state, at) for at in (step.state, step.next_state))
        transition = Transition(s, action, step.reward, next_s, step.terminated, step.truncated)
        learner = self.learner.update(self.table, state.learner, transition)
        return ObjectRLState(state.abstraction, learner), transition

    def locate(self, state: ObjectRLState, at: ConcreteState) -> State:
        """Return the state, as the learner sees it, of a concrete state that has been met."""
        return self.abstraction.locate(self.space, state.abstraction, at.index, at.coordinates)

    def values(self, state: ObjectRLState, at: ConcreteState) -> ActionValues:
        """Return the current action values and visit counts of a concrete state that has been met."""
        known = self.learner.values(self.table, state.learner, self.locate(state, at))
        counts = self.abstraction.counts(state.abstraction, at.index, known.counts)
        return dataclasses.replace(known, counts=counts)

    def dropped(self, state: ObjectRLState) -> Int[Array, ""]:
        """Return how many transitions of this trial found no room, in the learner's model or the table."""
        met = self.abstraction.dropped(state.abstraction)
        return met + self.learner.dropped(self.table, state.learner)
