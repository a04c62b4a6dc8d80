"""Classic algorithms for tabular MDPs with short episodes."""

import dataclasses
import math

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.baselines.common import Baseline
from rl3_jax.baselines.planning import backward_induction, greedy_action
from rl3_jax.object_rl import Transition
from rl3_jax.tasks import MdpTask, Task
from rl3_jax.trial import TrialEnv, TrialState


@struct.dataclass
class PsrlMemory:
    """Experience of one trial, and the values planned for this episode.

    Attributes:
      time: [] steps taken in this trial.
      triples: [H] flat index of each step's (s, a, s'); S·A·S for steps not yet taken.
      counts: [S, A] n(s,a), float32.
      reward_sum: [S, A] sum of the rewards of each pair.
      values: [L, S, A] Q_k of the drawn task for k steps to go, L the episode length.
    """

    time: Int[Array, ""]
    triples: Int[Array, " H"]
    counts: Float[Array, "S A"]
    reward_sum: Float[Array, "S A"]
    values: Float[Array, "L S A"]


@struct.dataclass
class Psrl(Baseline):
    """Posterior sampling: at each episode's start, draw a task from the posterior and plan on it.

    Actions are optimal for the drawn task over the steps of this episode (Osband, Russo and Van Roy 2013,
    algorithm 1; Strens 2000). Priors: T(s,a,·) ~ Dirichlet(1, …, 1), mean reward of each pair
    ~ Normal(m, 1); rewards are observed with noise Normal(0, 1). In the base variation m = 1 is the truth.

    The true m does not score best: a smaller one explores less, which pays in short trials. At H=100, on
    4000 tuning tasks, standard error 0.4:

        m        0     0.5       1       2
        return   137.9   136.3   133.5   126.8

    Attributes:
      prior_reward: m, what a pair never tried is expected to pay.
    """

    prior_reward: Float[Array, ""] | float = 1.0

    def init(self, env: TrialEnv, task: Task) -> PsrlMemory:
        """Return the memory of no steps. The task is not looked at."""
        del task
        pairs = (env.table.num_states, env.table.num_actions)
        num_triples = math.prod(pairs) * env.table.num_states
        return PsrlMemory(
            time=jnp.int32(0),
            triples=jnp.full(env.horizon, num_triples, jnp.int32),
            counts=jnp.zeros(pairs),
            reward_sum=jnp.zeros(pairs),
            values=jnp.zeros((env.table.episode_length, *pairs)),
        )

    def begin_episode(
        self, env: TrialEnv, memory: PsrlMemory, state: TrialState, key: PRNGKeyArray
    ) -> PsrlMemory:
        """Return the memory with values planned on one draw from the posterior. The key is consumed."""
        del state
        transition, mean_reward = self.sample_task(memory, key)
        values = backward_induction(transition, mean_reward, env.table.episode_length)
        return dataclasses.replace(memory, values=values)

    def act(
        self,
        env: TrialEnv,
        memory: PsrlMemory,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[PsrlMemory, Int[Array, ""]]:
        """Return the action that is optimal for the drawn task. The key is not used."""
        del observation, key
        return memory, greedy_action(env, memory.values, state)

    def learn(self, env: TrialEnv, memory: PsrlMemory, transition: Transition) -> PsrlMemory:
        """Record one step."""
        s, a, next_s = transition.s, transition.a, transition.next_s
        triple = (s * env.table.num_actions + a) * env.table.num_states + next_s
        return dataclasses.replace(
            memory,
            time=memory.time + 1,
            triples=memory.triples.at[memory.time].set(triple),
            counts=memory.counts.at[s, a].add(1.0),
            reward_sum=memory.reward_sum.at[s, a].add(transition.r),
        )

    def sample_task(
        self, memory: PsrlMemory, key: PRNGKeyArray
    ) -> tuple[Float[Array, "S A S"], Float[Array, "S A"]]:
        """Return transition probabilities and mean rewards drawn from the posterior. The key is consumed.

        T(s,a,·) ~ Dirichlet(1 + n(s,a,·)) and R(s,a) ~ Normal((m + Σ r)/(1 + n(s,a)), 1/(1 + n(s,a))).

        A Dirichlet draw is Gamma(1 + n) draws, normalised, and each of those is a sum of 1 + n
        exponentials: one for each triple and one for each step taken. That is exact, and on a CPU 70 times
        faster than `jax.random.gamma` (500 tasks, H=100: 2.7 against 191 ms).
        """
        key_transition, key_reward = jax.random.split(key)
        num_states, num_actions = memory.counts.shape
        num_triples = num_states * num_actions * num_states
        # Drawn flat: XLA compiles random bits of rank 3 six times slower.
        draws = jax.random.exponential(key_transition, (num_triples + len(memory.triples),))
        gamma = draws[:num_triples].at[memory.triples].add(draws[num_triples:], mode="drop")
        gamma = gamma.reshape(num_states, num_actions, num_states)
        precision = 1.0 + memory.counts
        deviation = jax.random.normal(key_reward, (num_states * num_actions,)).reshape(memory.counts.shape)
        mean_reward = (self.prior_reward + memory.reward_sum) / precision + deviation / jnp.sqrt(precision)
        return gamma / gamma.sum(-1, keepdims=True), mean_reward


@struct.dataclass
class Clairvoyant(Baseline):
    """The clairvoyant optimum: backward induction on the true task; no hyperparameters.

    It acts by Q_k for the k steps that are left of the episode, also where H cuts the last one short.
    """

    def init(self, env: TrialEnv, task: MdpTask) -> Float[Array, "L S A"]:
        """Return Q_k of the true task: one plan serves all episodes."""
        return backward_induction(task.transition, task.mean_reward, env.table.episode_length)

    def act(
        self,
        env: TrialEnv,
        memory: Float[Array, "L S A"],
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, "L S A"], Int[Array, ""]]:
        """Return the optimal action. The key is not used."""
        del observation, key
        return memory, greedy_action(env, memory, state)
