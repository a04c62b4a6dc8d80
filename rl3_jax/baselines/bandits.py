"""Classic algorithms for Bernoulli bandits."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.baselines.common import Baseline
from rl3_jax.object_rl import Transition, bandit_model
from rl3_jax.object_rl.bandit_model import BanditModel
from rl3_jax.tasks import BanditTask, Task
from rl3_jax.trial import TrialEnv, TrialState


@struct.dataclass
class BanditBaseline(Baseline):
    """A baseline that remembers the pulls of each arm and the rewards they paid."""

    def init(self, env: TrialEnv, task: Task) -> BanditModel:
        """Return the memory of no pulls. The task is not looked at."""
        del task
        return bandit_model.init(env.table)

    def learn(self, env: TrialEnv, memory: BanditModel, transition: Transition) -> BanditModel:
        """Count one pull."""
        del env
        return bandit_model.update(memory, transition)


@struct.dataclass
class Ucb1(BanditBaseline):
    """UCB1: each arm once, then argmax_a r̄(a) + c √(ln t / n(a)) with t pulls so far.

    Source: Auer, Cesa-Bianchi and Fischer 2002, figure 1. Their c = √2 has a regret bound for every bandit
    and explores far too much in trials this short. Mean return of c at k=5, H=100, on 400 000 tuning tasks
    (seed 0), the same for all; standard error 0.03, of a difference at most 0.01:

        c        0.10   0.15   0.20   0.26   0.28   0.30   0.32   0.36   0.40   0.50   0.70   1.00   √2
        return   76.87  77.14  77.35  77.50  77.51  77.51  77.50  77.38  77.12  75.97  73.50  69.85  65.96

    Other trials have other optima: near 0.35 at k=5, H=512; near 0.15 at k=10, H=100.

    Attributes:
      exploration: c; tuned, see the table.
    """

    exploration: Float[Array, ""] | float = 0.28

    def act(
        self,
        env: TrialEnv,
        memory: BanditModel,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[BanditModel, Int[Array, ""]]:
        """Return the arm of the largest index, the first among equals. The key is not used."""
        del env, state, observation, key
        return memory, ucb1_index(memory, self.exploration).argmax()


def ucb1_index(memory: BanditModel, exploration: Float[Array, ""] | float) -> Float[Array, " A"]:
    """Return r̄(a) + c √(ln t / n(a)) of each arm, ∞ for arms never pulled.

    Args:
      memory: the pulls so far, t = Σ_a n(a).
      exploration: c.
    """
    pulls = jnp.maximum(memory.counts, 1.0)
    log_time = jnp.log(jnp.maximum(memory.counts.sum(), 1.0))
    index = memory.reward_sum / pulls + exploration * jnp.sqrt(log_time / pulls)
    return jnp.where(memory.counts > 0.0, index, jnp.inf)


@struct.dataclass
class Thompson(BanditBaseline):
    """Thompson sampling: argmax_a of one draw from each arm's posterior Beta(α + wins, β + losses).

    Source: Thompson 1933; for Bernoulli bandits with Beta priors, Chapelle and Li 2011, algorithm 2.

    Attributes:
      prior_wins: α of the prior; 1 with β = 1 is U(0, 1), the true prior of the base variation.
      prior_losses: β of the prior.
    """

    prior_wins: Float[Array, ""] | float = 1.0
    prior_losses: Float[Array, ""] | float = 1.0

    def act(
        self,
        env: TrialEnv,
        memory: BanditModel,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[BanditModel, Int[Array, ""]]:
        """Return the arm whose drawn success probability is largest. The key is consumed."""
        del env, state, observation
        return memory, jax.random.beta(key, *self.posterior(memory)).argmax()

    def posterior(self, memory: BanditModel) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
        """Return the two parameters of each arm's Beta posterior."""
        wins = memory.reward_sum
        return self.prior_wins + wins, self.prior_losses + memory.counts - wins


@struct.dataclass
class BestArm(Baseline):
    """The clairvoyant optimum: always the arm of the largest success probability; no hyperparameters.

    Expected return: H · A/(A + 1) in the base variation, the mean of the largest of A draws from U(0, 1).
    """

    def init(self, env: TrialEnv, task: BanditTask) -> Int[Array, ""]:
        """Return the best arm."""
        del env
        return task.success_probability.argmax()

    def act(
        self,
        env: TrialEnv,
        memory: Int[Array, ""],
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Int[Array, ""], Int[Array, ""]]:
        """Return the best arm. The key is not used."""
        del env, state, observation, key
        return memory, memory
