"""Q-learning (Watkins and Dayan 1992) and Dyna-Q (Sutton 1990) as object-level RL (design, section 5.2)."""

import dataclasses
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
from annotated_types import Ge, Le
from flax import struct
from jaxtyping import Array, Float, Int

from rl3_jax.constraints import Fraction, Natural, NonNegative
from rl3_jax.object_rl import tabular_model
from rl3_jax.object_rl.base import ActionValues, Learner, TableSpec, Transition, error_problems, size_problems
from rl3_jax.object_rl.successor_lists import SuccessorLists
from rl3_jax.object_rl.tabular_model import Counts


@struct.dataclass
class QLearningState:
    """The table of a Q-learner: action values, and visits of each pair."""

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


@struct.dataclass
class DynaQState:
    """The table of a Q-learner, and the model that it learns from besides.

    Attributes:
      table: action values and counts.
      model: experience; row s of a model as lists is state s.
      pairs: [max_pairs] pairs tried, s · A + a, in order of first trying.
      num_pairs: [] how many there are.
      steps: [] transitions seen.
    """

    table: QLearningState
    model: Counts | SuccessorLists
    pairs: Int[Array, " max_pairs"]
    num_pairs: Int[Array, ""]
    steps: Int[Array, ""]


@dataclasses.dataclass(frozen=True)
class DynaQ(QLearning):
    """Q-learning, and after each step updates from a tabular model.

    Each such update draws a pair uniformly from those tried, its successor in proportion to n(s,a,s'), and
    takes the mean reward r̄(s,a,s'); its step size is that of the pair's last real update. The other
    fields are those of `QLearning`.

    Attributes:
      model_updates: m, updates from the model after each step.
      seed: of the draws, which are the same numbers for every task: they depend on the seed and the
        number of steps seen alone.
    """

    learner: ClassVar[str] = "dyna-q"

    model_updates: Annotated[int, Ge(1), "for none, use learner q-learning"] = 10
    seed: Natural = 0

    def table_problems(self, spec: TableSpec) -> list[str]:
        """Return a message for each thing about such a table that this learner cannot do."""
        return size_problems(self, spec, ", or learner q-learning") + error_problems(self, spec)

    def init(self, spec: TableSpec) -> DynaQState:
        """Return the state of a learner that has seen nothing."""
        num_pairs = spec.num_states * spec.num_actions
        return DynaQState(
            table=super().init(spec),
            model=SuccessorLists.none(spec) if spec.num_successors else tabular_model.init(spec),
            pairs=jnp.zeros(min(num_pairs, spec.horizon or num_pairs), jnp.int32),
            num_pairs=jnp.int32(0),
            steps=jnp.int32(0),
        )

    def update(self, spec: TableSpec, state: DynaQState, transition: Transition) -> DynaQState:
        """Learn from the transition, then from the model."""
        s, a = transition.s, transition.a
        table = super().update(spec, state.table, transition)
        if isinstance(state.model, Counts):
            model = tabular_model.count(spec, state.model, transition)
        else:
            model = state.model.after(transition, smoothing=0.0)
        # A model as lists may have no room for a transition, so that its pair stays untried there.
        before, after = (outcomes(m, s, a)[0].sum() for m in (state.model, model))
        is_new = (before == 0.0) & (after == 1.0)
        last = jnp.where(is_new, state.num_pairs, state.pairs.shape[0])
        pairs = state.pairs.at[last].set(s * spec.num_actions + a)
        num_pairs = jnp.minimum(state.num_pairs + is_new, pairs.shape[0])

        def learn_from_model(table, draw):
            chosen = jnp.minimum((draw[0] * num_pairs).astype(jnp.int32), num_pairs - 1)
            s, a = jnp.divmod(pairs[chosen], spec.num_actions)
            return self.learn(table, sample(model, s, a, draw[1])), None

        # The first transition of a trial always has room, so that there is a pair to draw.
        table = jax.lax.scan(learn_from_model, table, self.draws(state.steps))[0]
        return DynaQState(table, model, pairs, num_pairs, state.steps + 1)

    def draws(self, step: Int[Array, ""]) -> Float[Array, "m 2"]:
        """Return the numbers in [0, 1) that choose pairs and successors after a step."""
        key = jax.random.fold_in(jax.random.key(self.seed), step)
        return jax.random.uniform(key, (2 * self.model_updates,)).reshape(-1, 2)

    def values(self, spec: TableSpec, state: DynaQState, s: Int[Array, ""]) -> ActionValues:
        """Return the current action values and visit counts of state `s`."""
        return super().values(spec, state.table, s)

    def dropped(self, spec: TableSpec, state: DynaQState) -> Int[Array, ""]:
        """Return how many transitions the model could not keep, for want of room."""
        return state.model.dropped if isinstance(state.model, SuccessorLists) else jnp.int32(0)


def outcomes(
    model: Counts | SuccessorLists, s: Int[Array, ""], a: Int[Array, ""]
) -> tuple[Float[Array, " K"], Float[Array, " K"], Int[Array, " K"]]:
    """Return n(s,a,s') and the sum of rewards of each possible successor s' of a pair, and s' itself."""
    if isinstance(model, Counts):
        return *model.experience.of(s, a), jnp.arange(len(model.absorbing))
    return model.outcomes(s, a)


def sample(
    model: Counts | SuccessorLists, s: Int[Array, ""], a: Int[Array, ""], draw: Float[Array, ""]
) -> Transition:
    """Return a transition of a pair that was tried: s' in proportion to n(s,a,s'), and r̄(s,a,s').

    s' is the first whose cumulated share exceeds `draw`, a number in [0, 1).
    """
    n, reward_sum, successors = outcomes(model, s, a)
    chosen = (n.cumsum() > draw * n.sum()).argmax()
    next_s = successors[chosen]
    return Transition(
        s=s,
        a=a,
        r=reward_sum[chosen] / n[chosen],
        next_s=next_s,
        terminated=model.absorbing[next_s],
        truncated=jnp.bool_(False),
    )
