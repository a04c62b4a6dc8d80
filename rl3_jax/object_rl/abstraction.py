"""State abstraction: what a tabular learner takes for a state (design, section 5.4)."""

import dataclasses
import math
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

import jax.numpy as jnp
from annotated_types import Ge
from flax import struct
from jaxtyping import Array, Float, Int

from rl3_jax.bins import bin_of
from rl3_jax.constraints import Count
from rl3_jax.object_rl.base import State, TableSpec


@runtime_checkable
class Abstraction(Protocol):
    """A map from the concrete states of one task to those that a learner sees; callers `vmap`.

    A frozen dataclass whose fields are its configuration. A concrete state has an index, coordinates or
    both; what it lacks is None. `space` are the sizes of the table in which each index has a row. The memory
    is any pytree of arrays, kept for a trial; without methods of its own an abstraction remembers nothing.
    """

    abstraction: ClassVar[str]

    def space_problems(self, space: TableSpec) -> list[str]:
        """Return a message for each reason why it does not fit such states."""
        ...

    def table(self, space: TableSpec) -> TableSpec:
        """Return the sizes of the learner's table; here as many states, of which only those met count."""
        return dataclasses.replace(space, discovered=True, grid=None)

    def init(self, space: TableSpec) -> Any:
        """Return the memory before any state is met."""
        return ()

    def enter(self, space: TableSpec, memory: Any, index: Any, coordinates: Any) -> Any:
        """Return the memory after a concrete state is met: a trial's first, and each next one."""
        return memory

    def locate(self, space: TableSpec, memory: Any, index: Any, coordinates: Any) -> State:
        """Return the state, as the learner sees it, of a concrete state that has been met."""
        ...

    def record(self, memory: Any, index: Any, action: Int[Array, ""]) -> Any:
        """Return the memory after an action in a concrete state."""
        return memory

    def counts(self, memory: Any, index: Any, table_counts: Float[Array, " A"]) -> Float[Array, " A"]:
        """Return how often each action was taken in a concrete state, given that of its table state."""
        return table_counts

    def dropped(self, memory: Any) -> Int[Array, ""]:
        """Return how often a concrete state was met for which there was no room; here 0."""
        return jnp.int32(0)


@dataclasses.dataclass(frozen=True)
class Identity(Abstraction):
    """Each concrete state is a table state of its own."""

    abstraction: ClassVar[str] = "identity"

    def space_problems(self, space: TableSpec) -> list[str]:
        """Return a message if states are vectors."""
        if space.num_states:
            return []
        return ["abstraction is identity, but the states are vectors; tiling cuts them into table states"]

    def table(self, space: TableSpec) -> TableSpec:
        """Return the sizes, which stay."""
        return space

    def locate(self, space: TableSpec, memory: Any, index: Any, coordinates: Any) -> Int[Array, ""]:
        """Return the index; 0 for a vector, which only a trial without object-level RL has."""
        return jnp.int32(0) if index is None else index


@dataclasses.dataclass(frozen=True)
class Tiling(Abstraction):
    """A Box of states cut into equal tiles; what lies outside the bounds belongs to the nearest tile.

    Attributes:
      bins: tiles along each coordinate.
    """

    abstraction: ClassVar[str] = "tiling"

    bins: tuple[Count, ...] = ()

    def space_problems(self, space: TableSpec) -> list[str]:
        """Return a message if states have no coordinates, or another number of them."""
        if not space.bounds:
            return ["abstraction is tiling, but the states have no coordinates; use identity"]
        if len(self.bins) != len(space.bounds):
            return [
                f"abstraction.bins has {len(self.bins)} numbers, but a state has {len(space.bounds)}"
                " coordinates; give one number of tiles for each, also as `tiles` of the family"
            ]
        return unbounded_problems(self.abstraction, space)

    def table(self, space: TableSpec) -> TableSpec:
        """Return the sizes with a state for each tile."""
        return dataclasses.replace(super().table(space), num_states=math.prod(self.bins))

    def locate(
        self, space: TableSpec, memory: Any, index: Any, coordinates: Float[Array, " n"]
    ) -> Int[Array, ""]:
        """Return the number of the tile, counted along the last coordinate first."""
        return bin_of(coordinates, space.bounds, self.bins)


@dataclasses.dataclass(frozen=True)
class Coordinates(Abstraction):
    """No table: the learner sees the coordinates of a state, scaled from their bounds to [0, 1]^n.

    What lies outside the bounds is moved to the nearest point within.
    """

    abstraction: ClassVar[str] = "coordinates"

    def space_problems(self, space: TableSpec) -> list[str]:
        """Return a message if states have no coordinates, or ones without bounds."""
        if not space.bounds:
            return [
                "abstraction is coordinates, but the states have none; use identity,"
                " and a learner that keeps a table, as model-based"
            ]
        return unbounded_problems(self.abstraction, space)

    def table(self, space: TableSpec) -> TableSpec:
        """Return the sizes without states, and with the bounds of scaled coordinates."""
        bounds = ((0.0, 1.0),) * len(space.bounds)
        return dataclasses.replace(super().table(space), num_states=0, num_successors=0, bounds=bounds)

    def locate(
        self, space: TableSpec, memory: Any, index: Any, coordinates: Float[Array, " n"]
    ) -> Float[Array, " n"]:
        """Return the scaled coordinates."""
        low, high = jnp.array(space.bounds).T
        return jnp.clip((coordinates - low) / (high - low), 0.0, 1.0)


