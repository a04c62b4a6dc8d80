"""Rooms of navix (MiniGrid in JAX; Pignatelli et al. 2024), whose layout is the task."""

import dataclasses
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge, Le
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8

from rl3_jax import picture
from rl3_jax.bins import Bounds
from rl3_jax.constraints import Among
from rl3_jax.grid import path_lengths
from rl3_jax.lean_gymnax import environment, spaces
from rl3_jax.tasks.base import Action, ConcreteState
from rl3_jax.tasks.gymnax_tasks import GymnaxState, GymnaxTask, GymnaxTasks

ROOMS = {
    "empty": ("Navix-Empty-Random-8x8-v0", 6),
    "four-rooms": ("Navix-FourRooms-v0", 17),
    "door-key": ("Navix-DoorKey-Random-6x6-v0", 4),
}
"""By variation: navix's environment, and the cells along each side within its outer wall."""
ACTIONS = ("rotate_ccw", "rotate_cw", "forward", "pickup", "toggle")
"""navix's names of the actions. MiniGrid's other two, to drop and to be done, serve nothing here."""
WALL, DOOR, KEY, GOAL = 2, 4, 5, 8
"""navix's codes of what stands on a tile."""
NUM_KINDS = 5
VIEW = 7
"""Tiles along each side of what navix shows; the agent stands in the middle of the last row and looks up."""
TILE_KINDS = (
    picture.FREE,
    picture.WALL,
    picture.GOAL,
    picture.TileKind("key", "#e3c04f", "K"),
    picture.TileKind("door", "#b98a5a", "D"),
)
LOCKED, HOLDS_KEY, OPEN = range(3)
"""How far the agent is in an episode with a door."""


@struct.dataclass
class RoomParams(environment.EnvParams):
    """One layout: navix's state, without key and sprites, in which each episode starts."""

    start: Any = struct.field(default=None)  # gymnax's field has a default


@struct.dataclass
class RoomState(environment.EnvState):
    """Inside an episode: navix's state, without key and sprites, and whether the agent reached the goal."""

    world: Any
    reached: Bool[Array, ""]


class Rooms(environment.Environment):
    """navix's environment with gymnax's functions, and without its own resets."""

    def __init__(self, navix: Any, name: str):
        """Take the module navix, and its name of the environment."""
        self.navix = navix
        self.rooms = navix.make(
            name,
            observation_fn=navix.observations.symbolic_first_person,
            action_set=tuple(getattr(navix.actions, action) for action in ACTIONS),
        )

    def draw(self, key: PRNGKeyArray) -> Any:
        """Return navix's state after its reset with a key, which is consumed."""
        # Nothing of these rooms moves by chance, and pictures are drawn without navix's sprites.
        return self.rooms.reset(key).state.replace(key=None, cache=None)

    def reset_env(self, key: PRNGKeyArray, params: RoomParams) -> tuple[Array, RoomState]:
        """Start where each episode of the layout does. The key is not used."""
        return self.rooms.observation_fn(params.start), RoomState(0, params.start, jnp.bool_(False))

    def step_env(
        self, key: PRNGKeyArray, state: RoomState, action: Action, params: RoomParams
    ) -> tuple[Array, RoomState, Array, Array, dict[str, Any]]:
        """Take navix's step. The key is not used."""
        before = self.navix.Timestep(
            t=state.time, observation=None, action=None, reward=None, step_type=None, state=state.world
        )
        # navix's `step` without the reset, which vmap would compute in each step.
        after = self.rooms._step(before, action)
        reached = after.is_termination()
        return after.observation, RoomState(state.time + 1, after.state, reached), after.reward, reached, {}

    def is_terminated(self, state: RoomState, params: RoomParams) -> Bool[Array, ""]:
        """Whether the agent reached the goal."""
        return state.reached


