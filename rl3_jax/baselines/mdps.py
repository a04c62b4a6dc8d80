"""Classic algorithms for tabular MDPs with short episodes, which plan once an episode."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.baselines.common import Baseline, Number
from rl3_jax.baselines.planning import (
    MdpMemory,
    Model,
    backward_induction,
    likeliest_model,
    mean_model,
    optimistic_transition,
)
from rl3_jax.object_rl import Transition
from rl3_jax.tasks import Action, MdpTask, Task
from rl3_jax.trial import TrialEnv, TrialState

TRUE_PRIOR_REWARD = 1.0
"""m of the base variation (design, section 4)."""
TIE = 1e-4
"""Values this near count as equal: sums that are equal by symmetry differ in their rounding."""
CONFIDENCE = 0.05
"""δ of UCRL2's confidence sets; changes of it are changes of their scale."""


@struct.dataclass
class EpisodePlanner(Baseline):
    """A baseline that plans at each episode's start and acts greedily on the plan; each overrides `plan`.

    Attributes:
      prior_reward: m, what a pair never tried is expected to pay. 1 is the truth of the base variation; 0
        gives the figures of Duan et al. 2016.
    """

    prior_reward: Number = TRUE_PRIOR_REWARD

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return values Q_k for k = 1, …, L steps to go, at index k − 1. The key is consumed."""
        raise NotImplementedError

    def init(self, env: TrialEnv, task: Task) -> MdpMemory:
        """Return the memory of no steps. The task is not looked at."""
        pairs = (env.family.num_states, env.num_actions)
        num_triples = math.prod(pairs) * env.family.num_states
        return MdpMemory(
            time=jnp.int32(0),
            triples=jnp.full(env.horizon, num_triples, jnp.int32),
            counts=jnp.zeros(pairs),
            reward_sum=jnp.zeros(pairs),
            values=jnp.zeros((env.episode_length, *pairs)),
        )

    def begin_episode(
        self, env: TrialEnv, memory: MdpMemory, state: TrialState, key: PRNGKeyArray
    ) -> MdpMemory:
        """Return the memory with a plan for this episode. The key is consumed."""
        return dataclasses.replace(memory, values=self.plan(env, memory, key))

    def action(self, env: TrialEnv, memory: MdpMemory, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return an action of the largest planned value, drawn evenly among equals. The key is consumed."""
        q = memory.values[steps_to_go(env, state) - 1, state.inner.s]
        return jnp.where(q >= q.max() - TIE, jax.random.uniform(key, q.shape), -1.0).argmax()

    def learn(self, env: TrialEnv, memory: MdpMemory, transition: Transition) -> MdpMemory:
        """Record one step."""
        s, a, next_s = transition.s, transition.a, transition.next_s
        triple = (s * env.num_actions + a) * env.family.num_states + next_s
        return dataclasses.replace(
            memory,
            time=memory.time + 1,
            triples=memory.triples.at[memory.time].set(triple),
            counts=memory.counts.at[s, a].add(1.0),
            reward_sum=memory.reward_sum.at[s, a].add(transition.r),
        )


def steps_to_go(env: TrialEnv, state: TrialState) -> Int[Array, ""]:
    """Return min(episode length − step within the episode, H − t): H may cut the last episode short."""
    return jnp.minimum(env.episode_length - state.inner.time, env.horizon - state.time)


@struct.dataclass
class ModelGreedy(EpisodePlanner):
    """ε-greedy on the maximum-likelihood model, planned anew at each episode's start.

    Pairs never tried lead to each state alike and pay m. The greedy action is drawn evenly among equals,
    which gives the figures of Duan et al. 2016, section 3.2, with m = 0 and ε = 0 or 0.1.

    Attributes:
      epsilon: ε, tuned per setting in `baselines/registry.py`. With 0 this is the greedy baseline.
    """

    epsilon: Number = 0.0

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return the values of the maximum-likelihood model. The key is not used."""
        return backward_induction(*likeliest_model(memory, self.prior_reward), env.episode_length)

    def action(self, env: TrialEnv, memory: MdpMemory, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return an action. The key is consumed."""
        key_explore, key_random, key_greedy = jax.random.split(key, 3)
        explores = jax.random.uniform(key_explore) < self.epsilon
        anything = jax.random.randint(key_random, (), 0, env.num_actions)
        return jnp.where(explores, anything, super().action(env, memory, state, key_greedy))


