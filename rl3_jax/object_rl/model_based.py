"""The model-based learner: a maximum-likelihood model, planned on after each step (design, section 5.1)."""

import dataclasses
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from rl3_jax.object_rl import bandit_model, successor_model, successor_planner, tabular_model
from rl3_jax.object_rl.bandit_model import BanditModel
from rl3_jax.object_rl.base import ActionValues, TableSpec, Transition, size_problems
from rl3_jax.object_rl.planner import SweepRule, value_iteration
from rl3_jax.object_rl.successor_model import SuccessorModel
from rl3_jax.object_rl.successor_planner import RowValues
from rl3_jax.object_rl.tabular_model import TabularModel

Planner = Literal["auto", "dense", "sparse", "visited"]


@struct.dataclass
class ModelBasedState:
    """The model and the values planned on it.

    Attributes:
      model: the tabular model.
      q: [S, A] action values after the last step.
    """

    model: TabularModel
    q: Float[Array, "S A"]


@struct.dataclass
class SuccessorListState:
    """The model as lists of successors, and the values planned on it.

    Attributes:
      model: the lists.
      values: action values after the last step.
    """

    model: SuccessorModel
    values: RowValues


State = ModelBasedState | SuccessorListState | BanditModel


@dataclasses.dataclass(frozen=True)
class ModelBased:
    """Value iteration on a maximum-likelihood tabular model after each step; the reference's choice.

    Bandits are solved in closed form.

    Attributes:
      smoothing: α > 0, the count added to each successor; 0.1 for bandits and MDPs.
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
    discount: float = 0.95
    tolerance: float = 0.01
    max_sweeps: int = 0
    warm_start_length: int = 100
    planner: Planner = "auto"

    def problems(self) -> list[str]:
        """Return a message for each field that is wrong."""
        found = []
        if self.smoothing <= 0.0:
            found.append(f"learner.smoothing is {self.smoothing}; it must be above 0")
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
            q = jnp.zeros((spec.num_states, spec.num_actions))
            return ModelBasedState(model=tabular_model.init(spec), q=q)
        model = successor_model.init(spec, planner == "visited")
        return SuccessorListState(model, RowValues(q=jnp.zeros_like(model.visits), untried=jnp.float32(0.0)))

    def planner_of(self, spec: TableSpec) -> Planner:
        """Return the planner that `auto` stands for."""
        if self.planner != "auto":
            return self.planner
        return "visited" if spec.num_successors else "dense"

    def update(self, spec: TableSpec, state: State, transition: Transition) -> State:
        """Count the transition, then plan."""
        if isinstance(state, BanditModel):
            return bandit_model.update(state, transition)
        rule = SweepRule(self.max_sweeps or spec.episode_length, self.tolerance)
        warm = spec.episode_length >= self.warm_start_length
        if isinstance(state, ModelBasedState):
            model = tabular_model.update(spec, state.model, transition, self.smoothing)
            start = state.q if warm else jnp.zeros_like(state.q)
            tables = model.transition, model.reward, model.absorbing
            return ModelBasedState(model=model, q=value_iteration(rule, self.discount, *tables, start))
        return self._update_lists(spec, rule, warm, state, transition)

    def _update_lists(
        self, spec: TableSpec, rule: SweepRule, warm: bool, state: SuccessorListState, transition: Transition
    ) -> SuccessorListState:
        """Count the transition, then plan on lists of successors."""
        model = successor_model.update(state.model, transition, self.smoothing)
        values = successor_planner.value_iteration(
            rule,
            self.discount,
            self.smoothing,
            model,
            state.values if warm else jax.tree.map(jnp.zeros_like, state.values),
            successor_model.is_met(state.model),
            discovered=spec.discovered,
        )
        return SuccessorListState(model, values)

    def values(self, spec: TableSpec, state: State, s: Int[Array, ""]) -> ActionValues:
        """Return the current action values and visit counts of state `s`."""
        del spec
        if isinstance(state, BanditModel):
            return bandit_model.values(state, self.smoothing)
        if isinstance(state, ModelBasedState):
            return ActionValues(q=state.q[s], counts=state.model.counts[s].sum(-1))
        row = state.model.row_of[s]
        known = row >= 0
        return ActionValues(
            q=jnp.where(known, state.values.q[:, row], state.values.untried),
            counts=jnp.where(known, state.model.visits[:, row], 0.0),
        )

    def dropped(self, spec: TableSpec, state: State) -> Int[Array, ""]:
        """Return how many transitions the model could not keep, for want of room."""
        del spec
        return state.model.dropped if isinstance(state, SuccessorListState) else jnp.int32(0)
