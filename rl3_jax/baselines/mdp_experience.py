"""What baselines for tabular MDPs with short episodes share: their memory, and one plan an episode."""

import dataclasses
import math

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.baselines.common import Baseline
from rl3_jax.baselines.planning import tied_action
from rl3_jax.object_rl import Transition
from rl3_jax.tasks import Task
from rl3_jax.trial import TrialEnv, TrialState

TRUE_PRIOR_REWARD = 1.0
"""m of the base variation (design, section 4)."""


@struct.dataclass
class MdpMemory:
    """Experience of one trial, and the values planned for this episode.

    Attributes:
      time: [] steps taken in this trial.
      triples: [H] flat index of each step's (s, a, s'); S·A·S for steps not yet taken.
      counts: [S, A] n(s,a), float32.
      reward_sum: [S, A] sum of the rewards of each pair.
      values: [L, S, A] what is planned, for k steps to go at index k − 1; L is the episode length.
    """

    time: Int[Array, ""]
    triples: Int[Array, " H"]
    counts: Float[Array, "S A"]
    reward_sum: Float[Array, "S A"]
    values: Float[Array, "L S A"]


@struct.dataclass
class EpisodePlanner(Baseline):
    """A baseline that plans at each episode's start and acts greedily on the plan; each overrides `plan`.

    Attributes:
      prior_reward: m, what a pair never tried is expected to pay. 1 is the truth of the base variation; 0
        gives the figures of Duan et al. 2016.
    """

    prior_reward: Float[Array, ""] | float = TRUE_PRIOR_REWARD

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

    def act(
        self,
        env: TrialEnv,
        memory: MdpMemory,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[MdpMemory, Int[Array, ""]]:
        """Return an action of the largest planned value, drawn evenly among equals. The key is consumed."""
        return memory, tied_action(env, memory.values, state, key)

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


def triple_counts(memory: MdpMemory) -> Float[Array, "S A S"]:
    """Return n(s,a,s'), how often each triple was seen."""
    num_states, num_actions = memory.counts.shape
    flat = jnp.zeros(num_states * num_actions * num_states)
    return flat.at[memory.triples].add(1.0, mode="drop").reshape(num_states, num_actions, num_states)


def likeliest_model(
    memory: MdpMemory, prior_reward: Float[Array, ""] | float
) -> tuple[Float[Array, "S A S"], Float[Array, "S A"]]:
    """Return the maximum-likelihood T and R.

    T(s'|s,a) = n(s,a,s')/n(s,a) and R(s,a) = Σ r/n(s,a); a pair never tried has T = 1/S and R = m.

    Args:
      memory: the experience.
      prior_reward: m.
    """
    tried = memory.counts > 0.0
    counts = jnp.maximum(memory.counts, 1.0)
    shares = triple_counts(memory) / counts[..., None]
    transition = jnp.where(tried[..., None], shares, 1.0 / len(counts))
    return transition, jnp.where(tried, memory.reward_sum / counts, prior_reward)


def mean_model(
    memory: MdpMemory, prior_reward: Float[Array, ""] | float
) -> tuple[Float[Array, "S A S"], Float[Array, "S A"]]:
    """Return the posterior's means of T and R.

    T(s'|s,a) = (1 + n(s,a,s'))/(S + n(s,a)) and R(s,a) = (m + Σ r)/(1 + n(s,a)), under the priors
    T(s,a,·) ~ Dirichlet(1, …, 1) and R(s,a) ~ Normal(m, 1), with rewards seen through noise Normal(0, 1).

    Args:
      memory: the experience.
      prior_reward: m.
    """
    total = len(memory.counts) + memory.counts
    transition = (1.0 + triple_counts(memory)) / total[..., None]
    return transition, (prior_reward + memory.reward_sum) / (1.0 + memory.counts)
