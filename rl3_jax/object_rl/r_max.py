"""R-max on a grid, with a model of moves that all cells share (design, section 5.5)."""

import dataclasses
import functools
from typing import Annotated, ClassVar, Literal

import jax
import jax.numpy as jnp
from annotated_types import Ge, Lt
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from rl3_jax.constraints import Count
from rl3_jax.grid import STAY, Grid
from rl3_jax.object_rl.base import ActionValues, Learner, TableSpec, Transition, error_problems

CERTAIN = 0.99
"""Largest belief that a cell is blocked: planning rules nothing out but the wall, whose belief is 1."""


@struct.dataclass
class RMaxState:
    """What was found out about one grid, by the places of its cells and of the wall around them.

    Attributes:
      counts: [S, A] how often each action was taken in each cell.
      entered: [Z] whether each cell was entered.
      reward: [Z] what entering it paid last; 0 before.
      ended: [Z] whether entering it ended the episode.
      blocked: [Z] belief that it cannot be entered; 1 for the wall.
      q: [A, Z] action values after the last step.
    """

    counts: Float[Array, "S A"]
    entered: Bool[Array, " Z"]
    reward: Float[Array, " Z"]
    ended: Bool[Array, " Z"]
    blocked: Float[Array, " Z"]
    q: Float[Array, "A Z"]


@struct.dataclass
class Beliefs:
    """The model that is planned on.

    Attributes:
      pay: [Z] what entering a cell pays.
      discount_after: [Z] γ times the probability that the episode then goes on.
      pay_staying: [Z] what staying in a cell pays.
      free: D arrays [Z], the probability that the cell to which a displacement leads can be entered.
      slippery: [Z] whether actions move otherwise in a cell.
    """

    pay: Float[Array, " Z"]
    discount_after: Float[Array, " Z"]
    pay_staying: Float[Array, " Z"]
    free: list[Float[Array, " Z"]]
    slippery: Bool[Array, " Z"]


@dataclasses.dataclass(frozen=True)
class RMax(Learner):
    """R-max for grids: optimistic planning with rules that are known beforehand.

    A cell that was not entered is believed to pay the most that it pays in any task (R-max, Brafman and
    Tennenholtz 2002). Actions move in all cells alike (relocatable action models, Leffler et al. 2007), but
    for cells that are slippery, which is seen, or blocked, which is inferred.

    Attributes:
      discount: planning discount γ.
      max_sweeps: of value iteration after each step, from the last values.
      bound: whether the largest reward is that of each `cell`, or of the whole `grid`.
    """

    learner: ClassVar[str] = "r-max"

    discount: Annotated[float, Ge(0), Lt(1)] = 0.95
    max_sweeps: Count = 16
    bound: Literal["cell", "grid"] = "cell"

    def table_problems(self, spec: TableSpec) -> list[str]:
        """Return a message for each thing about such a table that this learner cannot do."""
        if spec.grid is not None:
            return error_problems(self, spec)
        return [
            "learner r-max knows the rules of gridworld alone, and plans on its cells (method rl3);"
            " choose learner model-based, or another method",
            *error_problems(self, spec),
        ]

    def init(self, spec: TableSpec) -> RMaxState:
        """Return the state of a learner that has seen nothing."""
        grid = _grid(spec)
        places = grid.num_places
        return RMaxState(
            counts=jnp.zeros((spec.num_states, spec.num_actions)),
            entered=jnp.zeros(places, bool),
            reward=jnp.zeros(places),
            ended=jnp.zeros(places, bool),
            blocked=grid.walled((grid.blocked,) * spec.num_states, 1.0),
            q=jnp.zeros((spec.num_actions, places)),
        )

    def update(self, spec: TableSpec, state: RMaxState, transition: Transition) -> RMaxState:
        """Take in one step, then plan."""
        grid = _grid(spec)
        before, after = grid.place(transition.s), grid.place(transition.next_s)
        around, blocked = grid.places_around(before), state.blocked.at[before].set(0.0)
        slippery = state.reward[before] == grid.slippery
        moves = jnp.where(slippery, jnp.asarray(grid.slippery_moves), jnp.asarray(grid.moves))[transition.a]
        beliefs = jnp.where(before == after, blocked_after_no_move(moves, blocked[around]), blocked[around])
        seen = RMaxState(
            counts=state.counts.at[transition.s, transition.a].add(1.0),
            entered=state.entered.at[before].set(True).at[after].set(True),
            reward=state.reward.at[after].set(transition.r),
            ended=state.ended.at[after].set(transition.terminated),
            blocked=blocked.at[around].set(beliefs).at[after].set(0.0),
            q=state.q,
        )
        return dataclasses.replace(seen, q=self._plan(grid, seen))

    def values(self, spec: TableSpec, state: RMaxState, s: Int[Array, ""]) -> ActionValues:
        """Return the current action values and visit counts of state `s`."""
        return ActionValues(state.q[:, _grid(spec).place(s)], state.counts[s])

    def _plan(self, grid: Grid, state: RMaxState) -> Float[Array, "A Z"]:
        """Return the action values after some sweeps from the last ones."""
        beliefs = self._beliefs(grid, state)
        value = jax.lax.fori_loop(
            1,
            self.max_sweeps,
            lambda _, value: functools.reduce(jnp.maximum, back_up(grid, self.discount, beliefs, value)),
            state.q.max(axis=0),
        )
        return jnp.stack(back_up(grid, self.discount, beliefs, value))

    def _beliefs(self, grid: Grid, state: RMaxState) -> Beliefs:
        """Return what is believed of the grid, with optimism."""
        entered, largest = state.entered, max(grid.largest_reward)
        if self.bound == "cell":
            most, ends = grid.walled(grid.largest_reward, 0.0), grid.walled(grid.ends, False)
        else:
            most, ends = largest, jnp.bool_(grid.ends[grid.largest_reward.index(largest)])
        found = (entered & (state.reward == largest)).any()
        pay = jnp.where(entered, state.reward, jnp.where(found, grid.usual_reward, most))
        discount_after = jnp.where(jnp.where(entered, state.ended, ends & ~found), 0.0, self.discount)
        risk = danger_risk(grid, entered, state.reward)
        return Beliefs(
            pay=(1.0 - risk) * pay + risk * grid.danger,
            discount_after=(1.0 - risk) * discount_after,
            pay_staying=state.reward,
            free=[1.0 - blocked for blocked in grid.shifted(state.blocked)],
            slippery=entered & (state.reward == grid.slippery),
        )


