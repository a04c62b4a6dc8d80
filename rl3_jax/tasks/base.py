"""What every task family shares: one gymnax environment whose params are the task."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax.bins import Bounds
from rl3_jax.constraints import Among
from rl3_jax.grid import Grid
from rl3_jax.lean_gymnax import environment, spaces
from rl3_jax.picture import Picture

UNLIMITED = 2**31 - 1
"""`max_steps_in_episode` of a task whose episodes are never truncated."""
Action = Int[Array, ""] | Float[Array, " n"] | int | float
"""An action as gymnax passes it: an integer in [0, A), or a vector within the bounds of a Box."""
Task = environment.EnvParams
"""One object-level MDP: when episodes are truncated (`max_steps_in_episode`), and a family's own arrays."""


@struct.dataclass
class TabularState(environment.EnvState):
    """Inside an episode of a family with integer states: the steps taken in it, and the state in [0, S)."""

    s: Int[Array, ""]


@struct.dataclass
class ConcreteState:
    """A state as object-level RL meets it, before any abstraction.

    Attributes:
      index: [] an integer in [0, S), or None where states are vectors only.
      coordinates: [n] where it lies, or None where states have no distance.
    """

    index: Int[Array, ""] | None
    coordinates: Float[Array, " n"] | None


@struct.dataclass
class Step:
    """One step of a task, before any abstraction; the next episode's first state is not in it.

    It `terminated` an episode that ended in an absorbing state, and `truncated` one that ended otherwise.
    """

    state: ConcreteState
    next_state: ConcreteState
    reward: Float[Array, ""]
    terminated: Bool[Array, ""]
    truncated: Bool[Array, ""]


TTask = TypeVar("TTask", bound=environment.EnvParams)
TState = TypeVar("TState", bound=environment.EnvState)


