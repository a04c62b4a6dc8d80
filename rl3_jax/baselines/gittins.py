"""Gittins indices for Bernoulli bandits, exact over what is left of a trial or discounted for ever.

Let V(w, n, m) be the worth of an option on an arm with w wins in n pulls, over the m steps left, when each
pull costs λ and one may stop for good at any time. With p = (1 + w)/(2 + n),

    f(w, n, m) = p − λ + p V(w + 1, n + 1, m − 1) + (1 − p) V(w, n + 1, m − 1),
    V = max(f, 0), V(·, ·, 0) = 0,

and the index ν(w, n, m) is the λ at which f, which falls with λ and is convex, is 0. As n + m stays the same
all the way down, there is one such recursion for each n + m = 1, …, H: a chain.

The discounted index has one chain, without an end: V(w, n) = max(f, 0) with later steps worth γ each.

It is done for a grid of λ at once. Of the wins, only a band around λ(n + 2) matters: far above it one never
stops, which is worth m(p − λ), and far below one never pulls.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.baselines.bandits import BanditBaseline
from rl3_jax.baselines.common import Number
from rl3_jax.errors import ConfigError
from rl3_jax.object_rl.tabular_model import Experience
from rl3_jax.tasks import Action, Task
from rl3_jax.trial import TrialEnv, TrialState

NUM_PULLS = 1000
"""Pulls of an arm after which the discounted index takes it as known, about as in the literature."""
NUM_COSTS = 1024
"""Size of the grid of λ. Indices are then within a few 1e-4 of the exact ones (docs/measurements.md)."""


@struct.dataclass
class Gittins(BanditBaseline):
    """The Gittins index of what is left of the trial: argmax_a ν(wins, n, m), the first among equals.

    With n pulls of an arm behind and m steps of the trial to go, ν is the λ for which pulling the arm at
    least once more, then stopping when that is best, is worth as much as λ for each step:

        ν(wins, n, m) = max_τ E[Σ rewards until τ]/E[τ] over stopping times 1 ≤ τ ≤ m,

    under the prior U(0, 1) of the base variation; other priors are not supported. Over a finite horizon it
    is not quite optimal: at k=2, H=10 its expected return is 6.0215, that of the best policy 6.0218.

    Source: Gittins 1979; for finite horizons Nino-Mora 2011 and Kaufmann 2018.

    Attributes:
      indices: [N] the table of `gittins_indices`, for this trial's horizon or a longer one.
    """

    indices: Float[Array, " N"]

    def init(self, env: TrialEnv, task: Task) -> Experience:
        """Return the memory of no pulls; raises ConfigError if the table is for shorter trials."""
        if len(self.indices) < math.comb(env.horizon + 2, 3):
            raise ConfigError([f"horizon is {env.horizon}; this table of Gittins indices is for less"])
        return super().init(env, task)

    def action(self, env: TrialEnv, memory: Experience, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return the arm of the largest index. The key is not used."""
        pulls, wins = memory.counts.astype(jnp.int32), memory.reward_sum.astype(jnp.int32)
        steps_left = jnp.asarray(env.horizon - state.time)
        return self.indices[position(wins, pulls, steps_left)].argmax()


