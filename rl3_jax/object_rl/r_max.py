"""R-max on a grid, with a model of moves that all cells share (design, section 5.3)."""

import dataclasses
from typing import ClassVar, Literal

import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from rl3_jax.errors import unknown_choices
from rl3_jax.grid import DISPLACEMENTS, STAY, Grid
from rl3_jax.object_rl.base import ActionValues, TableSpec, Transition

CERTAIN = 0.99
"""Largest belief that a cell is blocked: what is certain could not be unlearnt."""


@struct.dataclass
class RMaxState:
    """What was found out about one grid, and the values planned on it.

    Attributes:
      outcomes: [D, A, S] how often each displacement followed each action in each cell.
      entered: [S] whether each cell was entered.
      reward: [S] what entering it paid last.
      ended: [S] whether entering it ended the episode.
      blocked: [S] belief that it cannot be entered.
      q: [A, S] action values after the last step.
    """

    outcomes: Float[Array, "D A S"]
    entered: Bool[Array, " S"]
    reward: Float[Array, " S"]
    ended: Bool[Array, " S"]
    blocked: Float[Array, " S"]
    q: Float[Array, "A S"]


@dataclasses.dataclass(frozen=True)
class RMax:
    """R-max (Brafman and Tennenholtz 2002) on a relocatable action model (Leffler et al. 2007), for grids.

    A cell that was not entered is believed to pay the most that it pays in any task. Actions move in all
    cells alike, but for cells that are blocked, which is inferred, and for what was seen to happen in a cell.

    Attributes:
      discount: planning discount γ.
      max_sweeps: of value iteration after each step, from the last values.
      prior_weight: κ, the number of outcomes of an action in a cell that weigh as much as what is known of
        the action in all cells.
      bound: whether the largest reward is that of each `cell`, or of the whole `grid`.
    """

    learner: ClassVar[str] = "r-max"

    discount: float = 0.95
    max_sweeps: int = 4
    prior_weight: float = 1.0
    bound: Literal["cell", "grid"] = "cell"

    def problems(self) -> list[str]:
        """Return a message for each field that is wrong."""
        found = unknown_choices(self, "learner")
        if not 0.0 <= self.discount < 1.0:
            found.append(f"learner.discount is {self.discount}; it must be at least 0 and below 1")
        if self.max_sweeps < 1:
            found.append(f"learner.max_sweeps is {self.max_sweeps}; it must be at least 1")
        if self.prior_weight <= 0.0:
            found.append(f"learner.prior_weight is {self.prior_weight}; it must be above 0")
        return found

    def table_problems(self, spec: TableSpec) -> list[str]:
        """Return a message for each thing about such a table that this learner cannot do."""
        found = []
        if spec.grid is None:
            found.append(
                "learner is r-max, which needs states that are cells of a known grid, as in gridworld with"
                " abstraction identity; use learner model-based"
            )
        if spec.standard_errors:
            found.append("learner r-max has no standard errors; switch features.standard_errors off")
        return found

    def init(self, spec: TableSpec) -> RMaxState:
        """Return the state of a learner that has seen nothing."""
        size, actions = spec.num_states, spec.num_actions
        return RMaxState(
            outcomes=jnp.zeros((len(DISPLACEMENTS), actions, size)),
            entered=jnp.zeros(size, bool),
            reward=jnp.zeros(size),
            ended=jnp.zeros(size, bool),
            blocked=jnp.full(size, _grid(spec).blocked),
            q=jnp.zeros((actions, size)),
        )

    def update(self, spec: TableSpec, state: RMaxState, transition: Transition) -> RMaxState:
        """Take in one step, then plan."""
        grid = _grid(spec)
        s, a, next_s = transition.s, transition.a, transition.next_s
        displacement, around = grid.displacement(s, next_s), grid.around(s)
        blocked = state.blocked.at[s].set(0.0)
        before = blocked.at[around].get(mode="fill", fill_value=1.0)
        after = jnp.where(displacement == STAY, bumped(jnp.asarray(grid.moves)[a], before), before)
        state = dataclasses.replace(
            state,
            outcomes=state.outcomes.at[displacement, a, s].add(1.0),
            entered=state.entered.at[s].set(True).at[next_s].set(True),
            reward=state.reward.at[next_s].set(transition.r),
            ended=state.ended.at[next_s].set(transition.terminated),
            blocked=blocked.at[around].set(after, mode="drop").at[next_s].set(0.0),
        )
        return dataclasses.replace(state, q=self._plan(grid, state))

    def values(self, spec: TableSpec, state: RMaxState, s: Int[Array, ""]) -> ActionValues:
        """Return the current action values and visit counts of state `s`."""
        del spec
        return ActionValues(state.q[:, s], state.outcomes[:, :, s].sum(axis=0))

    def dropped(self, spec: TableSpec, state: RMaxState) -> Int[Array, ""]:
        """Return 0: all transitions are kept."""
        del spec, state
        return jnp.int32(0)

    def _plan(self, grid: Grid, state: RMaxState) -> Float[Array, "A S"]:
        """Return the action values after some sweeps from the last ones."""
        known, most, ends = state.entered, jnp.asarray(grid.largest_reward), jnp.asarray(grid.ends)
        if self.bound == "grid":
            most, ends = jnp.full_like(most, most.max()), jnp.full_like(ends, ends[jnp.argmax(most)])
        found = (known & (state.reward == most.max())).any()
        most, ends = jnp.where(found, grid.usual_reward, most), ends & ~found
        pay = jnp.where(known, state.reward, most)
        goes_on = jnp.where(jnp.where(known, state.ended, ends), 0.0, self.discount)
        blocked, risk = grid.beyond(state.blocked, 1.0), danger_risk(grid, known, state.reward)
        visits = state.outcomes.sum(axis=0)

        def sweep(q: Float[Array, "A S"]) -> Float[Array, "A S"]:
            value = q.max(axis=0)
            stay = jnp.where(known, state.reward, 0.0) + self.discount * value
            arrive = (1.0 - risk) * (pay + goes_on * value) + risk * grid.danger
            ahead = grid.beyond(arrive, stay).at[STAY].set(stay)
            expected = ((1.0 - blocked) * ahead + blocked * stay).at[STAY].set(stay)
            prior = jnp.stack([sum(p * expected[d] for d, p in enumerate(row) if p) for row in grid.moves])
            seen = sum(state.outcomes[d] * ahead[d] for d in range(len(ahead)))
            return (seen + self.prior_weight * prior) / (visits + self.prior_weight)

        q = state.q
        for _ in range(self.max_sweeps):
            q = sweep(q)
        return q