@struct.dataclass
class Psrl(EpisodePlanner):
    """Posterior sampling: at each episode's start, draw a task from the posterior and plan on it.

    Priors are those of `mean_model`. A smaller m than the true one explores less, which pays in short trials
    (docs/measurements.md).

    Source: Osband, Russo and Van Roy 2013, algorithm 1; Strens 2000.
    """

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return the values of one task drawn from the posterior. The key is consumed."""
        return backward_induction(*self.sample_task(memory, key), env.episode_length)

    def sample_task(self, memory: MdpMemory, key: PRNGKeyArray) -> Model:
        """Return T and R drawn from the posterior. The key is consumed.

        T(s,a,·) ~ Dirichlet(1 + n(s,a,·)) and R(s,a) ~ Normal((m + Σ r)/(1 + n(s,a)), 1/(1 + n(s,a))).

        A Dirichlet draw is Gamma(1 + n) draws, normalised, and each of those is a sum of 1 + n exponentials:
        on a CPU much faster than `jax.random.gamma` (docs/measurements.md).
        """
        key_transition, key_reward = jax.random.split(key)
        triples = (*memory.counts.shape, len(memory.counts))
        num_triples = math.prod(triples)
        # Drawn flat: XLA compiles random bits of rank 3 far more slowly (docs/measurements.md).
        draws = jax.random.exponential(key_transition, (num_triples + len(memory.triples),))
        gamma = draws[:num_triples].at[memory.triples].add(draws[num_triples:], mode="drop").reshape(triples)
        precision = 1.0 + memory.counts
        deviation = jax.random.normal(key_reward, (precision.size,)).reshape(precision.shape)
        mean_reward = (self.prior_reward + memory.reward_sum) / precision + deviation / jnp.sqrt(precision)
        return gamma / gamma.sum(-1, keepdims=True), mean_reward


@struct.dataclass
class Opsrl(Psrl):
    """Optimistic posterior sampling: plan on N tasks drawn from the posterior, take each value's largest.

    Q_k(s,a) = max_i Q_k^i(s,a), with Q^i the optimal values of the i-th drawn task. One sample is `Psrl`.

    Source: Osband and Van Roy 2017; named and measured in Duan et al. 2016, section 3.2.

    Attributes:
      num_samples: N, tuned per setting in `baselines/registry.py`; the default is for H=100 and m = 1.
    """

    num_samples: int = struct.field(pytree_node=False, default=20)

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return the elementwise largest of the values of N drawn tasks. The key is consumed."""

        def larger(values, key):
            return jnp.maximum(values, Psrl.plan(self, env, memory, key)), None

        keys = jax.random.split(key, self.num_samples)
        return jax.lax.scan(larger, jnp.full_like(memory.values, -jnp.inf), keys)[0]


