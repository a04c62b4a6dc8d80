"""The model as tables, and what it shares with the other models (design, section 5.1)."""

import dataclasses
from typing import Annotated, Any, Literal, TypeVar

import jax.numpy as jnp
from annotated_types import Ge
from flax import struct
from jax.nn import one_hot
from jaxtyping import Array, Bool, Float

from rl3_jax.constraints import Fraction, Natural, NonNegative
from rl3_jax.object_rl.base import TableSpec, Transition

Untried = Literal["uniform", "stay"]


@dataclasses.dataclass(frozen=True)
class Rule:
    """What makes a model of counts, and values of the model.

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
      prior_reward: m, what a pair never tried is believed to pay; values are of rewards less m.
      prior_count: w, how many rewards that belief is worth: R(s,a) = Σ (r − m)/(n(s,a) + w), the mean of the
        posterior of normal rewards, and of Bernoulli ones with the prior Beta(wm, w(1 − m)). 0: maximum
        likelihood, of each triple.
    """

    smoothing: NonNegative = 0.1
    untried: Untried = "uniform"
    discount: Fraction = 0.95
    tolerance: Annotated[float, Ge(0), "0 for fixed sweeps"] = 0.01
    max_sweeps: Annotated[int, Ge(0), "0 for the episode length"] = 0
    warm_start_length: Natural = 100
    prior_reward: float = 0.0
    prior_count: NonNegative = 0.0


@struct.dataclass
class Experience:
    """The rewards of each triple, or arm, in one trial; one array, which a step changes in one operation.

    Attributes:
      numbers: [2, *triples] n, float32, and the sum of the n rewards; [3, *triples] with their Σ (r − r̄)²
        where standard errors are asked for.
    """

    numbers: Float[Array, "n ..."]

    @classmethod
    def none(cls, triples: tuple[int, ...], standard_errors: bool) -> "Experience":
        """Return that of no rewards."""
        return cls(jnp.zeros((3 if standard_errors else 2, *triples)))

    @property
    def counts(self) -> Float[Array, "*triples"]:
        """How many rewards each triple has had."""
        return self.numbers[0]

    @property
    def reward_sum(self) -> Float[Array, "*triples"]:
        """Their sums."""
        return self.numbers[1]

    @property
    def spread(self) -> Float[Array, "*triples"] | None:
        """Their Σ (r − r̄)², or None if it is not kept."""
        return self.numbers[2] if len(self.numbers) > 2 else None

    def of(self, *index: Any) -> Array:
        """Return counts and sums of rewards [2, …] of the triples at an index, read in one operation."""
        return self.numbers[:2, *index]

    def gain(self, triple: tuple[Any, ...], reward: Float[Array, ""]) -> Float[Array, " n"]:
        """Return what one more reward adds to the numbers of the triple with this index.

        Σ (r − r̄)² never subtracts large sums (Welford 1962).
        """
        gain = [jnp.float32(1.0), reward]
        if len(self.numbers) > 2:
            n, reward_sum, _ = self.numbers[:, *triple]
            before, after = reward_sum / jnp.maximum(n, 1.0), (reward_sum + reward) / (n + 1.0)
            gain.append((reward - before) * (reward - after))
        return jnp.stack(gain)

    def after(self, triple: tuple[Any, ...], reward: Float[Array, ""]) -> "Experience":
        """Return it after one more reward of the triple with this index."""
        return Experience(self.numbers.at[:, *triple].add(self.gain(triple, reward)))


@struct.dataclass
class Counts:
    """Experience of one trial with the triples (s,a,s').

    Attributes:
      experience: [S, A, S] the rewards of each triple.
      counting: [S] the states that count as successors: all, or those met where states are discovered.
      absorbing: [S] whether a state has been seen as absorbing; its value is 0.
    """

    experience: Experience
    counting: Bool[Array, " S"]
    absorbing: Bool[Array, " S"]


