"""Posterior sampling for tabular MDPs with short episodes, plain and optimistic."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from rl3_jax.baselines.mdp_experience import EpisodePlanner, MdpMemory
from rl3_jax.baselines.planning import backward_induction
from rl3_jax.trial import TrialEnv


@struct.dataclass
class Psrl(EpisodePlanner):
    """Posterior sampling: at each episode's start, draw a task from the posterior and plan on it.

    Actions are optimal for the drawn task over the steps of this episode (Osband, Russo and Van Roy 2013,
    algorithm 1; Strens 2000). Priors: T(s,a,·) ~ Dirichlet(1, …, 1), mean reward of each pair
    ~ Normal(m, 1); rewards are observed with noise Normal(0, 1). In the base variation m = 1 is the truth.

    The true m does not score best: a smaller one explores less, which pays in short trials
    (docs/measurements.md).

    Attributes:
      prior_reward: m, what a pair never tried is expected to pay.
    """

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return the values of one task drawn from the posterior. The key is consumed."""
        transition, mean_reward = self.sample_task(memory, key)
        return backward_induction(transition, mean_reward, env.episode_length)

    def sample_task(
        self, memory: MdpMemory, key: PRNGKeyArray
    ) -> tuple[Float[Array, "S A S"], Float[Array, "S A"]]:
        """Return transition probabilities and mean rewards drawn from the posterior. The key is consumed.

        T(s,a,·) ~ Dirichlet(1 + n(s,a,·)) and R(s,a) ~ Normal((m + Σ r)/(1 + n(s,a)), 1/(1 + n(s,a))).

        A Dirichlet draw is Gamma(1 + n) draws, normalised, and each of those is a sum of 1 + n
        exponentials: one for each triple and one for each step taken. That is exact, and on a CPU much
        faster than `jax.random.gamma` (docs/measurements.md).
        """
        key_transition, key_reward = jax.random.split(key)
        num_states, num_actions = memory.counts.shape
        num_triples = num_states * num_actions * num_states
        # Drawn flat: XLA compiles random bits of rank 3 far more slowly (docs/measurements.md).
        draws = jax.random.exponential(key_transition, (num_triples + len(memory.triples),))
        gamma = draws[:num_triples].at[memory.triples].add(draws[num_triples:], mode="drop")
        gamma = gamma.reshape(num_states, num_actions, num_states)
        precision = 1.0 + memory.counts
        deviation = jax.random.normal(key_reward, (num_states * num_actions,)).reshape(memory.counts.shape)
        mean_reward = (self.prior_reward + memory.reward_sum) / precision + deviation / jnp.sqrt(precision)
        return gamma / gamma.sum(-1, keepdims=True), mean_reward


@struct.dataclass
class Opsrl(Psrl):
    """Optimistic posterior sampling: plan on N tasks drawn from the posterior, take each value's largest.

    Q_k(s,a) = max_i Q_k^i(s,a), with Q^i the optimal values of the i-th drawn task; priors as in `Psrl`.
    One sample is `Psrl`.

    Source: Osband and Van Roy 2017; named and measured in Duan et al. 2016, section 3.2.

    Attributes:
      num_samples: N; tuned per setting, see `tuned.py`; the default is for H=100 and m = 1.
    """

    num_samples: int = struct.field(pytree_node=False, default=20)

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return the elementwise largest of the values of N drawn tasks. The key is consumed."""

        def larger(values, key):
            return jnp.maximum(values, Psrl.plan(self, env, memory, key)), None

        keys = jax.random.split(key, self.num_samples)
        return jax.lax.scan(larger, jnp.full_like(memory.values, -jnp.inf), keys)[0]
