"""The model-based learner: a maximum-likelihood model, planned on after each step (design, section 5.1)."""

import dataclasses
from typing import ClassVar, Literal, TypeVar

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
from rl3_jax.object_rl.base import ActionValues, TableSpec, Transition, size_problems
from rl3_jax.object_rl.planner import SweepRule, Untried, back_up, value_iteration, value_to_back_up
from rl3_jax.object_rl.standard_errors import Formulas
from rl3_jax.object_rl.successor_model import SuccessorModel
from rl3_jax.object_rl.successor_planner import RowValues
from rl3_jax.object_rl.tabular_model import TabularModel

V = TypeVar("V")
Planner = Literal["auto", "dense", "sparse", "visited"]


@struct.dataclass
class ModelBasedState:
    """The model and the values planned on it.

    Attributes:
      model: the tabular model.
      q: [S, A] action values after the last step.
      errors: [S, A] their standard errors, or None where they are not asked for.
    """

    model: TabularModel
    q: Float[Array, "S A"]
    errors: Float[Array, "S A"] | None = None


@struct.dataclass
class AwaitedState:
    """The model, and values that await the last sweep: it is made for a state once that is looked at.

    Attributes:
      model: the tabular model.
      value: [S] γ V after all sweeps but the last.
    """

    model: TabularModel
    value: Float[Array, " S"]


@struct.dataclass
class SuccessorListState:
    """The model as lists of successors, and the values planned on it.

    Attributes:
      model: the lists.
      values: action values after the last step.
      errors: their standard errors, or None where they are not asked for.
    """

    model: SuccessorModel
    values: RowValues
    errors: RowValues | None = None


State = ModelBasedState | AwaitedState | SuccessorListState | BanditModel


