"""The model-based learner: a maximum-likelihood model, planned on after each step (design, section 5.1)."""

import dataclasses
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge
from jaxtyping import Array, Int

from rl3_jax.constraints import Fraction, Natural, NonNegative
from rl3_jax.object_rl.base import ActionValues, TableSpec, Transition, size_problems
from rl3_jax.object_rl.model_planners import AwaitedTables, ClosedForm, Lists, ModelPlanner, Tables
from rl3_jax.object_rl.planner import SweepRule, Untried
from rl3_jax.object_rl.standard_errors import Formulas

Planner = Literal["auto", "dense", "sparse", "visited"]


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

    smoothing: NonNegative = 0.1
    untried: Untried = "uniform"
    discount: Fraction = 0.95
    tolerance: Annotated[float, Ge(0), "0 for fixed sweeps"] = 0.01
    max_sweeps: Annotated[int, Ge(0), "0 for the episode length"] = 0
    warm_start_length: Natural = 100
    planner: Planner = "auto"

    def conflicts(self) -> list[str]:
        """Return a message if pairs never tried would lead nowhere."""
        if self.smoothing > 0.0 or self.untried == "stay":
            return []
        return [
            "learner.smoothing is 0, but learner.untried is uniform; use a smoothing above 0, such as"
            " 0.01, or learner.untried stay"
        ]

    def table_problems(self, spec: TableSpec) -> list[str]:
        """Return a message for each thing about such a table that this learner cannot do."""
        if self.planner in ("sparse", "visited") and not spec.num_successors:
            return [
                f"learner.planner is {self.planner}, but any number of states may follow one in this family;"
                " use auto or dense"
            ]
        mend = "" if spec.num_successors else ", or learner q-learning"
        return size_problems(self, spec, mend)

    def planner_name(self, spec: TableSpec) -> Planner:
        """Return the planner that `auto` stands for."""
        if self.planner != "auto":
            return self.planner
        return "visited" if spec.num_successors else "dense"

    def make_planner(self, spec: TableSpec) -> ModelPlanner:
        """Return the model and the planning for such a table."""
        rule = SweepRule(self.max_sweeps or spec.episode_length, self.tolerance)
        formulas = Formulas(self.discount, self.smoothing, self.untried)
        warm = spec.episode_length >= self.warm_start_length
        if spec.one_shot:
            return ClosedForm(spec, rule, formulas, warm)
        planner = self.planner_name(spec)
        if planner != "dense":
            return Lists(spec, rule, formulas, warm, compact=planner == "visited")
        awaited = rule.tolerance == 0.0 and not warm and not spec.standard_errors
        return (AwaitedTables if awaited else Tables)(spec, rule, formulas, warm)

    def init(self, spec: TableSpec) -> Any:
        """Return the state of a learner that has seen nothing."""
        return self.make_planner(spec).init()

    def update(self, spec: TableSpec, state: Any, transition: Transition) -> Any:
        """Count the transition, then plan."""
        return self.make_planner(spec).update(state, transition)

    def values(self, spec: TableSpec, state: Any, s: Int[Array, ""]) -> ActionValues:
        """Return the current action values and visit counts of state `s`."""
        return self.make_planner(spec).values(state, s)

    def dropped(self, spec: TableSpec, state: Any) -> Int[Array, ""]:
        """Return how many transitions the model could not keep, for want of room."""
        return self.make_planner(spec).dropped(state)
