"""Maximum-likelihood model as lists of the successors seen, for states met so far (design, section 5.1)."""

import dataclasses

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from rl3_jax.object_rl.base import TableSpec, Transition
from rl3_jax.object_rl.successor_lists import Rows, expected_rewards, place_in
from rl3_jax.object_rl.tabular_model import Experience


@struct.dataclass
class SuccessorModel(Rows):
    """Experience of one trial with the states met so far. They have rows in the order of first meeting.

    What a planner reads is kept, since a step changes one row of it.

    Attributes:
      row_of: [S] row of each state, -1 for a state not met.
      num_met: [] states met.
      absorbing: [N] whether a state has been seen as absorbing; its value is 0.
      dropped: [] transitions left out because a list or the rows were full.
    """

    row_of: Int[Array, " S"]
    num_met: Int[Array, ""]
    absorbing: Bool[Array, " N"]
    dropped: Int[Array, ""]

    @classmethod
    def none(cls, spec: TableSpec) -> "SuccessorModel":
        """Return that of a learner that has seen nothing, for a table with a number of successors."""
        # No more rows than a trial can meet.
        rows = min(spec.num_states, 2 * spec.horizon + 1) if spec.horizon else spec.num_states
        pairs = (spec.num_actions, rows)
        return cls(
            successors=jnp.zeros((spec.num_successors, rows), jnp.int32),
            num_listed=jnp.zeros(rows, jnp.int32),
            experience=Experience.none((spec.num_successors, *pairs), spec.standard_errors),
            visits=jnp.zeros(pairs),
            reward=jnp.zeros(pairs),
            row_of=jnp.full(spec.num_states, -1),
            num_met=jnp.int32(0),
            absorbing=jnp.zeros(rows, bool),
            dropped=jnp.int32(0),
        )

    @property
    def num_states(self) -> int:
        """S."""
        return len(self.row_of)

    @property
    def met(self) -> Bool[Array, " N"]:
        """Which rows were given to a state."""
        return jnp.arange(len(self.absorbing)) < self.num_met

    def row(self, s: Int[Array, ""]) -> Int[Array, ""]:
        """Return the row of a state, -1 if it was not met."""
        return self.row_of[s]

    def counts_of(self, row: Int[Array, ""]) -> Float[Array, " A"]:
        """Return n(s,a) of a row."""
        return self.visits[:, row]

    def rows(self, smoothing: float) -> Rows:
        """Return what a planner reads: itself."""
        return self

    def after(self, transition: Transition, smoothing: float) -> "SuccessorModel":
        """Return it after one more transition.

        Raises:
          ConfigError: as `place_in`.
        """
        model, row = self._meet(transition.s)
        model, next_row = model._meet(transition.next_s)
        # Reads beyond the last row clamp; writes there, or beyond the last place, drop.
        rows, a, listed = len(model.absorbing), transition.a, model.successors[:, row]
        free = jnp.arange(len(listed)) >= model.num_listed[row]
        place = place_in(listed, free, row, next_row, rows)
        kept = place < len(listed)
        to = jnp.where(kept, row, rows)
        experience = model.experience.after((place, a, to), transition.r)
        counts, reward_sum = experience.of(slice(None), a, row)
        return dataclasses.replace(
            model,
            successors=model.successors.at[place, to].set(next_row),
            num_listed=model.num_listed.at[to].max(place + 1),
            experience=experience,
            visits=model.visits.at[a, to].add(1.0),
            reward=model.reward.at[a, to].set(expected_rewards(counts, reward_sum, smoothing).sum(0)),
            absorbing=model.absorbing.at[next_row].max(transition.terminated),
            dropped=model.dropped + ~kept,
        )

    def _meet(self, state: Int[Array, ""]) -> tuple["SuccessorModel", Int[Array, ""]]:
        """Return the model after a state is met, and the state's row; N if there is no row left for it."""
        rows, known = len(self.absorbing), self.row_of[state]
        is_new = known < 0
        row = jnp.where(is_new, self.num_met, known)
        met = dataclasses.replace(
            self,
            row_of=self.row_of.at[state].set(jnp.where(row < rows, row, -1)),
            num_met=jnp.minimum(self.num_met + is_new, rows),
        )
        return met, row
