"""State abstraction: what a tabular learner takes for a state (design, section 5.4)."""

import dataclasses
import math
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Array, Float, Int

from rl3_jax.bins import Bounds, bin_of
from rl3_jax.constraints import Count


@dataclasses.dataclass(frozen=True)
class StateSpace:
    """The concrete states of a family.

    Attributes:
      num_states: S, how many have an index; 0 where states are vectors only.
      num_actions: A.
      bounds: least and largest value of each coordinate; none where states have no distance.
      num_successors: K, distinct states that may follow one, whatever the action; 0 where all may.
      neighbour_radius: distance below which two states are neighbours; 0 where states have no distance.
    """

    num_states: int
    num_actions: int
    bounds: Bounds = ()
    num_successors: int = 0
    neighbour_radius: float = 0.0


Index = Int[Array, ""] | None
Coordinates = Float[Array, " n"] | None


@runtime_checkable
class Abstraction(Protocol):
    """A map from the concrete states of one task to those of a table; callers `vmap`.

    A frozen dataclass whose fields are its configuration. A concrete state has an index, coordinates or
    both (`StateSpace`). The memory is any pytree of arrays, kept for a trial.
    """

    abstraction: ClassVar[str]
    """Name of the abstraction."""
    discovered: ClassVar[bool]
    """Whether only table states met so far count, instead of all S, whatever the task family says."""

    def space_problems(self, space: StateSpace) -> list[str]:
        """Return a message for each reason why it does not fit such states."""
        ...

    def num_states(self, space: StateSpace) -> int:
        """Return the number of table states."""
        ...

    def num_successors(self, space: StateSpace) -> int:
        """Return how many table states may follow one, whatever the action; 0 where all may."""
        ...

    def init(self, space: StateSpace) -> Any:
        """Return the memory before any state is met."""
        ...

    def enter(self, space: StateSpace, memory: Any, index: Any, coordinates: Any) -> Any:
        """Return the memory after a concrete state is met: a trial's first, and each next one."""
        ...

    def locate(self, space: StateSpace, memory: Any, index: Any, coordinates: Any) -> Int[Array, ""]:
        """Return the table state of a concrete state that has been met."""
        ...

    def record(self, memory: Any, index: Any, action: Int[Array, ""]) -> Any:
        """Return the memory after an action in a concrete state."""
        ...

    def counts(self, memory: Any, index: Any, table_counts: Float[Array, " A"]) -> Float[Array, " A"]:
        """Return how often each action was taken in a concrete state, given that of its table state."""
        ...


@dataclasses.dataclass(frozen=True)
class Fixed:
    """What abstractions share that remember nothing of a trial."""

    def init(self, space: StateSpace) -> tuple[()]:
        """Return the empty memory."""
        return ()

    def enter(self, space: StateSpace, memory: Any, index: Index, coordinates: Coordinates) -> Any:
        """Return the memory unchanged."""
        return memory

    def record(self, memory: Any, index: Index, action: Int[Array, ""]) -> Any:
        """Return the memory unchanged."""
        return memory

    def counts(self, memory: Any, index: Index, table_counts: Float[Array, " A"]) -> Float[Array, " A"]:
        """Return the counts of the table state."""
        return table_counts


@dataclasses.dataclass(frozen=True)
class Identity(Fixed):
    """Each concrete state is a table state of its own."""

    abstraction: ClassVar[str] = "identity"
    discovered: ClassVar[bool] = False

    def space_problems(self, space: StateSpace) -> list[str]:
        """Return a message if states are vectors."""
        if space.num_states:
            return []
        return ["abstraction is identity, but the states are vectors; tiling cuts them into table states"]

    def num_states(self, space: StateSpace) -> int:
        """Return S."""
        return space.num_states

    def num_successors(self, space: StateSpace) -> int:
        """Return K."""
        return space.num_successors

    def locate(
        self, space: StateSpace, memory: Any, index: Int[Array, ""], coordinates: Coordinates
    ) -> Int[Array, ""]:
        """Return the index."""
        return index


@dataclasses.dataclass(frozen=True)
class Tiling(Fixed):
    """A Box of states cut into equal tiles; what lies outside the bounds belongs to the nearest tile.

    Attributes:
      bins: tiles along each coordinate.
    """

    abstraction: ClassVar[str] = "tiling"
    discovered: ClassVar[bool] = True

    bins: tuple[Count, ...] = ()

    def space_problems(self, space: StateSpace) -> list[str]:
        """Return a message if states have no coordinates, or another number of them."""
        if not space.bounds:
            return ["abstraction is tiling, but the states have no coordinates; use identity"]
        if len(self.bins) != len(space.bounds):
            return [
                f"abstraction.bins has {len(self.bins)} numbers, but a state has {len(space.bounds)}"
                " coordinates; give one number of tiles for each"
            ]
        if not all(math.isfinite(bound) for pair in space.bounds for bound in pair):
            return [f"abstraction is tiling, but coordinates lie in {space.bounds}; tiles need finite bounds"]
        return []

    def num_states(self, space: StateSpace) -> int:
        """Return the number of tiles."""
        return math.prod(self.bins)

    def num_successors(self, space: StateSpace) -> int:
        """Return K, which a family of vectors gives for its usual tiles."""
        return space.num_successors

    def locate(
        self, space: StateSpace, memory: Any, index: Index, coordinates: Float[Array, " n"]
    ) -> Int[Array, ""]:
        """Return the number of the tile, counted along the last coordinate first."""
        return bin_of(coordinates, space.bounds, self.bins)
