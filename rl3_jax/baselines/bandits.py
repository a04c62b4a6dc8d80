"""Classic algorithms for Bernoulli bandits."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax.baselines.common import Baseline, Number
from rl3_jax.object_rl import ModelBased, Transition
from rl3_jax.object_rl.tabular_model import Experience
from rl3_jax.tasks import Action, BanditTask, Task
from rl3_jax.trial import TrialEnv, TrialState


@struct.dataclass(kw_only=True)
class BanditBaseline(Baseline):
    """A baseline that remembers the pulls of each arm and the rewards they paid.

    Attributes:
      prior_wins: α of each arm's prior Beta(α, β); α = β = 1 is that of the base variation.
      prior_losses: β.
    """

    prior_wins: Number = 1.0
    prior_losses: Number = 1.0

    def init(self, env: TrialEnv, task: Task) -> Experience:
        """Return the memory of no pulls. The task is not looked at."""
        return ModelBased().init(env.object_rl.table)

    def learn(self, env: TrialEnv, memory: Experience, transition: Transition) -> Experience:
        """Count one pull."""
        return ModelBased().update(env.object_rl.table, memory, transition)

    def posterior(self, memory: Experience) -> tuple[Float[Array, " A"], Float[Array, " A"]]:
        """Return the two parameters of each arm's Beta posterior, α + wins and β + losses."""
        wins = memory.reward_sum
        return self.prior_wins + wins, self.prior_losses + memory.counts - wins


