"""The model-based learner: a maximum-likelihood model, planned on after each step (design, section 5.1)."""

import dataclasses
from typing import ClassVar

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from rl3_jax.object_rl import bandit_model, tabular_model
from rl3_jax.object_rl.bandit_model import BanditModel
from rl3_jax.object_rl.base import ActionValues, TableSpec, Transition
from rl3_jax.object_rl.planner import SweepRule, value_iteration
from rl3_jax.object_rl.tabular_model import TabularModel


@struct.dataclass
class ModelBasedState:
    """The model and the values planned on it.

    Attributes:
      model: the tabular model.
      q: [S, A] action values after the last step.
    """

    model: TabularModel
    q: Float[Array, "S A"]


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
    """

    learner: ClassVar[str] = "model-based"

    smoothing: float = 0.1
    discount: float = 0.95
    tolerance: float = 0.01
    max_sweeps: int = 0
    warm_start_length: int = 100

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
        del spec
        return []

    def init(self, spec: TableSpec) -> ModelBasedState | BanditModel:
        """Return the state of a learner that has seen nothing."""
        if spec.one_shot:
            return bandit_model.init(spec)
        q = jnp.zeros((spec.num_states, spec.num_actions))
        return ModelBasedState(model=tabular_model.init(spec), q=q)

    def update(
        self, spec: TableSpec, state: ModelBasedState | BanditModel, transition: Transition
    ) -> ModelBasedState | BanditModel:
        """Count the transition, then plan."""
        if isinstance(state, BanditModel):
            return bandit_model.update(state, transition)
        model = tabular_model.update(state.model, transition, self.smoothing)
        rule = SweepRule(self.max_sweeps or spec.episode_length, self.tolerance)
        start = state.q if spec.episode_length >= self.warm_start_length else jnp.zeros_like(state.q)
        q = value_iteration(rule, self.discount, model.transition, model.reward, model.absorbing, start)
        return ModelBasedState(model=model, q=q)

    def values(
        self, spec: TableSpec, state: ModelBasedState | BanditModel, s: Int[Array, ""]
    ) -> ActionValues:
        """Return the current action values and visit counts of state `s`."""
        del spec
        if isinstance(state, BanditModel):
            return bandit_model.values(state, self.smoothing)
        return ActionValues(q=state.q[s], counts=state.model.counts[s].sum(-1))

    def dropped(self, spec: TableSpec, state: ModelBasedState | BanditModel) -> Int[Array, ""]:
        """Return 0: every transition is kept."""
        del spec, state
        return jnp.int32(0)
