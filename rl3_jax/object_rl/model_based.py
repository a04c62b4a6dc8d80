"""The model-based learner: a model of the task, planned on after each step (design, section 5.1)."""

import dataclasses
from typing import Any, ClassVar, Literal, cast

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int

from rl3_jax.object_rl import standard_errors, successor_planner, tabular_model
from rl3_jax.object_rl.base import ActionValues, Learner, TableSpec, Transition, size_problems
from rl3_jax.object_rl.planner import ModelPlanner, back_up, value_iteration, value_to_back_up
from rl3_jax.object_rl.successor_lists import SuccessorLists
from rl3_jax.object_rl.successor_model import SuccessorModel
from rl3_jax.object_rl.successor_planner import RowValues
from rl3_jax.object_rl.tabular_model import Counts, Experience, Rule, TabularModel


@dataclasses.dataclass(frozen=True)
class ModelBased(Rule, Learner):
    """Value iteration on a tabular model after each step; the reference's choice.

    The model is that of maximum likelihood, or with `prior_count` the posterior's mean. Bandits are solved in
    closed form.

    Attributes:
      planner: `dense` sweeps all triples of states and actions, `visited` lists of the successors seen of the
        states met so far. `counts` is `dense` with a model that is made anew at each step, `sparse` lists of
        all states: both have fewer operations, for accelerators. `auto` takes lists where the table gives the
        number of successors, and no prior is asked for. All find the same values.
    """

    learner: ClassVar[str] = "model-based"

    planner: Literal["auto", "dense", "counts", "sparse", "visited"] = "auto"

    def conflicts(self) -> list[str]:
        """Return a message if pairs never tried would lead nowhere, or lists should hold a prior."""
        found = []
        if self.smoothing == 0.0 and self.untried == "uniform":
            found.append(
                "learner.smoothing is 0, but learner.untried is uniform; use a smoothing above 0, such as"
                " 0.01, or learner.untried stay"
            )
        if self.prior_count and self.planner in ("sparse", "visited"):
            found.append(
                f"learner.planner is {self.planner}, which has no prior, but learner.prior_count is"
                f" {self.prior_count:g}; use planner auto or dense, or prior_count 0"
            )
        return found

    def table_problems(self, spec: TableSpec) -> list[str]:
        """Return a message for each thing about such a table that this learner cannot do."""
        if self.planner in ("sparse", "visited") and not spec.num_successors:
            return [
                f"learner.planner is {self.planner}, but any number of states may follow one in this family;"
                " use auto or dense"
            ]
        found = []
        if spec.standard_errors and self.prior_count:
            found.append(
                "features.standard_errors are those of maximum likelihood, but learner.prior_count is"
                f" {self.prior_count:g}; set learner.prior_count 0, or leave standard_errors out"
            )
        mend = ", or learner.prior_count 0" if spec.num_successors else ", or learner q-learning"
        tables = self.planner_name(spec) in ("dense", "counts")
        return found + size_problems(self, spec, mend if tables else "")

    def suited(self, spec: TableSpec, platform: str) -> "ModelBased":
        """Return it with the planner that is fastest on a platform, of those that are alike.

        To sweep as many rows as some task has met, an accelerator would wait for the host at each step: where
        a trial may meet all states, it sweeps all.
        """
        if platform == "cpu" and self.planner == "sparse":
            return dataclasses.replace(self, planner="visited")
        if platform == "cpu" or self.planner != "auto" or spec.one_shot:
            return self
        if self.planner_name(spec) == "dense":
            return dataclasses.replace(self, planner="counts")
        all_met = 0 < spec.num_states <= 2 * spec.horizon + 1
        return dataclasses.replace(self, planner="sparse") if all_met else self

    def planner_name(self, spec: TableSpec) -> str:
        """Return the planner that `auto` otherwise stands for."""
        if self.planner != "auto":
            return self.planner
        return "visited" if spec.num_successors and not self.prior_count else "dense"

    def make_planner(self, spec: TableSpec) -> "ClosedForm | Tables | Lists":
        """Return the model and the planning for such a table, all with the same values."""
        rule = dataclasses.replace(self, max_sweeps=self.max_sweeps or spec.episode_length)
        if spec.one_shot:
            return ClosedForm(spec, rule)
        planner = self.planner_name(spec)
        if planner in ("dense", "counts"):
            return Tables(spec, rule, kept=planner == "dense" and not spec.discovered)
        return Lists(spec, rule, compact=planner == "visited")

    def init(self, spec: TableSpec) -> Any:
        """Return the state of a learner that has seen nothing."""
        return self.make_planner(spec).init()

    def update(self, spec: TableSpec, state: Any, transition: Transition) -> Any:
        """Count the transition, then plan."""
        above = dataclasses.replace(transition, r=transition.r - self.prior_reward)
        return self.make_planner(spec).update(state, above)

    def values(self, spec: TableSpec, state: Any, s: Int[Array, ""]) -> ActionValues:
        """Return the current action values and visit counts of state `s`."""
        return self.make_planner(spec).values(state, s)

    def dropped(self, spec: TableSpec, state: Any) -> Int[Array, ""]:
        """Return how many transitions the model could not keep, for want of room."""
        return self.make_planner(spec).dropped(state)


