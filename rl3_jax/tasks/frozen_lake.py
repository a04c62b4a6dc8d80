"""Frozen lakes with random holes (gymnasium's FrozenLake and its generator of maps)."""

import copy
import dataclasses
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
from annotated_types import Ge
from flax import struct
from gymnax.environments.misc import frozen_lake
from gymnax.environments.misc.frozen_lake import FROZEN, GOAL, HOLE, START
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax import picture
from rl3_jax.grid import path_lengths
from rl3_jax.lean_gymnax import spaces
from rl3_jax.tasks.gymnax_tasks import GymnaxTask, GymnaxTasks

HOLE_PROBABILITY = {"default": 0.2, "more-holes": 0.35, "fewer-holes": 0.1}
"""Chance of a hole in each tile but start and goal; gymnasium's is 0.2."""
TILE_KINDS = (
    picture.START,
    picture.FREE,
    picture.TileKind("hole", "#3f6f94", "●", "white", enters=False),
    picture.GOAL,
)
"""How tiles look, by gymnax's codes."""
TRIES = 100
"""Maps drawn until one has a way to the goal. One in five does at the worst (side 8, `more-holes`)."""


@struct.dataclass
class LakeParams(frozen_lake.EnvParams):
    """Params of a lake: the code of each tile of its map."""

    desc: Int[Array, "n n"] = struct.field(default=None)  # gymnax's field has a default


@dataclasses.dataclass(frozen=True)
class FrozenLakes(GymnaxTasks):
    """gymnax's FrozenLake on random maps: from one corner to the other, round holes, on slippery ice.

    Four actions: west, south, east, north. A move goes where it should with probability 1/3, else 90° to
    either side. The goal pays 1 and ends the episode, as a hole does, which pays nothing. The policy sees its
    tile's number. Each tile is a hole with the variation's probability; a map without a way from start
    to goal is drawn again. Variations: `default` (0.2), `more-holes` (0.35), `fewer-holes` (0.1).

    Attributes:
      side: tiles along each side; 4 and 8 are gymnasium's.
      slippery: whether moves slip.
    """

    family: ClassVar[str] = "frozen-lake"
    variations: ClassVar[tuple[str, ...]] = tuple(HOLE_PROBABILITY)
    value_scale: ClassVar[float] = 1.0
    action_names: ClassVar[tuple[str, ...]] = ("W", "S", "E", "N")
    num_successors: ClassVar[int] = 5  # a tile and its four neighbours

    side: Annotated[int, Ge(2), "a start and a goal"] = 4
    slippery: bool = True

    def picture(self, task: GymnaxTask, states: Any) -> picture.Tiles:
        """Return the lake."""
        return picture.Tiles(task.params.desc, TILE_KINDS)

    # Known without a map: drawing one, as other families do, slows every start.
    def action_space(self, params: GymnaxTask | None = None) -> spaces.Discrete:
        """West, south, east, north."""
        return spaces.Discrete(4)

    def observation_space(self, params: GymnaxTask | None = None) -> spaces.Discrete:
        """The number of the agent's tile."""
        return spaces.Discrete(self.side**2)

    def make_environment(self) -> frozen_lake.FrozenLake:
        """Return a lake without holes."""
        tiles = "S" + "F" * (self.side**2 - 2) + "G"
        rows = [tiles[start : start + self.side] for start in range(0, self.side**2, self.side)]
        return frozen_lake.FrozenLake(desc=rows, is_slippery=self.slippery)

    def environment_of(self, params: LakeParams) -> frozen_lake.FrozenLake:
        """Return the lake with a task's map, which gymnax's has from its constructor."""
        lake: Any = copy.copy(self.environment)
        lake.desc = params.desc
        return lake

    def sample_params(self, key: PRNGKeyArray) -> LakeParams:
        """Draw maps until one can be solved. The key is consumed.

        After `TRIES` of them, which is next to never, the last one has its first column and last row cleared.
        """

        def unsolved(carry):
            _, tries, desc = carry
            return ~jnp.isfinite(path_length(desc)) & (tries < TRIES)

        def draw(carry):
            key, tries, _ = carry
            key, key_map = jax.random.split(key)
            return key, tries + 1, self.sample_map(key_map)

        closed = jnp.full((self.side, self.side), HOLE)
        _, _, desc = jax.lax.while_loop(unsolved, draw, (key, 0, closed))
        cleared = desc.at[1:, 0].set(FROZEN).at[-1, :-1].set(FROZEN)
        desc = jnp.where(jnp.isfinite(path_length(desc)), desc, cleared)
        return LakeParams(desc=desc)

    def sample_candidate(self, key: PRNGKeyArray) -> GymnaxTask:
        """Draw the task of one map, which need not have a solution. The key is consumed."""
        task = self.sample_task(key)
        return dataclasses.replace(task, params=dataclasses.replace(task.params, desc=self.sample_map(key)))

    def sample_map(self, key: PRNGKeyArray) -> Int[Array, "n n"]:
        """Draw a map, which need not have a solution. The key is consumed."""
        hole = jax.random.bernoulli(key, HOLE_PROBABILITY[self.variation], (self.side, self.side))
        return jnp.where(hole, HOLE, FROZEN).at[0, 0].set(START).at[-1, -1].set(GOAL)

    def statistics(self, tasks: GymnaxTask) -> dict[str, Float[Array, " N"]]:
        """Return numbers that characterise each of N maps; NaN for those without a way to the goal."""
        length = jax.vmap(path_length)(tasks.params.desc)
        accepted = jnp.isfinite(length)
        return {
            "acceptance_rate": accepted.astype(jnp.float32),
            "holes": jnp.where(accepted, (tasks.params.desc == HOLE).sum((1, 2)), jnp.nan),
            "path_length": jnp.where(accepted, length, jnp.nan),
        }


def path_length(desc: Int[Array, "n n"]) -> Float[Array, ""]:
    """Return the fewest moves from the first tile to the last that enter no hole; ∞ if there is no way."""
    return path_lengths(desc == START, desc == HOLE)[-1, -1]
