"""Tabular MDPs with short episodes: acting on the maximum-likelihood model, and on the true one."""

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.baselines.common import Baseline
from rl3_jax.baselines.mdp_experience import EpisodePlanner, MdpMemory, likeliest_model
from rl3_jax.baselines.planning import backward_induction, greedy_action
from rl3_jax.tasks import MdpTask
from rl3_jax.trial import TrialEnv, TrialState


@struct.dataclass
class ModelGreedy(EpisodePlanner):
    """ε-greedy on the maximum-likelihood model, planned anew at each episode's start.

    Pairs never tried lead to each state alike and pay m. The greedy action is drawn evenly among equals,
    which gives the figures of Duan et al. 2016, section 3.2, with m = 0 and ε = 0 or 0.1; the first among
    equals scores less, as it goes on with one untried action wherever a state comes up again in an episode.

    Attributes:
      prior_reward: m.
      epsilon: ε, the probability of a uniformly drawn action; tuned per setting, see `tuned.py`. With 0 this
        is the greedy baseline.
    """

    epsilon: Float[Array, ""] | float = 0.0

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return the values of the maximum-likelihood model. The key is not used."""
        return backward_induction(*likeliest_model(memory, self.prior_reward), env.episode_length)

    def act(
        self,
        env: TrialEnv,
        memory: MdpMemory,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[MdpMemory, Int[Array, ""]]:
        """Return an action. The key is consumed."""
        key_explore, key_random, key_greedy = jax.random.split(key, 3)
        explores = jax.random.uniform(key_explore) < self.epsilon
        anything = jax.random.randint(key_random, (), 0, env.num_actions)
        memory, greedy = super().act(env, memory, state, observation, key_greedy)
        return memory, jnp.where(explores, anything, greedy)


@struct.dataclass
class Clairvoyant(Baseline):
    """The clairvoyant optimum: backward induction on the true task; no hyperparameters.

    It acts by Q_k for the k steps that are left of the episode, also where H cuts the last one short.
    """

    def init(self, env: TrialEnv, task: MdpTask) -> Float[Array, "L S A"]:
        """Return Q_k of the true task: one plan serves all episodes."""
        return backward_induction(task.transition, task.mean_reward, env.episode_length)

    def act(
        self,
        env: TrialEnv,
        memory: Float[Array, "L S A"],
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Float[Array, "L S A"], Int[Array, ""]]:
        """Return the optimal action. The key is not used."""
        return memory, greedy_action(env, memory, state)