@struct.dataclass
class DiscountedGittins(BanditBaseline):
    """The index for a trial without an end whose rewards are discounted: argmax_a ν(wins, n).

    ν(wins, n) = max_τ E[Σ_{t<τ} γ^t reward_t]/E[Σ_{t<τ} γ^t] over stopping times τ ≥ 1. In trials of H
    steps it earns less than `Gittins`; it is there to set beside the literature (docs/measurements.md).

    Source: Gittins 1979. Duan et al. 2016 (arXiv 1611.02779, table 1) appear to have taken the best of
    γ = 0.9, 0.99, 0.999 and 0.9999.

    Attributes:
      discount: γ, tuned per setting in `baselines/registry.py`.
      indices: [N, N] the table of `discounted_indices` for it, N at least the trial's length.
    """

    discount: Number
    indices: Float[Array, "N N"]

    def init(self, env: TrialEnv, task: Task) -> Experience:
        """Return the memory of no pulls; raises ConfigError if the table is for shorter trials."""
        if len(self.indices) < env.horizon:
            raise ConfigError([f"horizon is {env.horizon}; this table of Gittins indices is for less"])
        return super().init(env, task)

    def action(self, env: TrialEnv, memory: Experience, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return the arm of the largest index. The key is not used."""
        pulls, wins = memory.counts.astype(jnp.int32), memory.reward_sum.astype(jnp.int32)
        return self.indices[pulls, wins].argmax()


def discounted_gittins(discount: Number) -> DiscountedGittins:
    """Return the index policy for γ, in trials of at most `NUM_PULLS` steps."""
    return DiscountedGittins(discount=discount, indices=discounted_indices(discount))


@partial(jax.jit, static_argnames="num_pulls")
def discounted_indices(discount: Number, num_pulls: int = NUM_PULLS) -> Float[Array, "N N"]:
    """Return ν(w, n) at [n, w] for n < N pulls; entries with w > n are no state.

    After N pulls an arm is taken to pay its posterior mean for ever, so that V(w, N) = max(p − λ, 0)/(1 − γ).

    Args:
      discount: γ, below 1.
      num_pulls: N.
    """
    band, costs = _band(num_pulls), _costs()
    annuity = 1.0 / (1.0 - discount)
    wins = jnp.floor(costs * (num_pulls + 2)) + jnp.arange(-band - 1.0, band + 2.0)[:, None]
    known = annuity * jnp.maximum((1.0 + wins) / (2.0 + num_pulls) - costs, 0.0)

    def row(values, pulls):
        gain, values = _step(costs, values, pulls, discount, annuity)
        return values, _roots(costs, gain, pulls, jnp.arange(num_pulls))

    return jax.lax.scan(row, known, jnp.arange(num_pulls), reverse=True)[1]


@partial(jax.jit, static_argnames="horizon")
def gittins_indices(horizon: int) -> Float[Array, " N"]:
    """Return ν(w, n, m) for all w ≤ n, m ≥ 1, n + m ≤ H, at the places that `position` gives.

    N = H(H + 1)(H + 2)/6: 0.7 MB for H=100, 84 MB for H=500. The work grows with H³·√H.
    """
    band, costs, size = _band(horizon), _costs(), math.comb(horizon + 2, 3)

    def chain(last, table):
        def row(steps_left, carry):
            values, table = carry
            pulls = last - steps_left
            gain, values = _step(costs, values, pulls, 1.0, steps_left - 1)
            found = _roots(costs, gain, pulls, jnp.arange(horizon))
            start = position(jnp.int32(0), pulls, steps_left)
            # Wins beyond n are no state; the next row, longer than n, is written over them.
            return values, jax.lax.dynamic_update_slice(table, found, (start,))

        values = jnp.zeros((2 * band + 3, NUM_COSTS))
        return jax.lax.fori_loop(1, last + 1, row, (values, table))[1]

    return jax.lax.fori_loop(1, horizon + 1, chain, jnp.zeros(size + horizon))[:size]


def position(
    wins: Int[Array, "*#n"], pulls: Int[Array, "*#n"], steps_left: Int[Array, "*#n"]
) -> Int[Array, "*n"]:
    """Return where a state's index is in the table; it does not depend on the table's horizon.

    The chains follow each other by n + m; within one, n falls from n + m − 1 to 0.
    """
    last = pulls + steps_left
    chains_before = (last - 1) * last * (last + 1) // 6
    rows_before = last * (last + 1) // 2 - (pulls + 1) * (pulls + 2) // 2
    return chains_before + rows_before + wins


def _band(num_pulls: int) -> int:
    """Return how many wins on each side of λ(n + 2) matter."""
    return math.ceil(math.sqrt(num_pulls)) + 2


def _costs() -> Float[Array, " L"]:
    """Return the grid of λ, even in arcsin √λ, in which an arm's posterior is about as wide for every λ."""
    return jnp.asarray(np.sin(np.linspace(0.0, np.pi / 2.0, NUM_COSTS)) ** 2, jnp.float32)


def _step(
    costs: Float[Array, " L"],
    values: Float[Array, "W L"],
    pulls: Int[Array, ""],
    discount: Number,
    annuity: Number | Int[Array, ""],
) -> tuple[Float[Array, "V L"], Float[Array, "W L"]]:
    """Return f after n pulls, and V after n pulls from V after n + 1.

    Row i of V is for c + i − (W − 1)/2 wins, c = ⌊λ(n + 2)⌋ the band's centre; f lacks the first and last.

    Args:
      costs: λ.
      values: V after n + 1 pulls.
      pulls: n.
      discount: γ; 1 where a trial ends.
      annuity: what 1 a step is worth after n + 1 pulls, to who never stops.
    """
    band = (len(values) - 3) // 2
    centre, next_centre = jnp.floor(costs * (pulls + 2)), jnp.floor(costs * (pulls + 3))
    never_stop = (2.0 + next_centre + band) / (3.0 + pulls) - costs
    values = values.at[-1].set(annuity * jnp.maximum(never_stop, 0.0))
    wins = centre + jnp.arange(-band, band + 1.0)[:, None]
    p = jnp.clip((1.0 + wins) / (2.0 + pulls), 0.0, 1.0)
    moved = next_centre > centre  # by one row
    after_loss = jnp.where(moved, values[:-2], values[1:-1])
    after_win = jnp.where(moved, values[1:-1], values[2:])
    gain = p + discount * (p * after_win + (1.0 - p) * after_loss) - costs
    return gain, values.at[1:-1].set(jnp.maximum(gain, 0.0))


def _roots(
    costs: Float[Array, " L"], gain: Float[Array, "V L"], pulls: Int[Array, ""], wins: Int[Array, " H"]
) -> Float[Array, " H"]:
    """Return for each number of wins the λ at which f is 0.

    Between two costs the chord of a convex f meets 0 above its root; the chords of the intervals on both
    sides, prolonged, meet it below. The middle of the two bounds is returned.
    """
    band = (len(gain) - 1) // 2
    centre = jnp.floor(costs * (pulls + 2)).astype(jnp.int32)
    # For each λ the fewest wins with f ≥ 0, which do not fall with λ.
    fewest = centre - band + (gain < 0.0).sum(axis=0, dtype=jnp.int32)
    count = jnp.searchsorted(fewest, wins, side="right", method="scan_unrolled")
    near = jnp.clip(count - 1, 1, NUM_COSTS - 3) + jnp.arange(-1, 3)[:, None]
    x = costs[near]
    y = gain[jnp.clip(wins - centre[near] + band, 0, len(gain) - 1), near]
    slope = jnp.minimum(jnp.diff(y, axis=0) / jnp.diff(x, axis=0), -1e-6)
    above = x[1] - y[1] / slope[1]
    below = jnp.maximum(x[1] - y[1] / slope[0], x[2] - y[2] / slope[2])
    return (jnp.clip(below, x[1], above) + above) / 2.0