def unbounded_problems(name: str, space: TableSpec) -> list[str]:
    """Return a message if a coordinate lacks bounds with room between them, which this abstraction needs."""
    if all(math.isfinite(low) and math.isfinite(high) and low < high for low, high in space.bounds):
        return []
    return [
        f"abstraction is {name}, but coordinates lie in {space.bounds}; it needs finite bounds, the first"
        " below the second, which coordinate_bounds of the family can give"
    ]


@struct.dataclass
class ClusterMemory:
    """The clusters of one trial. States are numbered as they are met, clusters as they are opened.

    Attributes:
      cluster: [S] cluster of each state by its index; S for a state not met.
      coordinates: [S, n] of the states met, in that order.
      member_of: [S] cluster of the states met, in that order.
      sizes: [S] members of each cluster.
      num_met: [] states met.
      num_clusters: [] clusters opened.
      counts: [S, A] how often each action was taken in each concrete state, float32.
    """

    cluster: Int[Array, " S"]
    coordinates: Float[Array, "S n"]
    member_of: Int[Array, " S"]
    sizes: Int[Array, " S"]
    num_met: Int[Array, ""]
    num_clusters: Int[Array, ""]
    counts: Float[Array, "S A"]


@dataclasses.dataclass(frozen=True)
class Clusters(Abstraction):
    """Clusters of neighbouring states, formed as states are met: RL³-coarse (paper, appendix).

    A state met for the first time joins the cluster of the nearest earlier state that is strictly within
    `radius` and whose cluster is not full (ties to the earliest), else it opens its own. Counts shown are
    those of the concrete state.

    Attributes:
      cluster_size: members of a cluster at the most.
      radius: Euclidean distance; 0 stands for the family's distance between neighbours.
    """

    abstraction: ClassVar[str] = "clusters"

    cluster_size: Count = 2
    radius: Annotated[float, Ge(0), "0 for neighbours of the family"] = 0.0

    def space_problems(self, space: TableSpec) -> list[str]:
        """Return a message if states lack an index or coordinates."""
        if space.num_states and space.bounds:
            return []
        return [
            "abstraction is clusters (method rl3-coarse), which needs integer states that have coordinates,"
            " as in a gridworld; use method rl3"
        ]

    def table(self, space: TableSpec) -> TableSpec:
        """Return the sizes, with K times as many successors as a cluster has members."""
        num_successors = space.num_successors * self.cluster_size
        return dataclasses.replace(super().table(space), num_successors=num_successors)

    def init(self, space: TableSpec) -> ClusterMemory:
        """Return the memory before any state is met."""
        num_states = space.num_states
        return ClusterMemory(
            cluster=jnp.full(num_states, num_states),
            coordinates=jnp.zeros((num_states, len(space.bounds))),
            member_of=jnp.zeros(num_states, jnp.int32),
            sizes=jnp.zeros(num_states, jnp.int32),
            num_met=jnp.int32(0),
            num_clusters=jnp.int32(0),
            counts=jnp.zeros((num_states, space.num_actions)),
        )

    def enter(
        self, space: TableSpec, memory: ClusterMemory, index: Int[Array, ""], coordinates: Float[Array, " n"]
    ) -> ClusterMemory:
        """Return the memory after a state is met; nothing changes if it has been met before."""
        num_states = space.num_states
        distance = jnp.sqrt(((memory.coordinates - coordinates) ** 2).sum(-1))
        joinable = (
            (jnp.arange(num_states) < memory.num_met)
            & (distance < (self.radius or space.neighbour_radius))
            & (memory.sizes[memory.member_of] < self.cluster_size)
        )
        nearest = jnp.where(joinable, distance, jnp.inf).argmin()
        joins = joinable[nearest]
        cluster = jnp.where(joins, memory.member_of[nearest], memory.num_clusters)
        known = memory.cluster[index] < num_states
        met = jnp.where(known, num_states, memory.num_met)  # beyond the end, where nothing is written
        return dataclasses.replace(
            memory,
            cluster=memory.cluster.at[jnp.where(known, num_states, index)].set(cluster, mode="drop"),
            coordinates=memory.coordinates.at[met].set(coordinates, mode="drop"),
            member_of=memory.member_of.at[met].set(cluster, mode="drop"),
            sizes=memory.sizes.at[jnp.where(known, num_states, cluster)].add(1, mode="drop"),
            num_met=memory.num_met + ~known,
            num_clusters=memory.num_clusters + (~known & ~joins),
        )

    def locate(
        self, space: TableSpec, memory: ClusterMemory, index: Int[Array, ""], coordinates: Any
    ) -> Int[Array, ""]:
        """Return the cluster of a state that has been met."""
        return memory.cluster[index]

    def record(self, memory: ClusterMemory, index: Int[Array, ""], action: Int[Array, ""]) -> ClusterMemory:
        """Count an action in a state."""
        return dataclasses.replace(memory, counts=memory.counts.at[index, action].add(1.0))

    def counts(
        self, memory: ClusterMemory, index: Int[Array, ""], table_counts: Float[Array, " A"]
    ) -> Float[Array, " A"]:
        """Return how often each action was taken in the concrete state."""
        return memory.counts[index]
