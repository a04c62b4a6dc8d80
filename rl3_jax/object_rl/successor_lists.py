"""Maximum-likelihood model as lists of the successors seen of each state (design, section 5.1)."""

import functools

import jax.numpy as jnp
from flax import struct
from jax.core import Tracer
from jax.nn import one_hot
from jaxtyping import Array, Bool, Float, Int

from rl3_jax.errors import ConfigError
from rl3_jax.object_rl.base import TableSpec, Transition
from rl3_jax.object_rl.tabular_model import Experience


@struct.dataclass
class Rows:
    """What a planner reads. Rows are the last axis, so that a sweep runs over contiguous states.

    Each of N states has a row. All actions of a state share its list of up to K successors, which are rows
    themselves: a sweep gathers K values a state, whatever the number of actions.

    Attributes:
      successors: [K, N] rows of the successors of a row, in order of first meeting; any row where there are
        fewer.
      num_listed: [N] how many of them there are.
      experience: [K, A, N] the rewards of each triple (s,a,s') whose successor is listed.
      visits: [A, N] n(s,a), float32.
      reward: [A, N] Σ_s' (n(s,a,s') + α) r̄(s,a,s'), the expected reward times n(s,a) + αM.
    """

    successors: Int[Array, "K N"]
    num_listed: Int[Array, " N"]
    experience: Experience
    visits: Float[Array, "A N"]
    reward: Float[Array, "A N"]


@struct.dataclass
class SuccessorLists:
    """Experience of one trial with all S states, row s that of state s; what a planner reads is made of it.

    Attributes:
      met: [S] whether each state was met.
      absorbing: [S] whether a state has been seen as absorbing; its value is 0.
      everything: [n, K, A + 1, S + 1] one array, which a step changes in one operation. All actions but the
        last have the numbers of `Rows.experience`, in a row of their own those of transitions that were left
        out because a list was full. The last has the successors, from 1, and 0 where there are fewer.
    """

    met: Bool[Array, " S"]
    absorbing: Bool[Array, " S"]
    everything: Experience

    @classmethod
    def none(cls, spec: TableSpec) -> "SuccessorLists":
        """Return those of a learner that has seen nothing, for a table with a number of successors."""
        triples = (spec.num_successors, spec.num_actions + 1, spec.num_states + 1)
        none = jnp.zeros(spec.num_states, bool)
        return cls(met=none, absorbing=none, everything=Experience.none(triples, spec.standard_errors))

    @property
    def num_states(self) -> int:
        """S."""
        return len(self.met)

    @property
    def num_met(self) -> Int[Array, ""]:
        """How many states were met."""
        return self.met.sum(dtype=jnp.int32)

    @property
    def experience(self) -> Experience:
        """The rewards of each triple (s,a,s') whose successor is listed, [K, A, S]."""
        return Experience(self.everything.numbers[:, :, :-1, :-1])

    @property
    def dropped(self) -> Int[Array, ""]:
        """How many transitions were left out."""
        return self.everything.counts[:, :-1, -1].sum().astype(jnp.int32)

    def listed(self, s: Int[Array, ""] | slice) -> Int[Array, "K ..."]:
        """Return the successors of a state, in order of first meeting; −1 where there are fewer."""
        return self.everything.counts[:, -1, s].astype(jnp.int32) - 1

    def row(self, s: Int[Array, ""]) -> Int[Array, ""]:
        """Return the row of a state."""
        return s

    def counts_of(self, row: Int[Array, ""]) -> Float[Array, " A"]:
        """Return n(s,a) of a row."""
        return self.everything.counts[:, :-1, row].sum(0)

    def rows(self, smoothing: float) -> Rows:
        """Return what a planner reads."""
        experience, successors = self.experience, self.listed(slice(0, -1))
        counts, reward_sum = experience.of()
        return Rows(
            successors=jnp.maximum(successors, 0),
            num_listed=(successors >= 0).sum(0, dtype=jnp.int32),
            experience=experience,
            # Sums written out: a GPU fuses them with the sweeps that read them.
            visits=functools.reduce(jnp.add, counts),
            reward=functools.reduce(jnp.add, expected_rewards(counts, reward_sum, smoothing)),
        )

    def after(self, transition: Transition, smoothing: float) -> "SuccessorLists":
        """Return them after one more transition.

        Raises:
          ConfigError: as `place_in`.
        """
        s, a, next_s = transition.s, transition.a, transition.next_s
        listed, num_actions = self.listed(s), self.everything.numbers.shape[2] - 1
        place, last = place_in(listed, listed < 0, s, next_s, self.num_states), len(listed) - 1
        k, row = jnp.minimum(place, last), jnp.where(place > last, self.num_states, s)
        gain = self.everything.gain((k, a, row), transition.r)
        successor = jnp.where((listed == next_s).any(), 0, next_s + 1)
        # One number each, without a window: XLA fuses what is added with the addition.
        n = len(gain)
        index = jnp.append(jnp.arange(n), 0), k, jnp.append(jnp.full(n, a), num_actions), row
        numbers = self.everything.numbers.at[index].add(jnp.append(gain, successor), unique_indices=True)
        # Small tables are masked, not scattered to: an accelerator fuses that with what reads them.
        now, then = (one_hot(state, self.num_states, dtype=bool) for state in (s, next_s))
        return SuccessorLists(
            self.met | now | then, self.absorbing | (then & transition.terminated), Experience(numbers)
        )


def expected_rewards(
    counts: Float[Array, "K ..."], reward_sum: Float[Array, "K ..."], smoothing: float
) -> Float[Array, "K ..."]:
    """Return (n(s,a,s') + α) r̄(s,a,s')."""
    return reward_sum + smoothing * reward_sum / jnp.maximum(counts, 1.0) if smoothing else reward_sum


def place_in(
    listed: Int[Array, " K"],
    free: Bool[Array, " K"],
    row: Int[Array, ""],
    next_row: Int[Array, ""],
    num_rows: int,
) -> Int[Array, ""]:
    """Return a successor's place in a row's list, the first that is free if it is new; K if there is no room.

    A row from `num_rows` on stands for a state that has none.

    Raises:
      ConfigError: if there is no room and this is not compiled code, which counts such transitions.
    """
    num_places = len(listed)
    fits = ((listed == next_row) | free) & (row < num_rows) & (next_row < num_rows)
    place = jnp.where(fits, jnp.arange(num_places), num_places).min()
    if not isinstance(place, Tracer) and place == num_places:
        raise ConfigError(
            f"a state has more than {num_places} distinct successors, or a trial met more than {num_rows}"
            " states; let the table's num_successors and horizon be larger, or use learner.planner dense"
        )
    return place