@struct.dataclass
class Ucrl2(EpisodePlanner):
    """UCRL2: plan on the best task of a confidence set about the maximum-likelihood model.

    The set holds each task with |R(s,a) − r̄(s,a)| ≤ c √(7 ln(2SAt/δ) / (2 max(1, n(s,a)))) and
    ‖T(s,a,·) − T̂(s,a,·)‖₁ ≤ c √(14 S ln(2At/δ) / max(1, n(s,a))), t steps into the trial and δ = 0.05.

    Source: Jaksch, Ortner and Auer 2010, figure 1, with c = 1 and rewards in [0, 1]; they plan without
    episodes, when a count has doubled. With m = 0 and c tuned this gives the figures of Duan et al. 2016,
    section 3.2, at 10, 25 and 50 episodes.

    Attributes:
      scale: c, tuned per setting in `baselines/registry.py`; the default is for H=100 and m = 1.
    """

    scale: Number = 0.15

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return the values of the best task of the confidence set. The key is not used."""
        transition, reward = likeliest_model(memory, self.prior_reward)
        reward_width, radius = self.confidence_widths(memory)
        return backward_induction(transition, reward + reward_width, env.episode_length, radius)

    def confidence_widths(self, memory: MdpMemory) -> tuple[Float[Array, "S A"], Float[Array, "S A"]]:
        """Return how far the mean reward and, in L1, the transition probabilities of each pair may be off."""
        num_states, num_actions = memory.counts.shape
        counts, time = jnp.maximum(memory.counts, 1.0), jnp.maximum(memory.time, 1)
        reward = 3.5 * jnp.log(2 * num_states * num_actions * time / CONFIDENCE)
        transition = 14 * num_states * jnp.log(2 * num_actions * time / CONFIDENCE)
        return self.scale * jnp.sqrt(reward / counts), self.scale * jnp.sqrt(transition / counts)


@struct.dataclass
class TabulaUcrl2(Ucrl2):
    """UCRL2 with the confidence sets of TabulaRL, in the e-th episode, with L = ln(2SA(e + 1)/δ).

    |R(s,a) − r̄(s,a)| ≤ c √(4L/max(1, n(s,a))) and ‖T(s,a,·) − T̂(s,a,·)‖₁ ≤ c √(4S L/max(1, n(s,a))).

    TabulaRL changes T̂ in place as it plans, so that each stage starts from the best T of the stage after it,
    but where that is certain of its next state (docs/measurements.md). It also leaves the last transition of
    an episode out of T̂ and n, which is not done here.

    Source: TabulaRL (github.com/iosband/TabulaRL), with which Duan et al. 2016 appear to have evaluated.

    Attributes:
      scale: c, tuned per setting in `baselines/registry.py`; the default is for H=100 and m = 0.
    """

    scale: Number = 0.4

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return the values of the best task of sets that move with the stages. The key is not used."""
        transition, reward = likeliest_model(memory, self.prior_reward)
        width, radius = self.confidence_widths(memory)

        def earlier(carry, _):
            q, transition = carry
            value = q.max(axis=-1)
            best, certain = optimistic_transition(transition, value, radius)
            q = reward + width + (best * value).sum(axis=-1)
            return (q, jnp.where(certain[..., None], transition, best)), q

        start = jnp.zeros_like(reward), transition
        return jax.lax.scan(earlier, start, length=env.episode_length)[1]

    def confidence_widths(self, memory: MdpMemory) -> tuple[Float[Array, "S A"], Float[Array, "S A"]]:
        """Return how far the mean reward and, in L1, the transition probabilities of each pair may be off."""
        num_states, num_actions = memory.counts.shape
        episode = memory.time // len(memory.values) + 1
        log = jnp.log(2 * num_states * num_actions * (episode + 1) / CONFIDENCE)
        width = self.scale * jnp.sqrt(4.0 * log / jnp.maximum(memory.counts, 1.0))
        return width, width * num_states**0.5


@struct.dataclass
class Beb(EpisodePlanner):
    """Bayesian exploration bonus: plan on the posterior's mean, where each pair pays β/(1 + S + n(s,a)) more.

    Source: Kolter and Ng 2009, section 3.1: S + n(s,a) is the sum of the Dirichlet posterior's parameters.
    A bonus of β/(1 + n(s,a)) would only be a prior with the mean m + β. With m = 0 this bonus gives the
    figures of Duan et al. 2016.

    Attributes:
      bonus: β, tuned per setting in `baselines/registry.py`; the default is for H=100 and m = 1.
    """

    bonus: Number = 12.0

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return the values of the mean model with the bonus. The key is not used."""
        transition, reward = mean_model(memory, self.prior_reward)
        reward = reward + self.bonus / (1.0 + len(reward) + memory.counts)
        return backward_induction(transition, reward, env.episode_length)


@struct.dataclass
class TabulaBeb(EpisodePlanner):
    """The Bayesian exploration bonus of TabulaRL, on the posterior's mean, with episodes of L steps.

    Each pair pays 1/(2 + n(s,a)) more, and with k steps to go (k − 1) β L/(1 + S + n(s,a)), where β = 2c L².
    TabulaRL leaves the last transition of an episode out of T and the second n, which is not done here.

    Source: TabulaRL (github.com/iosband/TabulaRL), with which Duan et al. 2016 appear to have evaluated.

    Attributes:
      scale: c, tuned per setting in `baselines/registry.py`; the default is for H=100 and m = 0.
    """

    scale: Number = 0.0016

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return the values of the mean model with the bonuses. The key is not used."""
        transition, reward = mean_model(memory, self.prior_reward)
        num_steps = env.episode_length
        later = 2.0 * self.scale * num_steps**3 / (1.0 + len(reward) + memory.counts)
        stages = jnp.arange(num_steps, dtype=jnp.float32)[:, None, None]
        rewards = reward + 1.0 / (2.0 + memory.counts) + stages * later
        return backward_induction(transition, rewards, num_steps)


@struct.dataclass
class Clairvoyant(Baseline):
    """The clairvoyant optimum: backward induction on the true task."""

    def init(self, env: TrialEnv, task: MdpTask) -> Float[Array, "L S A"]:
        """Return Q_k of the true task: one plan serves all episodes."""
        return backward_induction(task.transition, task.mean_reward, env.episode_length)

    def action(self, env: TrialEnv, memory: Array, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return the optimal action, the first among equals. The key is not used."""
        return memory[steps_to_go(env, state) - 1, state.inner.s].argmax()
