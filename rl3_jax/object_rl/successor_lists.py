"""Maximum-likelihood model as lists of the successors seen of each state (design, section 5.1)."""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
from flax import struct
from jax.core import Tracer
from jax.nn import one_hot
from jaxtyping import Array, Bool, Float, Int

from rl3_jax.errors import ConfigError
from rl3_jax.object_rl.base import TableSpec, Transition
from rl3_jax.object_rl.tabular_model import Experience
from rl3_jax.platforms import look_up


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
      numbers: [n, K, A + 1, S + 1] one array, which a step changes in one operation. Its first A actions and
        S rows are `Rows.experience`. At the last action the first of the n numbers is a successor from 1, or
        0 for none; the others are not used. The last row takes transitions that are left out, as a list is
        full or a state is not in the table.
    """

    met: Bool[Array, " S"]
    absorbing: Bool[Array, " S"]
    numbers: Float[Array, "n K actions rows"]

    @classmethod
    def none(cls, spec: TableSpec) -> "SuccessorLists":
        """Return those of a learner that has seen nothing, for a table with a number of successors."""
        triples = (spec.num_successors, spec.num_actions + 1, spec.num_states + 1)
        none = jnp.zeros(spec.num_states, bool)
        return cls(none, none, Experience.none(triples, spec.standard_errors).numbers)

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
        return Experience(self.numbers[:, :, :-1, :-1])

    @property
    def dropped(self) -> Int[Array, ""]:
        """How many transitions were left out."""
        return self.numbers[0, :, :-1, -1].sum().astype(jnp.int32)

    def row(self, s: Int[Array, ""]) -> Int[Array, ""]:
        """Return the row of a state, the nearest one of a state that is not in the table."""
        return jnp.clip(s, 0, self.num_states - 1)

    def counts_of(self, row: Int[Array, ""]) -> Float[Array, " A"]:
        """Return n(s,a) of a row."""
        return self.numbers[0, :, :-1, row].sum(0)

    def rows(self, smoothing: float) -> Rows:
        """Return what a planner reads."""
        experience, successors = self.experience, _listed(self.numbers[0, :, -1, :-1])
        counts, reward_sum = experience.of()
        return Rows(
            successors=jnp.maximum(successors, 0),
            num_listed=(successors >= 0).sum(0, dtype=jnp.int32),
            experience=experience,
            # Sums written out: a GPU fuses them with the sweeps that read them.
            visits=functools.reduce(jnp.add, counts),
            reward=functools.reduce(jnp.add, expected_rewards(counts, reward_sum, smoothing)),
        )

    def outcomes(
        self, s: Int[Array, ""], a: Int[Array, ""]
    ) -> tuple[Float[Array, " K"], Float[Array, " K"], Int[Array, " K"]]:
        """Return n(s,a,s'), the sum of rewards and s' of each place in a state's list; s' = −1 for none."""
        both = self.numbers[:2, :, jnp.stack([a, jnp.int32(-1)]), self.row(s)]
        return both[0, :, 0], both[1, :, 0], _listed(both[0, :, 1])

    def after(self, transition: Transition, smoothing: float) -> "SuccessorLists":
        """Return them after one more transition.

        Raises:
          ConfigError: as `place_in`.
        """
        s, a, next_s = transition.s, transition.a, transition.next_s
        num_places, last_action = self.numbers.shape[1], self.numbers.shape[2] - 1
        # One look-up and one choice a place: a GPU fuses these with what the task's step computes.
        listed = [_listed(look_up(self.numbers, 0, k, last_action, self.row(s))) for k in range(num_places)]
        place = place_in(listed, [at < 0 for at in listed], s, next_s, self.num_states)
        k, row = jnp.minimum(place, num_places - 1), jnp.where(place < num_places, s, self.num_states)
        gain = Experience(self.numbers).gain((k, a, row), transition.r)
        is_listed = functools.reduce(jnp.logical_or, [at == next_s for at in listed])
        successor, n = jnp.where(is_listed, 0, next_s + 1), len(gain)
        # One number each, without a window: XLA fuses what is added with the addition.
        index = jnp.append(jnp.arange(n), 0), k, jnp.append(jnp.full(n, a), last_action), row
        numbers = self.numbers.at[index].add(jnp.append(gain, successor), unique_indices=True)
        # Small tables are masked, not scattered to: an accelerator fuses that with what reads them.
        now, then = (one_hot(state, self.num_states, dtype=bool) for state in (s, next_s))
        return SuccessorLists(self.met | now | then, self.absorbing | (then & transition.terminated), numbers)


def _listed(numbers: Float[Array, "..."]) -> Int[Array, "..."]:
    """Return successors as they are stored in `SuccessorLists.numbers`; −1 for none."""
    return numbers.astype(jnp.int32) - 1


def expected_rewards(
    counts: Float[Array, "K ..."], reward_sum: Float[Array, "K ..."], smoothing: float
) -> Float[Array, "K ..."]:
    """Return (n(s,a,s') + α) r̄(s,a,s')."""
    return reward_sum + smoothing * reward_sum / jnp.maximum(counts, 1.0) if smoothing else reward_sum


def place_in(
    listed: Sequence[Int[Array, ""]] | Int[Array, " K"],
    free: Sequence[Bool[Array, ""]] | Bool[Array, " K"],
    row: Int[Array, ""],
    next_row: Int[Array, ""],
    num_rows: int,
) -> Int[Array, ""]:
    """Return a successor's place in a row's list, the first that is free if it is new; K if there is no room.

    A row that is not in [0, num_rows) stands for a state that has none.

    Raises:
      ConfigError: if there is no room and this is not compiled code, which counts such transitions.
    """
    num_places = len(listed)
    have_rows = (row >= 0) & (row < num_rows) & (next_row >= 0) & (next_row < num_rows)
    place = jnp.int32(num_places)
    for k in reversed(range(num_places)):
        place = jnp.where(((listed[k] == next_row) | free[k]) & have_rows, k, place)
    if not isinstance(place, Tracer) and place == num_places:
        raise ConfigError(
            f"a state has more than {num_places} distinct successors, or a trial met more than {num_rows}"
            " states; let the table's num_successors and horizon be larger, or use learner.planner dense"
        )
    return place
