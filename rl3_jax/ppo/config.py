"""Hyperparameters of the outer RL."""

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree
from optax import contrib

from rl3_jax.constraints import Count, Fraction, Natural, NonNegative, Positive
from rl3_jax.ppo.together import together

Number = float | Float[Array, ""]

MUON_SCALE = 0.2
"""Root mean square of the entries of muon's step, about that of Adam's (Liu et al., arXiv 2502.16982)."""
CACHED_STEPS = 12_000
"""Steps whose activations a CPU's caches hold at a width of 64 (docs/measurements.md)."""
SMALLEST = 1e-30
"""Keeps a division by 0 out of a branch that `where` does not take."""


@dataclasses.dataclass(frozen=True)
class PPOConfig:
    """PPO over whole trials (Schulman et al. 2017); the defaults are the paper presets' (design, section 7).

    Attributes:
      trials: B, trials collected in an iteration.
      minibatch_trials: whole trials in a minibatch, or as many of their segments as these have; divides
        `trials`.
      epochs: passes over the batch at the most; the actor may stop earlier.
      discount: γ of the outer RL.
      gae_lambda: λ of generalised advantage estimation.
      clip: ε of the clipped surrogate objective.
      kl_limit: the actor stops for this iteration once the mean KL from the rollout policy is at
        this or more after an epoch; the critic goes on, unless it shares the actor's trunk.
      kl_estimate: `batch` takes that mean over the whole batch after the epoch, one more forward pass;
        `minibatches` over the epoch's minibatches, each before its gradient step, which costs nothing and
        lags half an epoch behind.
      optimiser: `adam`, or `muon` (Jordan et al. 2024), which makes the momentum of each matrix
        orthogonal and steps along it, as far as Adam would; vectors keep Adam, with Nesterov's momentum.
      learning_rate: at the first iteration.
      learning_rate_final: reached linearly after the last one.
      learning_rate_hold: share of the run during which the learning rate keeps its first value.
      entropy_bonus: at the first iteration.
      entropy_bonus_final: reached linearly after the last one.
      entropy_bonus_hold: share of the run during which the entropy bonus keeps its first value.
      mean_rewards: learn from the mean of each step's reward, given the task, in place of the reward that was
        drawn, where the family knows it: the same gradient on average, with less noise. The policy sees the
        rewards that were drawn.
      novelty_bonus: reward that training adds to each step that enters a state for the first time in the
        trial, at the first iteration; it falls linearly to 0. Returns are reported without it.
      novelty_share: share of the run after which there is no novelty bonus any more.
      critic_coefficient: factor of the critic's mean squared error. With a shared trunk it weighs the
        critic's gradient against the actor's: 1e-4 is near the best for whole returns of 100 steps.
      critic_l2: multiple of the critic's parameters added to its gradient before the optimiser.
      adam_epsilon: ε of Adam, also for muon's vectors.
      max_grad_norm: global norm to which each network's gradient is clipped; 0 for no clipping.
      normalise_advantages: subtract the mean and divide by the standard deviation in each minibatch.
      critic_scale: what the critic's output is multiplied by; `remaining-steps` is
        (1 − γ^(H−t))/(1 − γ), the return of the steps that remain if each paid 1, which lets the critic
        learn at once.
      part_steps: steps of a minibatch whose activations are held at once, at the most, but one sequence at
        the least; the gradients of the parts are averaged. It bounds the memory of the update. 0: all of
        them; but on a CPU as many as its caches hold, `CACHED_STEPS`.
      segment_length: steps of the parts in which the update goes through a trial, which bounds its memory; 0
        for whole trials, as is any length from the horizon on. It divides the horizon, and needs a core
        whose memory does not grow with the trial.
      segment_carries: what the core remembers where a segment starts. `recomputed`: the update runs through
        the trial's segments in turn, keeps the memories between them and computes the rest again on the
        way back; the gradient is that of the whole trial. `stored`: segments of all trials are shuffled
        into minibatches of their own, each started from the memory that the rollout had there. Its gradient
        ends where the segment starts, and after the first gradient step that memory is an old policy's:
        also where the KL is measured.
    """

    trials: Count = 328
    minibatch_trials: Count = 41
    epochs: Count = 8
    discount: Fraction = 0.99
    gae_lambda: Fraction = 0.3
    clip: Positive = 0.2
    kl_limit: Positive = 0.01
    optimiser: Literal["adam", "muon"] = "adam"
    learning_rate: Positive = 3e-4
    learning_rate_final: NonNegative = 3e-4
    learning_rate_hold: Fraction = 0.0
    entropy_bonus: NonNegative = 0.1
    entropy_bonus_final: NonNegative = 0.0
    entropy_bonus_hold: Fraction = 0.0
    mean_rewards: bool = False
    novelty_bonus: NonNegative = 0.0
    novelty_share: Positive = 0.6
    critic_coefficient: NonNegative = 0.5
    critic_l2: NonNegative = 0.01
    adam_epsilon: Positive = 1e-7
    max_grad_norm: NonNegative = 0.0
    normalise_advantages: bool = True
    critic_scale: Literal["none", "remaining-steps"] = "none"
    kl_estimate: Literal["batch", "minibatches"] = "batch"
    part_steps: Natural = 0
    segment_length: Natural = 0
    segment_carries: Literal["recomputed", "stored"] = "recomputed"

    @property
    def num_minibatches(self) -> int:
        """Minibatches in an epoch."""
        return self.trials // self.minibatch_trials

    def suited(self, platform: str) -> "PPOConfig":
        """Return it with the choices that it leaves open made for `cpu`, `gpu` or `tpu`."""
        cached = CACHED_STEPS if platform == "cpu" else 0
        return dataclasses.replace(self, part_steps=self.part_steps or cached)

    def num_parts(self, num_sequences: int, length: int) -> int:
        """Return into how many equal parts so many sequences are cut.

        Each holds activations of at most `part_steps` steps, or is one sequence.
        """
        if not self.part_steps:
            return 1
        most = max(1, self.part_steps // min(length, self.segment_length or length))
        return next(
            n for n in range(1, num_sequences + 1) if not num_sequences % n and num_sequences // n <= most
        )

    def critic_scales(self, horizon: int) -> Float[Array, " H"]:
        """Return what the critic's output is multiplied by at each step t: Σ_{k<H−t} γ^k, or 1."""
        if self.critic_scale == "none":
            return jnp.ones(horizon)
        remaining = horizon - jnp.arange(horizon, dtype=jnp.float32)
        # expm1 and log1p keep the digits that 1 − γ^n would lose where γ is near 1.
        gap = 1.0 - jnp.asarray(self.discount, jnp.float32)
        discounted = -jnp.expm1(remaining * jnp.log1p(-gap)) / jnp.maximum(gap, SMALLEST)
        return jnp.where(gap == 0.0, remaining, discounted)

    def segmented(self, horizon: int) -> bool:
        """Whether the update goes through trials of this length in parts."""
        return 0 < self.segment_length < horizon

    def num_stored(self, horizon: int) -> int:
        """Return into how many segments with stored memories a trial is cut; 1 for whole trials."""
        stored = self.segmented(horizon) and self.segment_carries == "stored"
        return horizon // self.segment_length if stored else 1

    def segment_problems(self, horizon: int) -> list[str]:
        """Return a message if trials of this length cannot be cut as configured."""
        if not self.segmented(horizon) or horizon % self.segment_length == 0:
            return []
        return [_not_a_divisor("ppo.segment_length", self.segment_length, "horizon", horizon)]

    def conflicts(self) -> list[str]:
        """Return a message if trials cannot be split into minibatches."""
        if self.trials % self.minibatch_trials == 0:
            return []
        return [_not_a_divisor("ppo.minibatch_trials", self.minibatch_trials, "ppo.trials", self.trials)]


def _not_a_divisor(name: str, value: int, of: str, total: int) -> str:
    """Return the message for a number that does not divide another."""
    divisors = ", ".join(str(n) for n in range(1, total + 1) if total % n == 0)
    return f"{name} is {value}, which does not divide {of} {total}; divisors are {divisors}"


def optimisers(config: PPOConfig) -> dict[str, optax.GradientTransformation]:
    """Return the optimisers of actor and critic, without the step size, which is scheduled."""
    clip = optax.clip_by_global_norm(config.max_grad_norm) if config.max_grad_norm else optax.identity()
    if config.optimiser == "muon":
        muon = contrib.muon(
            1.0,
            eps=config.adam_epsilon,
            consistent_rms=MUON_SCALE,
            muon_weight_dimension_numbers=_stacked_matrices,
        )
        # Together its many small products are few; up the gradient, as scale_by_adam.
        direction = optax.chain(together(muon), optax.scale(-1.0))
    else:
        direction = optax.scale_by_adam(eps=config.adam_epsilon)
    return {
        "actor": optax.chain(clip, direction),
        "critic": optax.chain(clip, optax.add_decayed_weights(config.critic_l2), direction),
    }


def _stacked_matrices(params: PyTree) -> PyTree:
    """Return what muon takes for matrices, of arrays stacked by `together`."""
    return jax.tree.map(lambda x: contrib.MuonDimensionNumbers(1, 2) if x.ndim == 3 else None, params)


def linear(
    initial: Number, final: Number, progress: Float[Array, ""], hold: Number = 0.0
) -> Float[Array, ""]:
    """Return initial + (final − initial)·max(0, p − hold)/(1 − hold), p = min(progress, 1): hold, then decay.

    Progress is iteration / total iterations, as first configured. With hold 1 it is `initial` to the end.
    """
    decay = jnp.maximum(progress - hold, 0.0) / jnp.maximum(1.0 - hold, SMALLEST)
    fraction = jnp.where(progress >= 1.0, 1.0, decay)
    return initial + (final - initial) * fraction
