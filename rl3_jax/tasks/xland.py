"""XLand-MiniGrid (Nikulin et al. 2024), whose rulesets are tasks: what to do with objects in rooms."""

import dataclasses
import functools
import pickle
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, UInt8

from rl3_jax.bins import Bounds
from rl3_jax.constraints import Among
from rl3_jax.errors import ConfigError, problems_of, unknown_choice
from rl3_jax.lean_gymnax import environment, spaces
from rl3_jax.picture import Plane
from rl3_jax.tasks.base import Action
from rl3_jax.tasks.gymnax_tasks import GymnaxState, GymnaxTask, GymnaxTasks

PREFIX = "XLand-MiniGrid-"
"""How XLand's names of its environments begin."""
VIEW = 5
"""Cells along each side of what the agent sees: it stands in the middle of the last row and looks up."""
NUM_TILES, NUM_COLOURS, NUM_ACTIONS = 13, 12, 6
COLOURS = ("RED", "GREEN", "BLUE", "PURPLE", "YELLOW", "GREY", "WHITE", "BROWN", "PINK", "ORANGE")
THINGS = ("BALL", "SQUARE", "PYRAMID", "KEY", "STAR", "HEX")
"""What an agent can pick up. XLand's generator of rulesets takes these in these colours."""
NUM_THINGS, NUM_OBJECTS = len(THINGS) * len(COLOURS), (len(THINGS) + 1) * len(COLOURS)
HOLD, AGENT_NEAR, THING_NEAR = 1, (3, 11, 13, 14, 12), (4, 7, 9, 10, 8)
"""XLand's codes of goals: to hold a thing, to be near an object, to bring a thing near one; the latter two on
any side, above, below, left, right."""
NUM_REACHED = NUM_THINGS + len(AGENT_NEAR) * NUM_OBJECTS
NUM_GOALS = {"trivial": NUM_REACHED + len(THING_NEAR) * NUM_OBJECTS * NUM_THINGS, "reach": NUM_REACHED}
NUM_DISTRACTORS = 3
AROUND = np.array([(VIEW - 2, VIEW // 2), (VIEW - 1, VIEW // 2 - 1), (VIEW - 1, VIEW // 2 + 1)])
"""Cells of the view ahead of the agent, to its left and to its right."""


@struct.dataclass
class XLandParams(environment.EnvParams):
    """A ruleset as XLand encodes it: the goal, the rules that change objects, and the objects there are."""

    goal: UInt8[Array, " 5"] = struct.field(default=None)  # gymnax's field has a default
    rules: UInt8[Array, "n 7"] = struct.field(default=None)
    objects: UInt8[Array, "n 2"] = struct.field(default=None)


@struct.dataclass
class XLandState(environment.EnvState):
    """Inside an episode: tile and colour of each cell, the agent, and whether the goal is reached."""

    grid: UInt8[Array, "rows columns 2"]
    agent: Any
    reached: Bool[Array, ""]


class XLandRooms(environment.Environment):
    """XLand's environment with gymnax's functions, and without its own resets."""

    def __init__(self, suite: Any, layout: str, steps: int):
        """Take XLand's module, rooms and size, e.g. `R1-9x9`, and the episode length, 0 for XLand's own."""
        self.suite = suite
        self.rooms, params = suite.make(f"{PREFIX}{layout}")
        self.rooms_params = params.replace(max_steps=steps or params.max_steps)

    @property
    def default_params(self) -> XLandParams:
        """Params without a ruleset."""
        return XLandParams(max_steps_in_episode=self.rooms_params.max_steps)

    def reset_env(self, key: PRNGKeyArray, params: XLandParams) -> tuple[Array, XLandState]:
        """Lay the ruleset's objects at random, and the agent. The key is consumed."""
        ruleset = self.suite.types.RuleSet(params.goal, params.rules, params.objects)
        first = self.rooms.reset(self.rooms_params.replace(ruleset=ruleset), key)
        state = XLandState(0, first.state.grid, first.state.agent, jnp.bool_(False))
        return first.observation, state

    def step_env(
        self, key: PRNGKeyArray, state: XLandState, action: Action, params: XLandParams
    ) -> tuple[Array, XLandState, Array, Array, dict[str, Any]]:
        """Take XLand's step. The key is not used."""
        types = self.suite.types
        inner = types.State(
            key=key,
            step_num=jnp.asarray(state.time),
            grid=state.grid,
            agent=state.agent,
            goal_encoding=params.goal,
            rule_encoding=params.rules,
            carry=types.EnvCarry(),
        )
        before = types.TimeStep(inner, types.StepType.MID, jnp.float32(0), jnp.float32(1), None)
        after = self.rooms.step(self.rooms_params, before, action)
        reached = after.discount == 0.0
        new = XLandState(state.time + 1, after.state.grid, after.state.agent, reached)
        return after.observation, new, after.reward, reached, {}

    def is_terminated(self, state: XLandState, params: XLandParams) -> Bool[Array, ""]:
        """Whether the goal is reached."""
        return state.reached


@dataclasses.dataclass(frozen=True)
class XLandTasks(GymnaxTasks):
    """XLand-MiniGrid, whose unknown task is a ruleset; needs the extra `xland`.

    Six actions: go ahead, turn right, turn left, take, put down, open or close a door. Reaching the goal in
    step t of at most T pays 1 − 0.9 t/T and ends the episode; the next one has the same ruleset, and its
    objects lie elsewhere. The policy sees tile and colour of the 5 × 5 cells before it, each one-hot, and its
    direction; what it carries is not shown. Object-level RL takes the tiles ahead, left and right for the
    state: places change from episode to episode, so that what is known of one is of no use in the next.
    Variations:

    - `trivial`: the goal is any of the 21 410 of XLand's generator for the benchmark `trivial-21k`, which has
      21 000 of them: to hold a thing (60 goals), be near an object (350), or bring a thing near an object
      (21 000); three more objects lie about, and no rules change any;
    - `reach`: the goals of these for which nothing is brought.

    Source: XLand-MiniGrid (Nikulin et al. 2024, arXiv 2312.12044).

    Attributes:
      layout: rooms and size, as in XLand's names of environments.
      benchmark: name of one of XLand's files of rulesets, which it downloads when first used, or the path of
        another, a pickle, which runs what it contains. Tasks are drawn from all of it, in training and
        evaluation alike, so that none is held out. Its rulesets are constants of compiled programs: 21 000
        take 3 MB of each, millions would be too many.
    """

    family: ClassVar[str] = "xland"
    extra: ClassVar[tuple[str, str]] = ("xminigrid", "xland")
    variations: ClassVar[tuple[str, ...]] = tuple(NUM_GOALS)
    value_scale: ClassVar[float] = 1.0
    action_names: ClassVar[tuple[str, ...]] = ("go", "right", "left", "take", "put", "open")
    num_successors: ClassVar[int] = 24
    hashed_rows: ClassVar[int] = 256

    variation: Annotated[str, Among("variations")] = "trivial"
    layout: str = "R1-9x9"
    benchmark: str = ""

    def conflicts(self) -> list[str]:
        """Return a message for an unknown layout or a file that cannot be read, or what else is wrong."""
        if missing := self.missing_extra():
            return missing
        names = self.suite().registered_environments()
        layouts = [name.removeprefix(PREFIX) for name in names if name.startswith(PREFIX)]
        if self.layout not in layouts:
            return [unknown_choice("task.layout", self.layout, layouts)]
        if not self.benchmark:
            return super().conflicts()
        if self.variation != self.variations[0]:
            return [
                f"task.variation {self.variation} says what is drawn without a file, but task.benchmark is"
                f" {self.benchmark!r}; leave one of them out"
            ]
        return problems_of(lambda: self.rulesets) or super().conflicts()

    # Known without the suite, so that presets are made where it is not installed.
    @property
    def num_states(self) -> int:
        """None that has an index."""
        return 0

    @property
    def trial_length(self) -> int:
        """Two whole episodes, or more."""
        return 2 * self.episode_length

    @property
    def coordinate_bounds(self) -> Bounds:
        """Those of codes of tiles."""
        return ((0.0, NUM_TILES * NUM_COLOURS - 1.0),) * len(AROUND)

    def action_space(self, params: GymnaxTask | None = None) -> spaces.Discrete:
        """The six actions."""
        return spaces.Discrete(NUM_ACTIONS)

    def observation_space(self, params: GymnaxTask | None = None) -> spaces.Box:
        """Ones and zeros."""
        return spaces.Box(0.0, 1.0, (VIEW**2 * (NUM_TILES + NUM_COLOURS) + 4,))

    def make_environment(self) -> XLandRooms:
        """Return XLand's environment with gymnax's functions."""
        return XLandRooms(self.suite(), self.layout, self.steps)

    @property
    def rulesets(self) -> dict[str, np.ndarray]:
        """The rulesets of the benchmark, stacked; raises a `ConfigError` if they cannot be read."""
        return read_rulesets(self.suite(), self.benchmark)

    def sample_params(self, key: PRNGKeyArray) -> XLandParams:
        """Draw a ruleset. The key is consumed."""
        if self.benchmark:
            stacked = self.rulesets
            number = jax.random.randint(key, (), 0, len(stacked["goal"]))
            drawn: dict[str, Any] = {name: jnp.asarray(all_of)[number] for name, all_of in stacked.items()}
            return XLandParams(**drawn)
        key_goal, key_objects = jax.random.split(key)
        goal = self.goal(jax.random.randint(key_goal, (), 0, NUM_GOALS[self.variation]))
        objects, used = self.objects, jnp.stack([goal[1:3], goal[3:5]])
        unused = ~(objects[:, None] == used).all(axis=-1).any(axis=-1)
        others = jax.random.choice(key_objects, objects, (NUM_DISTRACTORS,), p=unused / unused.sum())
        no_rules = jnp.zeros((1, 7), jnp.uint8)
        return XLandParams(goal=goal, rules=no_rules, objects=jnp.concatenate([used, others]))

    @functools.cached_property
    def objects(self) -> UInt8[Array, "n 2"]:
        """Tile and colour of each object that a goal may name, those that can be picked up first."""
        constants = self.suite().core.constants
        tiles = [getattr(constants.Tiles, name) for name in (*THINGS, "GOAL")]
        colours = [getattr(constants.Colors, name) for name in COLOURS]
        with jax.ensure_compile_time_eval():
            return jnp.array([(tile, colour) for tile in tiles for colour in colours], jnp.uint8)

    def goal(self, number: Int[Array, ""]) -> UInt8[Array, " 5"]:
        """Return a goal by its number: code, object, and the thing to bring, or zeros."""
        near, beside = number - NUM_THINGS, number - NUM_REACHED
        kinds = [number < NUM_THINGS, beside < 0]
        side_near, side_beside = near // NUM_OBJECTS, beside // (NUM_OBJECTS * NUM_THINGS)
        code = jnp.select(kinds, [HOLD, jnp.array(AGENT_NEAR)[side_near]], jnp.array(THING_NEAR)[side_beside])
        place = jnp.select(kinds, [number, near % NUM_OBJECTS], beside // NUM_THINGS % NUM_OBJECTS)
        thing = jnp.where(beside < 0, 0, self.objects[beside % NUM_THINGS])
        return jnp.concatenate([code[None].astype(jnp.uint8), self.objects[place], thing])

    def shown(self, state: XLandState, observation: UInt8[Array, "5 5 2"]) -> Float[Array, " n"]:
        """Return tiles, colours and direction, each one-hot."""
        tiles = jax.nn.one_hot(observation[..., 0], NUM_TILES)
        colours = jax.nn.one_hot(observation[..., 1], NUM_COLOURS)
        direction = jax.nn.one_hot(state.agent.direction, 4)
        return jnp.concatenate([tiles.ravel(), colours.ravel(), direction])

    def located(self, state: XLandState, observation: UInt8[Array, "5 5 2"]) -> Int[Array, " 3"]:
        """Return the codes of the tiles ahead, left and right."""
        tile, colour = observation[AROUND[:, 0], AROUND[:, 1]].astype(jnp.int32).T
        return tile * NUM_COLOURS + colour

    def statistics(self, tasks: GymnaxTask) -> dict[str, Float[Array, " N"]]:
        """Return whether the goal is to hold a thing, or to be near an object; else a thing is brought."""
        code = tasks.params.goal[:, 0]
        near = (code[:, None] == jnp.array(AGENT_NEAR)).any(axis=1)
        return {"hold": (code == HOLD).astype(jnp.float32), "near": near.astype(jnp.float32)}

    def picture(self, task: GymnaxTask, states: GymnaxState) -> Plane:
        """Return where the agent is; row 0 is the uppermost."""
        row, column = np.moveaxis(np.asarray(states.wrapped.agent.position, float), -1, 0)
        rows, columns = states.wrapped.grid.shape[1:3]
        position = np.stack([column, -row], axis=-1)
        bounds = np.array([[0.0, columns - 1.0], [1.0 - rows, 0.0]])
        return Plane(position=position, bounds=bounds, names=("column", "row, from above"))


@functools.lru_cache(maxsize=4)
def read_rulesets(suite: Any, benchmark: str) -> dict[str, np.ndarray]:
    """Return the rulesets of a file of XLand's, by name or path, stacked.

    Raises:
      ConfigError: if it cannot be read.
    """
    registered = suite.benchmarks.registered_benchmarks()
    known = benchmark in registered
    load = suite.benchmarks.load_benchmark if known else suite.benchmarks.load_benchmark_from_path
    try:
        with jax.ensure_compile_time_eval():  # the file holds arrays of JAX
            found = load(benchmark)
    except (OSError, EOFError, KeyError, pickle.UnpicklingError) as error:
        mend = (
            "if a download was interrupted, delete the file"
            if known
            else f"give the path of a file, or one of {', '.join(registered)}, which are downloaded"
        )
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"task.benchmark {benchmark!r} cannot be read ({reason}); {mend}") from error
    stacked = {"goal": found.goals, "rules": found.rules, "objects": found.init_tiles}
    return {name: np.asarray(array) for name, array in stacked.items()}
