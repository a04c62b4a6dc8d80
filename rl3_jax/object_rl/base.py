"""The interface of the RL inside a trial: learners plug in here."""

import dataclasses
import math
from typing import Any, ClassVar, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int

from rl3_jax.bins import Bounds
from rl3_jax.grid import Grid

MAX_STATE_BYTES = 2**22
"""What a learner may keep of one task: 4 MiB, 2 GiB for 500 tasks at once, as in evaluation."""


State = Int[Array, ""] | Float[Array, " n"]
"""A state as a learner sees it: its row in a table, or a vector within [0, 1]^n."""


@dataclasses.dataclass(frozen=True)
class TableSpec:
    """The sizes of a task as a learner sees it, and what a state abstraction needs to know besides.

    Attributes:
      num_states: S, absorbing ones included; 0 where states are vectors.
      num_actions: A.
      episode_length: steps after which an episode is truncated.
      one_shot: whether each step leads from state 0 to the absorbing state 1, as in a bandit.
      num_successors: K, upper bound on the number of distinct states that follow one, whatever the action; 0
        if unbounded.
      horizon: H, steps of a trial; 0 where it is unknown. A step enters one state, and may start an
        episode in another: a trial meets at most 2H + 1.
      discovered: whether only the states met so far count as successors (M of the design, section
        5.1), or all S.
      standard_errors: whether values show standard errors of Q.
      grid: what is known beforehand of all tasks whose states are cells, or None.
      bounds: least and largest value of each coordinate; none where states have no distance.
      neighbour_radius: distance below which two states are neighbours; 0 where states have no distance.
    """

    num_states: int
    num_actions: int
    episode_length: int
    one_shot: bool = False
    num_successors: int = 0
    horizon: int = 0
    discovered: bool = False
    standard_errors: bool = False
    grid: Grid | None = None
    bounds: Bounds = ()
    neighbour_radius: float = 0.0


@struct.dataclass
class Transition:
    """One step of a task: (s, a, r, s', terminated, truncated).

    s' is the state that was entered, before any new episode starts; the step terminated the episode if s' is
    absorbing, and truncated it if it ended for another reason. States are integers, or for a learner without
    a table vectors within [0, 1]^n.
    """

    s: State
    a: Int[Array, ""]
    r: Float[Array, ""]
    next_s: State
    terminated: Bool[Array, ""]
    truncated: Bool[Array, ""]


@struct.dataclass
class ActionValues:
    """What object-level RL knows about one state.

    Attributes:
      q: [A] action values Q(s, ·).
      counts: [A] how often each action was taken in this state, as float32.
      standard_errors: [A] standard errors of q, or None where they are not asked for.
    """

    q: Float[Array, " A"]
    counts: Float[Array, " A"]
    standard_errors: Float[Array, " A"] | None = None


@runtime_checkable
class Learner(Protocol):
    """An ordinary RL algorithm that runs inside a trial, for one task; callers `vmap`.

    A learner is a frozen dataclass whose fields are its configuration. Its state is any pytree of
    arrays, cleared between trials and kept across the episodes of one.

    One that leaves choices open, to be made by where a program runs, also has `suited(spec, platform)`, which
    returns it with these made; see `TrialEnv.suited`.
    """

    learner: ClassVar[str]
    sees_vectors: ClassVar[bool] = False
    """Whether states are vectors within [0, 1]^n to it (abstraction `coordinates`), or rows of a table."""

    def table_problems(self, spec: TableSpec) -> list[str]:
        """Return a message for each thing about such a table that this learner cannot do.

        By default, if it keeps more than `MAX_STATE_BYTES` of one task, and if standard errors are asked for.
        """
        return size_problems(self, spec, "") + error_problems(self, spec)

    def init(self, spec: TableSpec) -> Any:
        """Return the state of a learner that has seen nothing."""
        ...

    def update(self, spec: TableSpec, state: Any, transition: Transition) -> Any:
        """Return the state after one more transition."""
        ...

    def values(self, spec: TableSpec, state: Any, s: Any) -> ActionValues:
        """Return the current action values and visit counts of state `s`."""
        ...

    def dropped(self, spec: TableSpec, state: Any) -> Int[Array, ""]:
        """Return how many transitions the model could not keep, for want of room; here 0."""
        return jnp.int32(0)


@dataclasses.dataclass(frozen=True)
class NoLearner(Learner):
    """No RL inside the trial, as in RL²: keeps nothing, and values all actions 0."""

    learner: ClassVar[str] = "none"

    def init(self, spec: TableSpec) -> tuple[()]:
        """Return the empty state."""
        return ()

    def update(self, spec: TableSpec, state: tuple[()], transition: Transition) -> tuple[()]:
        """Return the empty state."""
        return state

    def values(self, spec: TableSpec, state: tuple[()], s: Int[Array, ""]) -> ActionValues:
        """Return zeros."""
        nothing = jnp.zeros(spec.num_actions)
        return ActionValues(q=nothing, counts=nothing)


def learner_problems(learner: Learner, spec: TableSpec) -> list[str]:
    """Return a message for each reason why a learner does not fit such states."""
    is_table = spec.num_states > 0
    if learner.sees_vectors and is_table:
        return [f"learner {learner.learner} sees vectors; use abstraction coordinates (method rl3)"]
    if not learner.sees_vectors and not is_table:
        return [
            f"learner {learner.learner} keeps a table, but with abstraction coordinates states are vectors;"
            " use abstraction tiling, or learner kernel"
        ]
    if learner.sees_vectors and not spec.horizon:
        return [f"learner {learner.learner} remembers the steps of a trial; give horizon, their number"]
    return learner.table_problems(spec)


def size_problems(learner: Learner, spec: TableSpec, mend: str) -> list[str]:
    """Return a message if a learner keeps more than `MAX_STATE_BYTES` of one task; `mend` ends it."""
    leaves = jax.tree.leaves(jax.eval_shape(lambda: learner.init(spec)))
    size = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
    if size <= MAX_STATE_BYTES:
        return []
    seen, fewer = f"{spec.num_states:,} states", "states, bins or tiles"
    if not spec.num_states:
        seen, fewer = f"{len(spec.bounds)} coordinates", "coordinates, steps or bins of actions"
    return [
        f"learner {learner.learner} would keep {size:,} bytes for each task, with {seen}"
        f" and {spec.num_actions:,} actions; at most {MAX_STATE_BYTES:,} are allowed: use fewer"
        f" {fewer}{mend}"
    ]


def error_problems(learner: Learner, spec: TableSpec) -> list[str]:
    """Return a message if standard errors are asked of a learner that has none."""
    if not spec.standard_errors:
        return []
    return [
        f"learner {learner.learner} has no standard errors; switch features.standard_errors off, or use"
        " learner model-based"
    ]
