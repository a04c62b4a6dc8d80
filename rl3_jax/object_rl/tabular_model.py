"""The model as tables, and what it shares with the other models (design, section 5.1)."""

import dataclasses
from typing import Annotated, Any, Literal

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

    def after(self, triple: tuple[Any, ...], reward: Float[Array, ""]) -> "Experience":
        """Return it after one more reward of the triple with this index.

        Σ (r − r̄)² never subtracts large sums (Welford 1962).
        """
        if len(self.numbers) == 2:
            return Experience(self.numbers.at[:, *triple].add(jnp.stack([jnp.float32(1.0), reward])))
        n, reward_sum, spread = self.numbers[:, *triple]
        before, after = reward_sum / jnp.maximum(n, 1.0), (reward_sum + reward) / (n + 1.0)
        spread = spread + (reward - before) * (reward - after)
        return Experience(self.numbers.at[:, *triple].set(jnp.stack([n + 1.0, reward_sum + reward, spread])))


@struct.dataclass
class TabularModel:
    """Experience of one trial with the triples (s,a,s'), and the model it implies.

    The model is kept beside the experience since a step changes one row of it, while a planner
    reads all rows.

    Attributes:
      experience: [S, A, S] the rewards of each triple.
      counting: [S] the states that count as successors: all, or those met where states are discovered.
      transition: [S, A, S] T(s'|s,a) = (n(s,a,s') + α)/(n(s,a) + αM), 0 for a successor that does not
        count. For a pair never tried 1/M, or 1 for s' = s where such pairs stay.
      reward: [S, A] expected reward Σ_s' T(s'|s,a) r̄(s,a,s'), or with a prior Σ (r − m)/(n(s,a) + w).
      absorbing: [S] whether a state has been seen as absorbing; its value is 0.
    """

    experience: Experience
    counting: Bool[Array, " S"]
    transition: Float[Array, "S A S"]
    reward: Float[Array, "S A"]
    absorbing: Bool[Array, " S"]


def init(spec: TableSpec, untried: Untried = "uniform") -> TabularModel:
    """Return the model of a learner that has seen nothing."""
    num_states, num_actions = spec.num_states, spec.num_actions
    triples = (num_states, num_actions, num_states)
    never = _never_tried(untried, jnp.ones(num_states, bool))
    return TabularModel(
        experience=Experience.none(triples, spec.standard_errors),
        counting=jnp.full(num_states, not spec.discovered),
        transition=jnp.broadcast_to(never / never.sum(-1, keepdims=True), triples),
        reward=jnp.zeros((num_states, num_actions)),
        absorbing=jnp.zeros(num_states, bool),
    )


def count(model: TabularModel, transition: Transition) -> TabularModel:
    """Count one transition, without the model that it implies."""
    s, a, next_s = transition.s, transition.a, transition.next_s
    return dataclasses.replace(
        model,
        experience=model.experience.after((s, a, next_s), transition.r),
        # Small tables are masked, not scattered to: an accelerator fuses that with what reads them.
        absorbing=model.absorbing
        | (one_hot(next_s, len(model.absorbing), dtype=bool) & transition.terminated),
    )


def update(spec: TableSpec, model: TabularModel, transition: Transition, rule: Rule) -> TabularModel:
    """Count one transition and refresh the row of its pair, or all rows where states are discovered."""
    s, a, next_s = transition.s, transition.a, transition.next_s
    model = count(model, transition)
    if spec.discovered:
        # A state met for the first time changes M, and so every row.
        counting = model.counting.at[jnp.stack([s, next_s])].set(True)
        never = _never_tried(rule.untried, counting)
        probability, reward = _rows(model.experience.of(), counting, rule, never)
        return dataclasses.replace(model, counting=counting, transition=probability, reward=reward)
    # The pair has now been tried.
    probability, reward = _rows(model.experience.of(s, a), model.counting, rule, 0.0)
    num_states, num_actions = model.reward.shape
    pair = one_hot(s, num_states, dtype=bool)[:, None] & one_hot(a, num_actions, dtype=bool)
    return dataclasses.replace(
        model,
        transition=model.transition.at[s, a].set(probability),
        reward=jnp.where(pair, reward, model.reward),
    )


def _never_tried(untried: Untried, counting: Bool[Array, " S"]) -> Float[Array, "*#pairs S"]:
    """Return T(·|s,a) of pairs never tried, up to a factor; axes of pairs are left out or broadcast."""
    return jnp.eye(len(counting))[:, None] if untried == "stay" else counting.astype(jnp.float32)


def _rows(
    experience: Float[Array, "2 *pairs S"],
    counting: Bool[Array, " S"],
    rule: Rule,
    never: Float[Array, "*#pairs S"] | float,
) -> tuple[Float[Array, "*pairs S"], Float[Array, " *pairs"]]:
    """Return T(·|s,a) and the expected reward of pairs: Σ_s' T(s'|s,a) r̄(s,a,s'), or with a prior its mean.

    See `Experience.of` and `_never_tried`.
    """
    counts, reward_sum = experience
    total = counts.sum(-1, keepdims=True)
    weight = jnp.where(total > 0.0, (counts + rule.smoothing) * counting, never)
    probability = weight / weight.sum(-1, keepdims=True)
    if rule.prior_count:
        return probability, reward_sum.sum(-1) / (total[..., 0] + rule.prior_count)
    mean_reward = reward_sum / jnp.maximum(counts, 1.0)
    return probability, (probability * mean_reward).sum(-1)