def back_up(
    grid: Grid, discount: float, beliefs: Beliefs, value: Float[Array, " Z"]
) -> list[Float[Array, " Z"]]:
    """Return what each action is worth in each cell, from the cells' last values."""
    stay = beliefs.pay_staying + discount * value
    arrive = beliefs.pay + beliefs.discount_after * value
    moved = [stay + p * (x - stay) for p, x in zip(beliefs.free, grid.shifted(arrive), strict=True)]
    moved[STAY] = stay
    return [
        functools.reduce(
            jnp.add,
            (
                jnp.where(beliefs.slippery, slipped, p) * moved[d]
                for d, (p, slipped) in enumerate(zip(*rows, strict=True))
                if p or slipped
            ),
        )
        for rows in zip(grid.moves, grid.slippery_moves, strict=True)
    ]


def danger_risk(grid: Grid, entered: Bool[Array, " Z"], reward: Float[Array, " Z"]) -> Float[Array, " Z"]:
    """Return the probability that each cell is a danger, if it was not entered."""
    warning, harmless = entered & (reward == grid.warning), entered & (reward > grid.warning)
    beside_warning, beside_harmless = (
        functools.reduce(jnp.logical_or, grid.shifted(cells)[STAY + 1 :]) for cells in (warning, harmless)
    )
    return jnp.where(beside_warning & ~beside_harmless & ~entered, grid.risk, 0.0)


def blocked_after_no_move(moves: Float[Array, " D"], blocked: Float[Array, " D"]) -> Float[Array, " D"]:
    """Return the beliefs that the cells around are blocked, after an action that led nowhere.

    By Bayes' rule for each cell, with the beliefs of the others: a cell's odds are multiplied by
    P(no move | blocked) / P(no move | free). `moves` is the probability of each displacement where no cell is
    blocked; the belief is 1 beyond the walls.
    """
    fails = moves * jnp.where(jnp.arange(len(moves)) == STAY, 1.0, blocked)
    elsewhere = fails.sum() - fails
    if_blocked, if_free = blocked * (moves + elsewhere), (1.0 - blocked) * elsewhere
    evidence = if_blocked + if_free
    learnt = jnp.minimum(if_blocked / evidence, CERTAIN)
    return jnp.where((evidence > 0.0) & (blocked < 1.0), learnt, blocked)


def _grid(spec: TableSpec) -> Grid:
    assert spec.grid is not None, "table_problems says so"
    return spec.grid
