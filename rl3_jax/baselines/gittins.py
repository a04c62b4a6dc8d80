"""The exact finite-horizon index policy for Bernoulli bandits."""

import math

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.baselines.bandits import BanditBaseline
from rl3_jax.baselines.gittins_table import gittins_indices, position
from rl3_jax.errors import ConfigError
from rl3_jax.object_rl.bandit_model import BanditModel
from rl3_jax.tasks import Task
from rl3_jax.trial import TrialEnv, TrialState


@struct.dataclass
class Gittins(BanditBaseline):
    """The Gittins index of what is left of the trial: argmax_a ν(wins, n, m), the first among equals.

    With n pulls of an arm behind and m steps of the trial to go, ν is the λ for which pulling the arm at
    least once more, then stopping when that is best, is worth as much as λ for each step:

        ν(wins, n, m) = max_τ E[Σ rewards until τ]/E[τ] over stopping times 1 ≤ τ ≤ m,

    under the prior U(0, 1) of the base variation; other priors are not supported. Over a finite horizon it
    is not quite optimal: at k=2, H=10 its expected return is 6.0215, that of the best policy 6.0218; at k=5,
    H=10 both are 6.6600.

    Source: Gittins 1979; for finite horizons Nino-Mora 2011 and Kaufmann 2018. Duan et al. 2016
    publish an approximation for infinite discounted trials, which scores a little less. No
    hyperparameters.

    Attributes:
      indices: [N] the table of `gittins_indices`, for this trial's horizon or a longer one.
    """

    indices: Float[Array, " N"]

    @classmethod
    def make(cls, horizon: int) -> "Gittins":
        """Return the policy for trials of up to `horizon` steps, computing the table."""
        return cls(gittins_indices(horizon))

    def init(self, env: TrialEnv, task: Task) -> BanditModel:
        """Return the memory of no pulls. The task is not looked at.

        Raises:
          ConfigError: if the table is for shorter trials.
        """
        if len(self.indices) < math.comb(env.horizon + 2, 3):
            raise ConfigError([f"horizon is {env.horizon}; this table of Gittins indices is for less"])
        return super().init(env, task)

    def act(
        self,
        env: TrialEnv,
        memory: BanditModel,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[BanditModel, Int[Array, ""]]:
        """Return the arm of the largest index. The key is not used."""
        pulls, wins = memory.counts.astype(jnp.int32), memory.reward_sum.astype(jnp.int32)
        steps_left = jnp.asarray(env.horizon - state.time)
        return memory, self.indices[position(wins, pulls, steps_left)].argmax()