def danger_risk(grid: Grid, entered: Bool[Array, " S"], reward: Float[Array, " S"]) -> Float[Array, " S"]:
    """Return the probability that each cell is a danger, if it was not entered."""
    warning, harmless = entered & (reward == grid.warning), entered & (reward > grid.warning)
    beside_warning, beside_harmless = (
        grid.beyond(cells.astype(jnp.float32), 0.0)[STAY + 1 :].max(axis=0) > 0.0
        for cells in (warning, harmless)
    )
    return jnp.where(beside_warning & ~beside_harmless & ~entered, grid.risk, 0.0)


def bumped(moves: Float[Array, " D"], blocked: Float[Array, " D"]) -> Float[Array, " D"]:
    """Return the beliefs that the cells around are blocked, after an action that led nowhere.

    By Bayes' rule for each cell, with the beliefs of the others: a cell's odds are multiplied by
    P(no move | blocked) / P(no move | free).

    Args:
      moves: probability of each displacement where no cell is blocked.
      blocked: the beliefs before; 1 beyond the walls.
    """
    fails = moves * jnp.where(jnp.arange(len(moves)) == STAY, 1.0, blocked)
    elsewhere = fails.sum() - fails
    if_blocked, if_free = blocked * (moves + elsewhere), (1.0 - blocked) * elsewhere
    evidence = if_blocked + if_free
    return jnp.where(evidence > 0.0, jnp.minimum(if_blocked / evidence, CERTAIN), blocked)


def _grid(spec: TableSpec) -> Grid:
    assert spec.grid is not None, "table_problems says so"
    return spec.grid