@struct.dataclass
class EpsilonGreedy(BanditBaseline):
    """ε-greedy: the first arm of the largest posterior mean, or with probability ε a uniformly drawn one.

    Sources: Sutton and Barto 2018, section 2.2; posterior means and the order of equal arms are what gives
    the returns of Duan et al. 2016 (arXiv 1611.02779, table 1); mean rewards do not (docs/measurements.md).

    Attributes:
      epsilon: ε, tuned per setting in `baselines/registry.py`. With 0 this is the greedy baseline.
    """

    epsilon: Number = 0.0

    def action(self, env: TrialEnv, memory: Experience, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return an arm. The key is consumed."""
        key_explores, key_arm = jax.random.split(key)
        explores = jax.random.uniform(key_explores) < self.epsilon
        arm = jax.random.randint(key_arm, (), 0, env.num_actions)
        wins, losses = self.posterior(memory)
        return jnp.where(explores, arm, (wins / (wins + losses)).argmax())


@struct.dataclass
class Ucb1(BanditBaseline):
    """UCB1: argmax_a μ(a) + c √(ln t / n'(a)), the first among equals.

    With t pulls so far, μ(a) = (α + wins)/n'(a) is the mean of the arm's posterior and n'(a) = α + β + n(a)
    its pulls with those that the prior stands for. α = β = 0 makes it the textbook's rule.

    Source: Auer, Cesa-Bianchi and Fischer 2002, figure 1, without a prior and with c = √2, which explores far
    too much in trials this short. The prior is how we reach the tuned UCB1 of Duan et al. 2016 (arXiv
    1611.02779, table 1); without it no c does (docs/measurements.md).

    Attributes:
      exploration: c, tuned per setting in `baselines/registry.py`; the default is for k=5, H=100.
    """

    exploration: Number = 0.28

    def index(self, memory: Experience) -> Float[Array, " A"]:
        """Return μ(a) + c √(ln t / n'(a)), ∞ where n'(a) = 0; ln t counts as 0 before the first pull."""
        wins, losses = self.posterior(memory)
        pulls = wins + losses
        seen = jnp.where(pulls > 0.0, pulls, 1.0)
        width = jnp.sqrt(jnp.log(jnp.maximum(memory.counts.sum(), 1.0)) / seen)
        return jnp.where(pulls > 0.0, wins / seen + self.exploration * width, jnp.inf)

    def action(self, env: TrialEnv, memory: Experience, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return the arm of the largest index. The key is not used."""
        return self.index(memory).argmax()


@struct.dataclass
class Thompson(BanditBaseline):
    """Thompson sampling: argmax_a of one draw from each arm's posterior Beta(α + wins, β + losses).

    Source: Thompson 1933; for Bernoulli bandits with Beta priors, Chapelle and Li 2011, algorithm 2.
    """

    def action(self, env: TrialEnv, memory: Experience, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return the arm whose drawn success probability is largest. The key is consumed."""
        return log_odds_draws(key, *self.posterior(memory)).argmax()


@struct.dataclass
class OptimisticThompson(BanditBaseline):
    """Optimistic Thompson sampling: of N draws of all arms, act on the one of highest posterior density.

    The density of success probabilities p is ∏_a p(a)^(α + wins − 1) (1 − p(a))^(β + losses − 1), up to a
    factor. N = 1 is Thompson sampling; as N grows it comes near to acting on the posterior's mode.

    Source: Duan et al. 2016 (arXiv 1611.02779, section 3.1), who tune N.

    Attributes:
      num_samples: N, tuned per setting in `baselines/registry.py`; the default is for k=5, H=100.
    """

    num_samples: int = struct.field(pytree_node=False, default=32)

    def action(self, env: TrialEnv, memory: Experience, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return the arm whose success probability is largest in the draw acted on. The key is consumed."""
        wins, losses = self.posterior(memory)
        shape = (self.num_samples, *wins.shape)
        log_odds = log_odds_draws(key, jnp.broadcast_to(wins, shape), jnp.broadcast_to(losses, shape))
        return log_odds[log_density(log_odds, wins, losses).argmax()].argmax()


@struct.dataclass
class BestArm(Baseline):
    """The clairvoyant optimum: the best arm, whose expected return is H · A/(A + 1) in the base variation."""

    def init(self, env: TrialEnv, task: BanditTask) -> Int[Array, ""]:
        """Return the best arm."""
        return task.success_probability.argmax()

    def action(self, env: TrialEnv, memory: Array, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return the best arm. The key is not used."""
        return memory


def log_density(
    log_odds: Float[Array, "N A"], wins: Float[Array, " A"], losses: Float[Array, " A"]
) -> Float[Array, " N"]:
    """Return Σ_a (α − 1) log p(a) + (β − 1) log(1 − p(a)): log densities of Beta draws, up to a constant."""
    log_p, log_q = jax.nn.log_sigmoid(log_odds), jax.nn.log_sigmoid(-log_odds)
    return ((wins - 1.0) * log_p + (losses - 1.0) * log_q).sum(axis=1)


def log_odds_draws(
    key: PRNGKeyArray, wins: Float[Array, "*n"], losses: Float[Array, "*n"]
) -> Float[Array, "*n"]:
    """Return log p/(1 − p), one draw p ~ Beta(α, β) for each α in `wins` and β in `losses`.

    The key is consumed. p/(1 − p) is the ratio of a draw from Gamma(α) and one from Gamma(β); its logarithm
    does not round near p = 1. `jax.random.beta` is slower on a CPU (docs/measurements.md).
    """
    # One flat row: on a CPU, loops over short last axes are slower (docs/measurements.md).
    log_g = log_gamma_draws(key, jnp.concatenate([wins.ravel(), losses.ravel()]))
    return (log_g[: wins.size] - log_g[wins.size :]).reshape(wins.shape)


def log_gamma_draws(key: PRNGKeyArray, shape: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return log g, one draw g ~ Gamma(a) for each a > 0 in `shape`. The key is consumed.

    Marsaglia and Tsang 2000: with d = a − 1/3 and c = 1/√(9d), draw x ~ Normal(0, 1) and u ~ U(0, 1) and
    let v = (1 + cx)³; then g = dv if v > 0 and log u < x²/2 + d(1 − v + log v), else draw again: at most 5 %
    of the draws. It needs a ≥ 1; for a smaller a, g = g' u^(1/a) with g' ~ Gamma(a + 1) (their section 6).
    """
    key_rounds, key_boost = jax.random.split(key)
    small = shape < 1.0
    d = jnp.where(small, shape + 1.0, shape) - 1.0 / 3.0
    c = 1.0 / jnp.sqrt(9.0 * d)

    def propose(carry: tuple[Int[Array, ""], Array, Bool[Array, "*n"]]):
        time, log_v, accepted = carry
        key_x, key_u = jax.random.split(jax.random.fold_in(key_rounds, time))
        x = jax.random.normal(key_x, shape.shape)
        log_u = jnp.log1p(-jax.random.uniform(key_u, shape.shape))
        root = 1.0 + c * x
        proposed = 3.0 * jnp.log(jnp.maximum(root, jnp.finfo(root.dtype).tiny))
        bound = 0.5 * x**2 + d * (1.0 - root**3 + proposed)
        accepts = (root > 0.0) & (log_u < bound)
        return time + 1, jnp.where(accepted, log_v, proposed), accepted | accepts

    start = jnp.int32(0), jnp.zeros_like(d), jnp.zeros(d.shape, bool)
    _, log_v, _ = jax.lax.while_loop(lambda carry: ~carry[2].all(), propose, start)
    boost = jnp.log1p(-jax.random.uniform(key_boost, shape.shape)) / shape
    return jnp.log(d) + log_v + jnp.where(small, boost, 0.0)
