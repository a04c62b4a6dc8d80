"""Maximum-likelihood model as lists of the successors seen, for states met so far (design, section 5.1)."""

import dataclasses

import jax.numpy as jnp
from flax import struct
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from rl3_jax.errors import ConfigError
from rl3_jax.object_rl.base import TableSpec, Transition
from rl3_jax.object_rl.tabular_model import Experience


@struct.dataclass
class SuccessorModel:
    """Experience of one trial. States are the last axis, so that a sweep runs over contiguous states.

    Each state met has a row, one of N. All actions of a state share its list of up to K successors, which
    are rows themselves: a sweep gathers K values a state, whatever the number of actions.

    Attributes:
      row_of: [S] row of each state, -1 for a state not met.
      num_met: [] states met.
      successors: [K, N] rows of the successors of a row, in order of first meeting.
      num_listed: [N] how many of them there are.
      experience: [K, A, N] the rewards of each triple (s,a,s') whose successor is listed.
      visits: [A, N] n(s,a), float32.
      reward: [A, N] Σ_s' (n(s,a,s') + α) r̄(s,a,s'), the expected reward times n(s,a) + αM.
      absorbing: [N] whether a state has been seen as absorbing; its value is 0.
      dropped: [] transitions left out because a list or the rows were full.
      compact: whether rows are given to states as they are met, or row s to state s.
    """

    row_of: Int[Array, " S"]
    num_met: Int[Array, ""]
    successors: Int[Array, "K N"]
    num_listed: Int[Array, " N"]
    experience: Experience
    visits: Float[Array, "A N"]
    reward: Float[Array, "A N"]
    absorbing: Bool[Array, " N"]
    dropped: Int[Array, ""]
    compact: bool = struct.field(pytree_node=False)


def init(spec: TableSpec, compact: bool) -> SuccessorModel:
    """Return the model of a learner that has seen nothing, for a table with a number of successors."""
    # No more rows than a trial can meet.
    rows = min(spec.num_states, 2 * spec.horizon + 1) if compact and spec.horizon else spec.num_states
    pairs = (spec.num_actions, rows)
    return SuccessorModel(
        row_of=jnp.full(spec.num_states, -1),
        num_met=jnp.int32(0),
        successors=jnp.zeros((spec.num_successors, rows), jnp.int32),
        num_listed=jnp.zeros(rows, jnp.int32),
        experience=Experience.none((spec.num_successors, *pairs), spec.standard_errors),
        visits=jnp.zeros(pairs),
        reward=jnp.zeros(pairs),
        absorbing=jnp.zeros(rows, bool),
        dropped=jnp.int32(0),
        compact=compact,
    )


def update(model: SuccessorModel, transition: Transition, smoothing: float) -> SuccessorModel:
    """Count one transition and refresh the expected reward of its pair.

    Raises:
      ConfigError: if there is no room for the transition and this is not compiled code, where it is
        counted in `dropped`.
    """
    model, row = _meet(model, transition.s)
    model, next_row = _meet(model, transition.next_s)
    slots, rows = model.successors.shape
    # Reads beyond the last row clamp; writes there drop.
    listed, slot_range = model.num_listed[row], jnp.arange(slots)
    matches = (model.successors[:, row] == next_row) & (slot_range < listed) | (slot_range == listed)
    slot, a = matches.argmax(), transition.a
    kept = matches.any() & (row < rows) & (next_row < rows)
    if not isinstance(kept, Tracer) and not kept:
        raise ConfigError(
            f"a state has more than {slots} distinct successors, or a trial met more than {rows} states;"
            " let the table's num_successors and horizon be larger, or use learner.planner dense"
        )
    to = jnp.where(kept, row, rows)
    experience = model.experience.after((slot, a, to), transition.r)
    n, reward_sum = experience.of(slice(None), a, row)
    expected = jnp.where(n > 0.0, (n + smoothing) * reward_sum / jnp.maximum(n, 1.0), 0.0)
    return dataclasses.replace(
        model,
        successors=model.successors.at[slot, to].set(next_row),
        num_listed=model.num_listed.at[to].max(slot + 1),
        experience=experience,
        visits=model.visits.at[a, to].add(1.0),
        reward=model.reward.at[a, to].set(expected.sum()),
        absorbing=model.absorbing.at[next_row].max(transition.terminated),
        dropped=model.dropped + ~kept,
    )


def is_met(model: SuccessorModel) -> Bool[Array, " N"]:
    """Return which rows were given to a state."""
    rows = model.absorbing.shape[0]
    return jnp.arange(rows) < model.num_met if model.compact else model.row_of >= 0


def _meet(model: SuccessorModel, state: Int[Array, ""]) -> tuple[SuccessorModel, Int[Array, ""]]:
    """Return the model after a state is met, and the state's row; N if there is no row left for it."""
    rows = model.absorbing.shape[0]
    known = model.row_of[state]
    is_new = known < 0
    row = jnp.where(is_new, model.num_met if model.compact else state, known)
    met = dataclasses.replace(
        model,
        row_of=model.row_of.at[state].set(jnp.where(row < rows, row, -1)),
        num_met=jnp.minimum(model.num_met + is_new, rows),
    )
    return met, row