@dataclasses.dataclass(frozen=True)
class TaskFamily(environment.Environment[TState, TTask]):
    """A distribution over tasks with one observation and action space.

    A family is a frozen dataclass: its fields are its configuration, so it is hashable and can be a
    static argument of a compiled function. The gymnax methods take a task as their `params`.

    Attributes:
      variation: name of the distribution that tasks are drawn from.
    """

    family: ClassVar[str]
    variations: ClassVar[tuple[str, ...]] = ("default",)
    """The base variation first."""
    shows_state: ClassVar[bool] = True
    """Whether the observation carries information that the meta-policy should see."""
    one_shot: ClassVar[bool] = False
    """Whether each step leads from state 0 to the absorbing state 1."""
    discovered: ClassVar[bool] = False
    """Whether object-level RL counts only the states met so far, not all S (M of the design, section 5.1)."""
    value_scale: ClassVar[float] = 10.0
    """Divisor that brings action values of this family near 1 (design, section 6)."""
    smoothing: ClassVar[float] = 0.1
    """α of the tabular model (design, section 5.1)."""
    tolerance: ClassVar[float] = 0.01
    """ε at which planning stops (design, section 5.1)."""
    summary_names: ClassVar[tuple[str, ...]] = ()
    """Names of the numbers that sum up a trial."""
    progress_names: ClassVar[tuple[str, ...]] = ()
    """Those of them that stand in the progress line of a training."""
    action_names: ClassVar[tuple[str, ...]] = ()
    """Names of the actions, or of the numbers in one, in pictures; numbers if there are none."""
    observation_names: ClassVar[tuple[str, ...]] = ()
    """Names of the numbers of a vector that is observed, in pictures; their places if there are none."""
    num_successors: ClassVar[int] = 0
    """Number K of distinct states that may follow one, whatever the action; 0 where all may."""
    exchangeable_actions: ClassVar[bool] = False
    """Whether a task is as likely with its actions, integers, relabelled, so that none means anything by
    itself; a subclass that draws other tasks says so anew."""
    knows_mean_reward: ClassVar[bool] = False
    """Whether `mean_reward` says what a step pays on average; a subclass that pays otherwise says so anew."""
    tiles: ClassVar[tuple[int, ...]] = ()
    """Tiles along each coordinate, into which vectors are cut unless told otherwise."""
    hashed_rows: ClassVar[int] = 0
    """Rows of the table into which states are hashed unless told otherwise, for vectors of codes, which are
    the same or not, but neither near nor far; 0 for other states."""
    extra: ClassVar[tuple[str, str] | None] = None
    """The module that its tasks need, and the extra of this package that brings it; None where none is."""
    baselines: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Behaviours to compare a family from outside this package with, by name, the optimum last, or functions
    of a `BaselineSetting` that make them."""

    variation: Annotated[str, Among("variations")] = "default"

    def sample_task(self, key: PRNGKeyArray) -> TTask:
        """Draw one task of this variation. The key is consumed."""
        raise NotImplementedError

    def sample_candidate(self, key: PRNGKeyArray) -> TTask:
        """Draw what `sample_task` may still reject; it rejects none, unless a family says so."""
        return self.sample_task(key)

    def statistics(self, tasks: TTask) -> dict[str, Float[Array, " N"]]:
        """Return numbers that characterise each of N stacked candidates, by name; NaN where none applies."""
        return {}

    def mean_reward(self, task: TTask, step: Step, action: Action) -> Float[Array, ""]:
        """Return the mean of the reward of a step, given its task, state and action."""
        raise NotImplementedError

    def summarise_trial(self, task: TTask, steps: Step) -> dict[str, Float[Array, ""]]:
        """Return the numbers named in `summary_names`, of a trial's H steps; NaN where one is undefined."""
        return {}

    def picture(self, task: Any, states: Any) -> Picture | None:
        """Return what `rl3 watch` draws of a trial; None for the table of values, or the path of a vector.

        Task and states, [H, …] before each step, are NumPy arrays.
        """
        return None

    @property
    def episode_length(self) -> int | None:
        """Steps after which an episode is truncated; None where it may last the whole trial."""
        return None

    @property
    def trial_length(self) -> int:
        """Trial length H of its baselines unless told otherwise."""
        return 100

    @property
    def num_states(self) -> int:
        """Number of states S that have an index, absorbing ones included; 0 where states are vectors."""
        raise NotImplementedError

    @property
    def integer_states(self) -> bool:
        """Whether states have an index; asked while presets are made, so it should not take long."""
        return not self.tiles and not self.hashed_rows and self.num_states > 0

    @property
    def has_table(self) -> bool:
        """Whether object-level RL has a table unless told otherwise: of states, tiles or hashed states."""
        return self.integer_states or bool(self.tiles or self.hashed_rows)

    @property
    def num_actions(self) -> int:
        """Number of actions A of object-level RL."""
        raise NotImplementedError

    @property
    def coordinate_bounds(self) -> Bounds:
        """Least and largest value of each coordinate of a state; none where states have no distance."""
        return ()

    @property
    def axes(self) -> tuple[int, ...]:
        """Lengths of the axes of the grid on which states lie; none where they lie on no grid."""
        return ()

    def cell(self, state: TState) -> Int[Array, " axes"]:
        """Return where a state lies along each axis, from 0."""
        return jnp.zeros(0, jnp.int32)

    @property
    def grid(self) -> Grid | None:
        """What is known beforehand of all tasks, for learner `r-max`; None where nothing is."""
        return None

    @property
    def neighbour_radius(self) -> float:
        """Distance below which two states are neighbours; 0 where states have no distance."""
        return 0.0

    def concrete(self, state: TState, task: TTask) -> ConcreteState:
        """Return the state as object-level RL meets it; what is hidden from the policy is not in it."""
        raise NotImplementedError

    def table_action(self, action: Action) -> Int[Array, ""]:
        """Return the action of object-level RL, in [0, A), that an action counts as."""
        return jnp.asarray(action, jnp.int32)

    def action_of(self, index: Int[Array, ""]) -> Action:
        """Return an action that counts as one of object-level RL's: that one, where actions are integers."""
        return index

    @property
    def name(self) -> str:
        """Name of the family and its variation."""
        return f"{self.family}-{self.variation}"

    @property
    def default_params(self) -> TTask:
        """One fixed task of this variation, for use outside meta-training."""
        return self.sample_task(jax.random.key(0))

    def action_space(self, params: TTask | None = None) -> spaces.Discrete | spaces.Box:
        """The A actions, unless a family has a Box of them."""
        return spaces.Discrete(self.num_actions)

    def observation_space(self, params: TTask | None = None) -> spaces.Discrete | spaces.Box:
        """What the meta-policy sees of a state."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class TabularFamily(TaskFamily[TabularState, TTask]):
    """A family whose states are integers, of which the policy sees all: spaces, starts and arrivals."""

    @property
    def start_state(self) -> int:
        """State in which each episode starts."""
        return 0

    def reset_env(self, key: PRNGKeyArray, params: TTask) -> tuple[Array, TabularState]:
        """Start an episode. The key is not used: the start state is fixed."""
        state = TabularState(time=jnp.int32(0), s=jnp.int32(self.start_state))
        return self.get_obs(state, params), state

    def get_obs(self, state: TabularState, params: Any = None, key: Any = None) -> Array:
        """Return the integer state."""
        return state.s

    def concrete(self, state: TabularState, task: TTask) -> ConcreteState:
        """Return the integer state."""
        return ConcreteState(index=state.s, coordinates=None)

    def is_terminated(self, state: TabularState, params: TTask) -> Bool[Array, ""]:
        """Whether the state is absorbing; never, unless a family says so."""
        return jnp.bool_(False)

    def observation_space(self, params: TTask | None = None) -> spaces.Discrete | spaces.Box:
        """The S states."""
        return spaces.Discrete(self.num_states)

    def arrive(
        self,
        state: TabularState,
        next_s: Int[Array, ""],
        reward: Float[Array, ""],
        params: TTask,
        terminated: Bool[Array, ""] | None = None,
    ) -> tuple[Array, TabularState, Float[Array, ""], Bool[Array, ""], dict[str, Array]]:
        """Return what `step_env` returns for a step that led to `next_s`.

        `terminated` is `is_terminated` of the state entered, where that is known.
        """
        state = TabularState(time=state.time + 1, s=next_s)
        terminated = self.is_terminated(state, params) if terminated is None else terminated
        info = {"discount": 1.0 - terminated.astype(jnp.float32)}
        return self.get_obs(state, params), state, reward, terminated, info
