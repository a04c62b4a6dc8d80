"""Classic algorithms for Bernoulli bandits."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.baselines.common import Baseline
from rl3_jax.object_rl import ModelBased, Transition
from rl3_jax.object_rl.bandit_model import BanditModel
from rl3_jax.tasks import BanditTask, Task
from rl3_jax.trial import TrialEnv, TrialState


@struct.dataclass(kw_only=True)
class BanditBaseline(Baseline):
    """A baseline that remembers the pulls of each arm and the rewards they paid.

    Attributes:
      prior_wins: α of each arm's prior Beta(α, β); 1 with β = 1 is U(0, 1), the true prior of the base
        variation.
      prior_losses: β of the prior.
    """

    prior_wins: Float[Array, ""] | float = 1.0
    prior_losses: Float[Array, ""] | float = 1.0

    def init(self, env: TrialEnv, task: Task) -> BanditModel:
        """Return the memory of no pulls. The task is not looked at."""
        return ModelBased().init(env.object_rl.table)

    def learn(self, env: TrialEnv, memory: BanditModel, transition: Transition) -> BanditModel:
        """Count one pull."""
        return ModelBased().update(env.object_rl.table, memory, transition)

    def posterior(self, memory: BanditModel) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
        """Return the two parameters of each arm's Beta posterior, α + wins and β + losses."""
        wins = memory.reward_sum
        return self.prior_wins + wins, self.prior_losses + memory.counts - wins

    def posterior_mean(self, memory: BanditModel) -> Float[Array, " A"]:
        """Return the mean success probability of each arm, (α + wins)/(α + β + n)."""
        wins, losses = self.posterior(memory)
        return wins / (wins + losses)


@struct.dataclass
class EpsilonGreedy(BanditBaseline):
    """ε-greedy: the first arm of the largest posterior mean, or with probability ε a uniformly drawn one.

    Sources: Sutton and Barto 2018, section 2.2; the estimate, which starts at the prior's mean so that an
    arm is left only once it pays less than half the time, and the order of equal arms are those that give
    the returns of Duan et al. 2016 (arXiv 1611.02779, table 1); mean rewards do not (docs/measurements.md).

    Attributes:
      epsilon: ε; tuned per setting, see `tuned.py`. With 0 this is the greedy baseline.
    """

    epsilon: Float[Array, ""] | float = 0.0

    def act(
        self,
        env: TrialEnv,
        memory: BanditModel,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[BanditModel, Int[Array, ""]]:
        """Return an arm. The key is consumed."""
        key_explores, key_arm = jax.random.split(key)
        explores = jax.random.uniform(key_explores) < self.epsilon
        arm = jax.random.randint(key_arm, (), 0, env.num_actions)
        return memory, jnp.where(explores, arm, self.posterior_mean(memory).argmax())


@struct.dataclass
class Ucb1(BanditBaseline):
    """UCB1: argmax_a μ(a) + c √(ln t / n'(a)), the first among equals.

    With t pulls so far, μ(a) = (α + wins)/n'(a) is the mean of the arm's posterior and n'(a) = α + β + n(a)
    its pulls with those that the prior stands for. Priors of α = β = 0 make it the textbook's rule: mean
    rewards and pulls, and each arm once first.

    Source: Auer, Cesa-Bianchi and Fischer 2002, figure 1, without a prior; their c = √2 has a regret bound
    for every bandit and explores far too much in trials this short. The prior is how we reach the tuned
    UCB1 of Duan et al. 2016 (arXiv 1611.02779, table 1); without it no c does (docs/measurements.md).

    Attributes:
      exploration: c; tuned per setting, see `tuned.py`; the default is for k=5, H=100.
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
        """Return the arm of the largest index. The key is not used."""
        return memory, ucb1_index(*self.posterior(memory), memory.counts.sum(), self.exploration).argmax()


def ucb1_index(
    wins: Float[Array, " A"],
    losses: Float[Array, " A"],
    time: Float[Array, ""],
    exploration: Float[Array, ""] | float,
) -> Float[Array, " A"]:
    """Return wins/(wins + losses) + c √(ln t / (wins + losses)) of each arm, ∞ where both are 0.

    Args:
      wins: [A] rewards of 1 and those that the prior stands for.
      losses: [A] likewise, of 0.
      time: t, the pulls so far; ln t counts as 0 before the first.
      exploration: c.
    """
    pulls = wins + losses
    seen = jnp.where(pulls > 0.0, pulls, 1.0)
    width = jnp.sqrt(jnp.log(jnp.maximum(time, 1.0)) / seen)
    return jnp.where(pulls > 0.0, wins / seen + exploration * width, jnp.inf)


@struct.dataclass
class BestArm(Baseline):
    """The clairvoyant optimum: always the arm of the largest success probability; no hyperparameters.

    Expected return: H · A/(A + 1) in the base variation, the mean of the largest of A draws from U(0, 1).
    """

    def init(self, env: TrialEnv, task: BanditTask) -> Int[Array, ""]:
        """Return the best arm."""
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
        return memory, memory
