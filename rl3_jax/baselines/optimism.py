"""Optimism in the face of uncertainty on tabular MDPs with short episodes."""

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from rl3_jax.baselines.mdp_experience import EpisodePlanner, MdpMemory, likeliest_model, mean_model
from rl3_jax.baselines.planning import backward_induction, optimistic_induction
from rl3_jax.trial import TrialEnv

CONFIDENCE = 0.05
"""δ of UCRL2's confidence sets; changes of it are changes of their scale."""


@struct.dataclass
class Ucrl2(EpisodePlanner):
    """UCRL2: plan on the best task of a confidence set about the maximum-likelihood model.

    The set holds each task with |R(s,a) − r̄(s,a)| ≤ c √(7 ln(2SAt/δ) / (2 max(1, n(s,a)))) and
    ‖T(s,a,·) − T̂(s,a,·)‖₁ ≤ c √(14 S ln(2At/δ) / max(1, n(s,a))), t steps into the trial and δ = 0.05.

    Source: Jaksch, Ortner and Auer 2010, figure 1, with c = 1 and rewards in [0, 1]. Theirs is a problem
    without episodes; here each starts anew, so the plan is for the steps of an episode, made at its start
    and not when a count has doubled. With m = 0 and c tuned this gives the figures of Duan et al. 2016,
    section 3.2, at 10, 25 and 50 episodes; with m = 1 it scores higher.

    Attributes:
      prior_reward: m, r̄ of a pair never tried.
      scale: c; tuned per setting, see `tuned.py`; the default is for H=100 and m = 1.
    """

    scale: Float[Array, ""] | float = 0.15

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return the values of the best task of the confidence set. The key is not used."""
        transition, reward = likeliest_model(memory, self.prior_reward)
        reward_width, transition_radius = confidence_widths(memory, self.scale)
        return optimistic_induction(transition, reward + reward_width, transition_radius, env.episode_length)


def confidence_widths(
    memory: MdpMemory, scale: Float[Array, ""] | float
) -> tuple[Float[Array, "S A"], Float[Array, "S A"]]:
    """Return how far the mean reward and, in L1, the transition probabilities of each pair may be off.

    Args:
      memory: the experience.
      scale: c.
    """
    num_states, num_actions = memory.counts.shape
    counts, time = jnp.maximum(memory.counts, 1.0), jnp.maximum(memory.time, 1)
    log_reward = jnp.log(2 * num_states * num_actions * time / CONFIDENCE)
    log_transition = jnp.log(2 * num_actions * time / CONFIDENCE)
    return (
        scale * jnp.sqrt(3.5 * log_reward / counts),
        scale * jnp.sqrt(14 * num_states * log_transition / counts),
    )


@struct.dataclass
class Beb(EpisodePlanner):
    """Bayesian exploration bonus: plan on the posterior's mean, where each pair pays β/(1 + S + n(s,a)) more.

    Source: Kolter and Ng 2009, section 3.1: S + n(s,a) is the sum of the Dirichlet posterior's parameters,
    that of the prior included. Priors as in `Psrl`.

    A bonus of β/(1 + n(s,a)) would be no other algorithm than a prior with the mean m + β, as the mean
    reward is (m + Σ r)/(1 + n(s,a)): it would score higher still, and miss the figures of Duan et al. 2016,
    which m = 0 and this bonus give.

    Attributes:
      prior_reward: m, what a pair never tried is expected to pay.
      bonus: β; tuned per setting, see `tuned.py`; the default is for H=100 and m = 1.
    """

    bonus: Float[Array, ""] | float = 12.0

    def plan(self, env: TrialEnv, memory: MdpMemory, key: PRNGKeyArray) -> Float[Array, "L S A"]:
        """Return the values of the mean model with the bonus. The key is not used."""
        transition, reward = mean_model(memory, self.prior_reward)
        reward = reward + self.bonus / (1.0 + len(reward) + memory.counts)
        return backward_induction(transition, reward, env.episode_length)
