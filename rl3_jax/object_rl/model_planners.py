"""The ways to hold a model of a task and to plan on it, all with the same values (design, section 5.1)."""

import dataclasses
from typing import Any, Protocol, TypeVar

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from rl3_jax.object_rl import (
    bandit_model,
    error_planner,
    successor_model,
    successor_planner,
    tabular_model,
)
from rl3_jax.object_rl.bandit_model import BanditModel
from rl3_jax.object_rl.base import ActionValues, TableSpec, Transition
from rl3_jax.object_rl.planner import SweepRule, back_up, value_iteration, value_to_back_up
from rl3_jax.object_rl.standard_errors import Formulas
from rl3_jax.object_rl.successor_model import SuccessorModel
from rl3_jax.object_rl.successor_planner import RowValues
from rl3_jax.object_rl.tabular_model import TabularModel

V = TypeVar("V")


class ModelPlanner(Protocol):
    """A model of one task and the planning on it: `Learner` for one table."""

    def init(self) -> Any:
        """Return the state of a learner that has seen nothing."""
        ...

    def update(self, state: Any, transition: Transition) -> Any:
        """Count the transition, then plan."""
        ...

    def values(self, state: Any, s: Int[Array, ""]) -> ActionValues:
        """Return the current action values and visit counts of state `s`."""
        ...

    def dropped(self, state: Any) -> Int[Array, ""]:
        """Return how many transitions the model could not keep, for want of room."""
        ...


@dataclasses.dataclass(frozen=True)
class _Planner:
    """What the planners share.

    Attributes:
      spec: sizes.
      rule: when sweeps stop.
      formulas: discount and smoothing, and what a pair never tried does.
      warm: whether planning starts from the last values, instead of from zero.
    """

    spec: TableSpec
    rule: SweepRule
    formulas: Formulas
    warm: bool

    def start(self, values: V) -> V:
        """Return the values from which planning starts."""
        return values if self.warm else jax.tree.map(jnp.zeros_like, values)

    def dropped(self, state: Any) -> Int[Array, ""]:
        """Return 0: a table has room for all transitions."""
        return jnp.int32(0)


class ClosedForm(_Planner):
    """A bandit's values in closed form."""

    def init(self) -> BanditModel:
        """Return the model of no pulls."""
        return bandit_model.init(self.spec)

    def update(self, state: BanditModel, transition: Transition) -> BanditModel:
        """Count one pull."""
        return bandit_model.update(state, transition)

    def values(self, state: BanditModel, s: Int[Array, ""]) -> ActionValues:
        """Return the values of the one state in which a bandit is pulled."""
        return bandit_model.values(state, self.formulas)


@struct.dataclass
class TablesState:
    """The model as tables, and the values planned on it.

    Attributes:
      model: the tables.
      q: [S, A] action values after the last step.
      errors: [S, A] their standard errors, or None where they are not asked for.
    """

    model: TabularModel
    q: Float[Array, "S A"]
    errors: Float[Array, "S A"] | None = None


class Tables(_Planner):
    """Sweeps over all triples of states and actions."""

    def init(self) -> TablesState:
        """Return an empty model, and values of 0."""
        q = jnp.zeros((self.spec.num_states, self.spec.num_actions))
        model = tabular_model.init(self.spec, self.formulas.untried)
        return TablesState(model, q, q if self.spec.standard_errors else None)

    def update(self, state: TablesState, transition: Transition) -> TablesState:
        """Count the transition, then plan."""
        model = tabular_model.update(self.spec, state.model, transition, self.formulas)
        start = self.start(state.q)
        if self.spec.standard_errors:
            return TablesState(model, *error_planner.plan_tables(self.rule, self.formulas, model, start))
        tables = model.transition, model.reward, model.absorbing
        return TablesState(model, value_iteration(self.rule, self.formulas.discount, *tables, start))

    def values(self, state: TablesState, s: Int[Array, ""]) -> ActionValues:
        """Return a row of the tables."""
        errors = None if state.errors is None else state.errors[s]
        return ActionValues(state.q[s], state.model.counts[s].sum(-1), errors)


@struct.dataclass
class AwaitedState:
    """The model as tables, and values that await the last sweep.

    Attributes:
      model: the tables.
      value: [S] γ V after all sweeps but the last.
    """

    model: TabularModel
    value: Float[Array, " S"]


class AwaitedTables(_Planner):
    """Sweeps as `Tables` does, but makes the last one for a state alone, once it is looked at.

    It may be chosen where nothing else needs the whole last sweep: a fixed number of them from zero, without
    standard errors.
    """

    def init(self) -> AwaitedState:
        """Return an empty model, and values of 0."""
        model = tabular_model.init(self.spec, self.formulas.untried)
        return AwaitedState(model, jnp.zeros(self.spec.num_states))

    def update(self, state: AwaitedState, transition: Transition) -> AwaitedState:
        """Count the transition, then make all sweeps but the last."""
        model = tabular_model.update(self.spec, state.model, transition, self.formulas)
        tables = model.transition, model.reward, model.absorbing
        return AwaitedState(model, value_to_back_up(self.rule.max_sweeps, self.formulas.discount, *tables))

    def values(self, state: AwaitedState, s: Int[Array, ""]) -> ActionValues:
        """Make the last sweep for one state."""
        q = back_up(state.model.transition[s], state.model.reward[s], state.value)
        return ActionValues(q, state.model.counts[s].sum(-1))


@struct.dataclass
class ListsState:
    """The model as lists of successors, and the values planned on it.

    Attributes:
      model: the lists.
      values: action values after the last step.
      errors: their standard errors, or None where they are not asked for.
    """

    model: SuccessorModel
    values: RowValues
    errors: RowValues | None = None


@dataclasses.dataclass(frozen=True)
class Lists(_Planner):
    """Sweeps over lists of the successors seen.

    Attributes:
      compact: whether only the states met so far have lists, or all.
    """

    compact: bool

    def init(self) -> ListsState:
        """Return empty lists, and values of 0."""
        model = successor_model.init(self.spec, self.compact)
        values = RowValues(q=jnp.zeros_like(model.visits), untried=jnp.float32(0.0))
        return ListsState(model, values, values if self.spec.standard_errors else None)

    def update(self, state: ListsState, transition: Transition) -> ListsState:
        """Count the transition, then plan."""
        rule, formulas, discovered = self.rule, self.formulas, self.spec.discovered
        model = successor_model.update(state.model, transition, formulas.smoothing)
        start, met_before = self.start(state.values), successor_model.is_met(state.model)
        if self.spec.standard_errors:
            problem = successor_planner.problem_of(model, start, met_before, discovered)
            return ListsState(model, *error_planner.plan_lists(rule, formulas, model, problem))
        values = successor_planner.value_iteration(rule, formulas, model, start, met_before, discovered)
        return ListsState(model, values)

    def values(self, state: ListsState, s: Int[Array, ""]) -> ActionValues:
        """Return what is known of a state: its row, or what states not met are worth."""
        row = state.model.row_of[s]
        known = row >= 0

        def shown(values):
            return jnp.where(known, values.q[:, row], values.untried)

        counts = jnp.where(known, state.model.visits[:, row], 0.0)
        errors = None if state.errors is None else shown(state.errors)
        return ActionValues(shown(state.values), counts, errors)

    def dropped(self, state: ListsState) -> Int[Array, ""]:
        """Return how many transitions found no room in the lists."""
        return state.model.dropped