@dataclasses.dataclass(frozen=True)
class ModelBased:
    """Value iteration on a maximum-likelihood tabular model after each step; the reference's choice.

    Bandits are solved in closed form.

    Attributes:
      smoothing: α, the count added to each successor; 0.1 for bandits and MDPs. It is above 0, or 0 where
        pairs never tried stay.
      untried: what the model says of a pair never tried. `uniform`: it leads to each state that counts, all
        as likely, as in the reference. `stay`: it stays where it is, so that it is worth γ V(s). Its reward
        is 0 either way.
      discount: planning discount γ.
      tolerance: ε, planning stops once the largest change of Q is below it; 0 makes the number of
        sweeps fixed.
      max_sweeps: sweeps after each step at the most; 0 stands for the episode length.
      warm_start_length: where episodes have at least this many steps, planning starts from the last
        values, else from zero; 100 is the reference's.
      planner: `dense` sweeps all triples of states and actions; `sparse` lists of the successors seen;
        `visited` the same for the states met so far alone; `auto` is `visited` where the table gives the
        number of successors, else `dense`. All find the same values.
    """

    learner: ClassVar[str] = "model-based"

    smoothing: float = 0.1
    untried: Untried = "uniform"
    discount: float = 0.95
    tolerance: float = 0.01
    max_sweeps: int = 0
    warm_start_length: int = 100
    planner: Planner = "auto"

    def problems(self) -> list[str]:
        """Return a message for each field that is wrong."""
        found = []
        if self.smoothing < 0.0:
            found.append(f"learner.smoothing is {self.smoothing}; it must not be below 0")
        if self.smoothing == 0.0 and self.untried == "uniform":
            found.append(
                "learner.smoothing is 0, but learner.untried is uniform; use a smoothing above 0, such as"
                " 0.01, or learner.untried stay"
            )
        if not 0.0 <= self.discount <= 1.0:
            found.append(f"learner.discount is {self.discount}; it must be between 0 and 1")
        if self.tolerance < 0.0:
            found.append(f"learner.tolerance is {self.tolerance}; it must be 0 (fixed sweeps) or above")
        if self.max_sweeps < 0:
            found.append(
                f"learner.max_sweeps is {self.max_sweeps}; it must be 0 (the episode length) or above"
            )
        return found

    def table_problems(self, spec: TableSpec) -> list[str]:
        """Return a message for each thing about such a table that this learner cannot do."""
        if self.planner in ("sparse", "visited") and not spec.num_successors:
            return [
                f"learner.planner is {self.planner}, but any number of states may follow one in this family;"
                " use auto or dense"
            ]
        mend = "" if spec.num_successors else ", or learner q-learning"
        return size_problems(self, spec, mend)

    def init(self, spec: TableSpec) -> State:
        """Return the state of a learner that has seen nothing."""
        if spec.one_shot:
            return bandit_model.init(spec)
        planner = self.planner_of(spec)
        if planner == "dense":
            tables = tabular_model.init(spec, self.untried)
            if self._last_sweep_waits(spec):
                return AwaitedState(tables, jnp.zeros(spec.num_states))
            q = jnp.zeros((spec.num_states, spec.num_actions))
            return ModelBasedState(tables, q, q if spec.standard_errors else None)
        model = successor_model.init(spec, planner == "visited")
        values = RowValues(q=jnp.zeros_like(model.visits), untried=jnp.float32(0.0))
        return SuccessorListState(model, values, values if spec.standard_errors else None)

    def planner_of(self, spec: TableSpec) -> Planner:
        """Return the planner that `auto` stands for."""
        if self.planner != "auto":
            return self.planner
        return "visited" if spec.num_successors else "dense"

    def update(self, spec: TableSpec, state: State, transition: Transition) -> State:
        """Count the transition, then plan."""
        if isinstance(state, BanditModel):
            return bandit_model.update(state, transition)
        if isinstance(state, ModelBasedState | AwaitedState):
            return self._update_tables(spec, state, transition)
        return self._update_lists(spec, state, transition)

    @property
    def _formulas(self) -> Formulas:
        return Formulas(self.discount, self.smoothing, self.untried)

    def _rule(self, spec: TableSpec) -> SweepRule:
        return SweepRule(self.max_sweeps or spec.episode_length, self.tolerance)

    def _starts_warm(self, spec: TableSpec) -> bool:
        """Whether planning starts from the last values, instead of from zero."""
        return spec.episode_length >= self.warm_start_length

    def _last_sweep_waits(self, spec: TableSpec) -> bool:
        """Whether the last sweep can wait until a state is looked at: nothing else needs the whole of it."""
        return self.tolerance == 0.0 and not self._starts_warm(spec) and not spec.standard_errors

    def _start(self, spec: TableSpec, values: V) -> V:
        """Return the values from which planning starts."""
        return values if self._starts_warm(spec) else jax.tree.map(jnp.zeros_like, values)

    def _update_tables(
        self, spec: TableSpec, state: ModelBasedState | AwaitedState, transition: Transition
    ) -> ModelBasedState | AwaitedState:
        """Count the transition, then plan on whole tables."""
        model = tabular_model.update(spec, state.model, transition, self._formulas)
        rule, tables = self._rule(spec), (model.transition, model.reward, model.absorbing)
        if isinstance(state, AwaitedState):
            return AwaitedState(model, value_to_back_up(rule.max_sweeps, self.discount, *tables))
        start = self._start(spec, state.q)
        if spec.standard_errors:
            return ModelBasedState(model, *error_planner.plan_tables(rule, self._formulas, model, start))
        return ModelBasedState(model, value_iteration(rule, self.discount, *tables, start))

    def _update_lists(
        self, spec: TableSpec, state: SuccessorListState, transition: Transition
    ) -> SuccessorListState:
        """Count the transition, then plan on lists of successors."""
        model = successor_model.update(state.model, transition, self.smoothing)
        rule, start = self._rule(spec), self._start(spec, state.values)
        met_before, formulas = successor_model.is_met(state.model), self._formulas
        if spec.standard_errors:
            problem = successor_planner.problem_of(model, start, met_before, spec.discovered)
            return SuccessorListState(model, *error_planner.plan_lists(rule, formulas, model, problem))
        values = successor_planner.value_iteration(rule, formulas, model, start, met_before, spec.discovered)
        return SuccessorListState(model, values)

    def values(self, spec: TableSpec, state: State, s: Int[Array, ""]) -> ActionValues:
        """Return the current action values and visit counts of state `s`."""
        del spec
        if isinstance(state, BanditModel):
            return bandit_model.values(state, self._formulas)
        if isinstance(state, AwaitedState):
            q = back_up(state.model.transition[s], state.model.reward[s], state.value)
            return ActionValues(q, state.model.counts[s].sum(-1))
        if isinstance(state, ModelBasedState):
            errors = None if state.errors is None else state.errors[s]
            return ActionValues(state.q[s], state.model.counts[s].sum(-1), errors)
        row = state.model.row_of[s]
        known = row >= 0

        def shown(values):
            return jnp.where(known, values.q[:, row], values.untried)

        counts = jnp.where(known, state.model.visits[:, row], 0.0)
        errors = None if state.errors is None else shown(state.errors)
        return ActionValues(shown(state.values), counts, errors)

    def dropped(self, spec: TableSpec, state: State) -> Int[Array, ""]:
        """Return how many transitions the model could not keep, for want of room."""
        del spec
        return state.model.dropped if isinstance(state, SuccessorListState) else jnp.int32(0)