@struct.dataclass
class Planned:
    """A model, and the values planned on it.

    Attributes:
      model: the tables or lists.
      values: action values after the last step, of tables [S, A]; where the last sweep is awaited [S] γ V
        after all the others.
      errors: standard errors of the action values, or None where they are not asked for.
    """

    model: Any
    values: Any
    errors: Any = None


@dataclasses.dataclass(frozen=True)
class Tables(ModelPlanner):
    """Sweeps over all triples of states and actions.

    Attributes:
      kept: whether the model is kept beside the experience, since a step changes one row of it, or made of it
        at each step, as where states are discovered: one more changes all rows.
    """

    kept: bool

    @property
    def awaits(self) -> bool:
        """Whether the last sweep is made for one state alone, once it is looked at: nothing else needs it."""
        return self.rule.tolerance == 0.0 and not self.warm and not self.spec.standard_errors

    def init(self) -> Planned:
        """Return an empty model, and values of 0."""
        counts = tabular_model.init(self.spec)
        pairs = (self.spec.num_states, self.spec.num_actions)
        values = jnp.zeros(pairs[:1] if self.awaits else pairs)
        model = tabular_model.divided(tabular_model.model_of(counts, self.rule)) if self.kept else counts
        return Planned(model, values, values if self.spec.standard_errors else None)

    def update(self, state: Planned, transition: Transition) -> Planned:
        """Count the transition, then plan."""
        if self.kept:
            known = tabular_model.update(self.spec, state.model, transition, self.rule)
        else:
            known = tabular_model.count(self.spec, state.model, transition)
        model = self.model(known)
        if self.awaits:
            return Planned(known, value_to_back_up(self.rule, model))
        start = self.start(state.values)
        if self.spec.standard_errors:
            return Planned(known, *standard_errors.plan_tables(self.rule, model, start))
        return Planned(known, value_iteration(self.rule, model, start))

    def values(self, state: Planned, s: Int[Array, ""]) -> ActionValues:
        """Return a row of the tables."""
        visits = state.model.experience.of(s)[0].sum(-1)
        if self.awaits:
            return ActionValues(back_up(self.model(state.model), state.values, s), visits)
        return ActionValues(state.values[s], visits, None if state.errors is None else state.errors[s])

    def model(self, known: Counts) -> TabularModel:
        """Return the model, as it is kept or made of the experience."""
        return cast(TabularModel, known) if self.kept else tabular_model.model_of(known, self.rule)


@dataclasses.dataclass(frozen=True)
class Lists(ModelPlanner):
    """Sweeps over lists of the successors seen.

    Attributes:
      compact: whether only the states met so far have lists, or all.
    """

    compact: bool

    def init(self) -> Planned:
        """Return empty lists, and values of 0."""
        model = (SuccessorModel if self.compact else SuccessorLists).none(self.spec)
        pairs = (self.spec.num_actions, len(model.absorbing))
        values = RowValues(q=jnp.zeros(pairs), untried=jnp.float32(0.0))
        return Planned(model, values, values if self.spec.standard_errors else None)

    def update(self, state: Planned, transition: Transition) -> Planned:
        """Count the transition, then plan."""
        rule, start = self.rule, self.start(state.values)
        model = state.model.after(transition, rule.smoothing)
        problem = successor_planner.problem_of(rule, model, start, state.model.met, self.spec.discovered)
        if self.spec.standard_errors:
            return Planned(model, *standard_errors.plan_lists(rule, problem))
        return Planned(model, successor_planner.value_iteration(rule, problem))

    def values(self, state: Planned, s: Int[Array, ""]) -> ActionValues:
        """Return what is known of a state: its row, or what states not met are worth."""
        row = state.model.row(s)

        def shown(values: RowValues) -> Float[Array, " A"]:
            return jnp.where(row >= 0, values.q[:, row], values.untried)

        counts = jnp.where(row >= 0, state.model.counts_of(row), 0.0)
        errors = None if state.errors is None else shown(state.errors)
        return ActionValues(shown(state.values), counts, errors)

    def dropped(self, state: Planned) -> Int[Array, ""]:
        """Return how many transitions found no room in the lists."""
        return state.model.dropped


class ClosedForm(ModelPlanner):
    """A bandit's values in closed form."""

    def init(self) -> Experience:
        """Return the rewards of arms never pulled."""
        return Experience.none((self.spec.num_actions,), self.spec.standard_errors)

    def update(self, state: Experience, transition: Transition) -> Experience:
        """Return the rewards after one more pull."""
        return state.after((transition.a,), transition.r)

    def values(self, state: Experience, s: Int[Array, ""]) -> ActionValues:
        """Return Q(a) = r̄(a)(n(a) + α)/(n(a) + 2α) for arms pulled, 0 for the rest.

        It is one sweep of value iteration over the two states, the second absorbing. As it starts from
        zero, an arm never pulled is worth 0 whether it is taken to lead anywhere or to stay. With a prior
        Q(a) = Σ (r − m)/(n(a) + w).
        """
        rule, n, pulled = self.rule, state.counts, jnp.maximum(state.counts, 1.0)
        if rule.prior_count:
            return ActionValues(state.reward_sum / (n + rule.prior_count), n)
        mean_reward = state.reward_sum / pulled
        q = mean_reward * (n + rule.smoothing) / (pulled + 2.0 * rule.smoothing)
        if state.spread is None:
            return ActionValues(q, n)
        return ActionValues(q, n, standard_errors.of_arms(rule, state))