@struct.dataclass
class TabularModel(Counts):
    """Experience, and the model it implies: T(s'|s,a) = (n(s,a,s') + α)/(n(s,a) + αM).

    It is 0 for a successor that does not count, and for a pair never tried 1/M, or 1 for s' = s where such
    pairs stay.

    Attributes:
      weight: [S, A, S] T(s'|s,a), times the total if there is one.
      total: [S, A] what weights are to be divided by, or None if they were.
      reward: [S, A] expected reward Σ_s' T(s'|s,a) r̄(s,a,s'), or with a prior Σ (r − m)/(n(s,a) + w).
    """

    weight: Float[Array, "S A S"]
    total: Float[Array, "S A"] | None
    reward: Float[Array, "S A"]

    @property
    def transition(self) -> Float[Array, "S A S"]:
        """T(s'|s,a)."""
        return self.weight if self.total is None else self.weight / self.total[..., None]


def init(spec: TableSpec) -> Counts:
    """Return the experience of a learner that has seen nothing."""
    num_states, num_actions = spec.num_states, spec.num_actions
    triples = (num_states, num_actions, num_states)
    return Counts(
        experience=Experience.none(triples, spec.standard_errors),
        counting=jnp.full(num_states, not spec.discovered),
        absorbing=jnp.zeros(num_states, bool),
    )


TCounts = TypeVar("TCounts", bound=Counts)


def count(spec: TableSpec, counts: TCounts, transition: Transition) -> TCounts:
    """Count one transition, without the model that it implies."""
    s, a, next_s = transition.s, transition.a, transition.next_s
    # Small tables are masked, not scattered to: an accelerator fuses that with what reads them.
    before, after = (one_hot(state, spec.num_states, dtype=bool) for state in (s, next_s))
    return dataclasses.replace(
        counts,
        experience=counts.experience.after((s, a, next_s), transition.r),
        counting=counts.counting | before | after if spec.discovered else counts.counting,
        absorbing=counts.absorbing | (after & transition.terminated),
    )


def model_of(counts: Counts, rule: Rule) -> TabularModel:
    """Return the model that experience implies, not yet divided by its totals."""
    own = jnp.eye(len(counts.counting), dtype=bool)[:, None] if rule.untried == "stay" else None
    rows = _rows(counts.experience.of(), counts.counting, rule, own)
    return TabularModel(counts.experience, counts.counting, counts.absorbing, *rows)


def divided(model: TabularModel) -> TabularModel:
    """Return the same model with its weights divided by their totals."""
    return dataclasses.replace(model, weight=model.transition, total=None)


def update(spec: TableSpec, model: TabularModel, transition: Transition, rule: Rule) -> TabularModel:
    """Count one transition and refresh the row of its pair, of a model that is `divided`.

    Where states are discovered, other rows would change, too.
    """
    s, a = transition.s, transition.a
    model = count(spec, model, transition)
    weight, total, reward = _rows(model.experience.of(s, a), model.counting, rule)
    pair = one_hot(s, spec.num_states, dtype=bool)[:, None] & one_hot(a, spec.num_actions, dtype=bool)
    return dataclasses.replace(
        model,
        weight=model.weight.at[s, a].set(weight / total),
        reward=jnp.where(pair, reward, model.reward),
    )


def _rows(
    experience: Float[Array, "2 *pairs S"],
    counting: Bool[Array, " S"],
    rule: Rule,
    own: Bool[Array, "*#pairs S"] | None = None,
) -> tuple[Float[Array, "*pairs S"], Float[Array, " *pairs"], Float[Array, " *pairs"]]:
    """Return weight, total and reward of pairs, as in `TabularModel`.

    `experience` is that of `Experience.of`; `own` the state of a pair, to which it leads if never tried, or
    None if it then leads to all states that count, as smoothing has it.
    """
    counts, reward_sum = experience
    visits, weight = counts.sum(-1), (counts + rule.smoothing) * counting
    if own is not None:
        weight = jnp.where(visits[..., None] > 0.0, weight, own)
    # Where states are discovered, none counts before the first is met.
    total = jnp.maximum(weight.sum(-1), jnp.finfo(jnp.float32).tiny)
    if rule.prior_count:
        reward = reward_sum.sum(-1) / (visits + rule.prior_count)
    else:
        reward = (weight * reward_sum / jnp.maximum(counts, 1.0)).sum(-1) / total
    return weight, total, reward