@dataclasses.dataclass(frozen=True)
class NavixRooms(GymnaxTasks):
    """Rooms of navix (MiniGrid in JAX), whose unknown task is the layout; needs the extra `navix`.

    Five actions: turn left, turn right, forward, pick up what is ahead, open the door ahead. Reaching the
    goal pays 1 and ends the episode; the next one starts from the same cell of the same layout. The policy
    sees navix's symbolic view of the tiles ahead, through walls: what stands on each (nothing, wall, key,
    goal, closed or open door), one-hot; and its row, column and direction, and whether it has taken the key
    and opened the door. Object-level RL has a table of the latter, without the view. navix draws the layouts;
    those whose goal cannot be reached, were doors open, or is the start, are drawn again. Variations:

    - `empty`: a goal in a room of 6 × 6 cells (`Navix-Empty-Random-8x8-v0`);
    - `four-rooms`: doorways and goal, 17 × 17 cells (`Navix-FourRooms-v0`);
    - `door-key`: a key opens the door to the room of the goal, 4 × 4 cells (`Navix-DoorKey-Random-6x6-v0`).

    Source: navix (Pignatelli et al. 2024, arXiv 2407.19396).

    Attributes:
      view: tiles along each side of what the policy sees, an odd number; 7 is navix's and MiniGrid's.
    """

    family: ClassVar[str] = "navix"
    extra: ClassVar[tuple[str, str]] = ("navix", "navix")
    variations: ClassVar[tuple[str, ...]] = tuple(ROOMS)
    value_scale: ClassVar[float] = 1.0
    action_names: ClassVar[tuple[str, ...]] = ("left", "right", "forward", "pick up", "open")
    num_successors: ClassVar[int] = 4  # itself, two turned ones, and one more by whatever is ahead

    variation: Annotated[str, Among("variations")] = "empty"
    steps: Annotated[int, Ge(1)] = 100
    view: Annotated[int, Ge(1), Le(VIEW)] = VIEW

    def conflicts(self) -> list[str]:
        """Return a message for an even view, and for what else does not fit."""
        even = [f"task.view is {self.view}; it must be odd, as the agent stands in the middle"]
        return [*(even if self.view % 2 == 0 else ()), *super().conflicts()]

    def make_environment(self) -> Rooms:
        """Return the variation's environment."""
        return Rooms(self.suite(), ROOMS[self.variation][0])

    # What follows is known without navix, which takes seconds to import.
    @property
    def trial_length(self) -> int:
        """Two episodes at least."""
        return 2 * self.steps

    def action_space(self, params: GymnaxTask | None = None) -> spaces.Discrete:
        """The five actions."""
        return spaces.Discrete(len(ACTIONS))

    def observation_space(self, params: GymnaxTask | None = None) -> spaces.Box:
        """Ones and zeros, and shares of the room."""
        return spaces.Box(0.0, 1.0, (self.view**2 * NUM_KINDS + 8,))

    @property
    def coordinate_bounds(self) -> Bounds:
        """Row and column as shares of the room, sine and cosine of the direction, progress."""
        return ((0.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (-1.0, 1.0), (0.0, 1.0))

    @property
    def side(self) -> int:
        """Cells along each side, within the outer wall."""
        return ROOMS[self.variation][1]

    @property
    def num_stages(self) -> int:
        """How many kinds of progress there are: one without a door."""
        return 3 if self.variation == "door-key" else 1

    @property
    def num_states(self) -> int:
        """Cells times directions times kinds of progress."""
        return self.side**2 * 4 * self.num_stages

    @property
    def neighbour_radius(self) -> float:
        """Between the distance of cells side by side and that of cells across a corner."""
        return 1.2 / (self.side - 1)

    def sample_params(self, key: PRNGKeyArray) -> RoomParams:
        """Draw layouts until the way to the goal is open and has a length. The key is consumed."""
        rooms: Any = self.environment

        def draw(carry: Any) -> Any:
            key_next, key_layout = jax.random.split(carry[0])
            return key_next, rooms.draw(key_layout)

        def unsolved(carry: Any) -> Bool[Array, ""]:
            moves = path_length(carry[1])
            return (moves == 0.0) | jnp.isinf(moves)

        # With zeros for all positions the start is the goal.
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(rooms.draw, key))
        return RoomParams(start=jax.lax.while_loop(unsolved, draw, (key, zeros))[1])

    def shown(self, state: RoomState, observation: UInt8[Array, "7 7 3"]) -> Float[Array, " n"]:
        """Return what stands on the tiles ahead, and where the agent is."""
        aside = (VIEW - self.view) // 2
        seen = observation[VIEW - self.view :, aside : VIEW - aside]
        tag, closed = seen[..., 0], seen[..., 2] > 0
        door = tag == DOOR
        kinds = jnp.stack([tag == WALL, tag == KEY, tag == GOAL, door & closed, door & ~closed])
        row, column, direction, progress = self.place(state.world)
        return jnp.concatenate(
            [
                kinds.ravel().astype(jnp.float32),
                self.share(row, column),
                jax.nn.one_hot(direction, 4),
                (progress >= jnp.array([HOLDS_KEY, OPEN])).astype(jnp.float32),
            ]
        )

    def place(self, world: Any) -> tuple[Int[Array, ""], Int[Array, ""], Int[Array, ""], Int[Array, ""]]:
        """Return row and column, from 0 beside the wall, direction and progress of the agent."""
        player = jax.tree.map(lambda x: x[0], world.entities["player"])
        row, column = player.position - 1
        progress = jnp.int32(LOCKED)
        if self.num_stages > 1:
            door = world.entities["door"]
            holds = player.pocket == door.requires[0]
            progress = jnp.where(door.open[0], OPEN, jnp.where(holds, HOLDS_KEY, LOCKED))
        return row, column, player.direction, progress

    def share(self, row: Int[Array, ""], column: Int[Array, ""]) -> Float[Array, " 2"]:
        """Return row and column as shares of the room."""
        return jnp.stack([row, column]) / (self.side - 1)

    def concrete(self, state: GymnaxState, task: GymnaxTask) -> ConcreteState:
        """Return cell, direction and progress as one number, and as coordinates."""
        row, column, direction, progress = self.place(state.wrapped.world)
        index = ((row * self.side + column) * 4 + direction) * self.num_stages + progress
        angle = direction * (jnp.pi / 2)
        turned = jnp.stack([jnp.sin(angle), jnp.cos(angle), progress / OPEN])
        return ConcreteState(index, jnp.concatenate([self.share(row, column), turned]))

    def statistics(self, tasks: GymnaxTask) -> dict[str, Float[Array, " N"]]:
        """Return the fewest cells to go from the start to the goal, were doors open, without turns."""
        return {"path_length": jax.vmap(path_length)(tasks.params.start)}

    def picture(self, task: GymnaxTask, states: Any) -> picture.Tiles:
        """Return the layout as each episode begins."""
        start = task.params.start
        codes = np.array(walls(start), np.int32)
        for code, name in enumerate(("goal", "key", "door"), start=2):
            if name in start.entities:
                codes[tuple(np.asarray(start.entities[name].position).T)] = code
        cells = 1 + np.argwhere(np.ones((self.side, self.side))).repeat(4 * self.num_stages, axis=0)
        return picture.Tiles(codes, TILE_KINDS, cells)


def walls(world: Any) -> Bool[Array, "rows columns"]:
    """Return which tiles no one can enter, with the wall around; a door is none of them."""
    closed = jnp.asarray(world.grid) == -1
    if "wall" not in world.entities:
        return closed
    return closed.at[tuple(world.entities["wall"].position.T)].set(True)


def path_length(world: Any) -> Float[Array, ""]:
    """Return the fewest cells to go from the agent to the goal; ∞ if there is no way."""
    origin = jnp.zeros(world.grid.shape, bool).at[tuple(world.entities["player"].position[0])].set(True)
    return path_lengths(origin, walls(world))[tuple(world.entities["goal"].position[0])]
