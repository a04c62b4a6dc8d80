"""Thompson sampling for Bernoulli bandits, plain and optimistic."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.baselines.bandits import BanditBaseline
from rl3_jax.baselines.beta_draws import log_odds_draws
from rl3_jax.object_rl.bandit_model import BanditModel
from rl3_jax.trial import TrialEnv, TrialState


@struct.dataclass
class Thompson(BanditBaseline):
    """Thompson sampling: argmax_a of one draw from each arm's posterior Beta(α + wins, β + losses).

    Source: Thompson 1933; for Bernoulli bandits with Beta priors, Chapelle and Li 2011, algorithm 2. It has
    no hyperparameters but the prior.
    """

    def act(
        self,
        env: TrialEnv,
        memory: BanditModel,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[BanditModel, Int[Array, ""]]:
        """Return the arm whose drawn success probability is largest. The key is consumed."""
        return memory, log_odds_draws(key, *self.posterior(memory)).argmax()


@struct.dataclass
class OptimisticThompson(BanditBaseline):
    """Optimistic Thompson sampling: of N draws of all arms, act on the one of highest posterior density.

    The density of success probabilities p is ∏_a p(a)^(α + wins − 1) (1 − p(a))^(β + losses − 1), up to a
    factor. N = 1 is Thompson sampling; as N grows it comes near to acting on the posterior's mode.

    Source: Duan et al. 2016 (arXiv 1611.02779, section 3.1), who tune N.

    Attributes:
      num_samples: N; tuned per setting, see `tuned.py`; the default is for k=5, H=100.
    """

    num_samples: int = struct.field(pytree_node=False, default=32)

    def act(
        self,
        env: TrialEnv,
        memory: BanditModel,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[BanditModel, Int[Array, ""]]:
        """Return the arm whose success probability is largest in the draw acted on. The key is consumed."""
        wins, losses = self.posterior(memory)
        shape = (self.num_samples, *wins.shape)
        log_odds = log_odds_draws(key, jnp.broadcast_to(wins, shape), jnp.broadcast_to(losses, shape))
        chosen = log_density(log_odds, wins, losses).argmax()
        return memory, log_odds[chosen].argmax()


def log_density(
    log_odds: Float[Array, "N A"], wins: Float[Array, " A"], losses: Float[Array, " A"]
) -> Float[Array, " N"]:
    """Return Σ_a (α − 1) log p(a) + (β − 1) log(1 − p(a)): log densities of Beta draws, up to a constant.

    Args:
      log_odds: [N, A] log p/(1 − p) of each draw.
      wins: [A] α of each arm's posterior.
      losses: [A] β likewise.
    """
    log_p, log_q = jax.nn.log_sigmoid(log_odds), jax.nn.log_sigmoid(-log_odds)
    return ((wins - 1.0) * log_p + (losses - 1.0) * log_q).sum(axis=1)
