"""What every task family shares: one gymnax environment whose params are the task."""

import dataclasses
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment, spaces
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax.errors import unknown_choice

Action = Int[Array, ""] | int | float
"""An action as gymnax passes it; here always an integer in [0, A)."""


@struct.dataclass
class Task(environment.EnvParams):
    """One object-level MDP; families add the arrays that define it.

    Attributes:
      max_steps_in_episode: steps after which an episode is truncated.
    """


@struct.dataclass
class TabularState(environment.EnvState):
    """State inside an episode of a family with integer states.

    Attributes:
      time: [] steps taken in this episode.
      s: [] current state, an integer in [0, S).
    """

    s: Int[Array, ""]


TTask = TypeVar("TTask", bound=Task)


@dataclasses.dataclass(frozen=True)
class TaskFamily(environment.Environment[TabularState, TTask]):
    """A distribution over tasks with one observation and action space.

    A family is a frozen dataclass: its fields are its configuration, so it is hashable and can be a
    static argument of a compiled function. The gymnax methods take a task as their `params`.

    Attributes:
      variation: name of the distribution that tasks are drawn from.
    """

    family: ClassVar[str]
    """Name of the family."""
    variations: ClassVar[tuple[str, ...]]
    """Names of its variations, the base variation first."""
    start_state: ClassVar[int] = 0
    """State in which each episode starts."""
    shows_state: ClassVar[bool] = True
    """Whether the state carries information that the meta-policy should see."""
    one_shot: ClassVar[bool] = False
    """Whether each step leads from state 0 to the absorbing state 1."""
    value_scale: ClassVar[float] = 10.0
    """Divisor that brings action values of this family near 1 (design, section 6)."""

    variation: str = "default"

    @property
    def num_states(self) -> int:
        """Number of states S, absorbing ones included."""
        raise NotImplementedError

    @property
    def episode_length(self) -> int:
        """Steps after which an episode is truncated."""
        raise NotImplementedError

    def sample_task(self, key: PRNGKeyArray) -> TTask:
        """Draw one task of this variation. The key is consumed."""
        raise NotImplementedError

    def problems(self) -> list[str]:
        """Return a message for each field that is wrong."""
        if self.variation not in self.variations:
            return [unknown_choice(f"variation of {self.family}", self.variation, self.variations)]
        return []

    # What follows is the gymnax interface, the same for all families with integer states.

    @property
    def name(self) -> str:
        """Name of the family and its variation."""
        return f"{self.family}-{self.variation}"

    @property
    def default_params(self) -> TTask:
        """One fixed task of this variation, for use outside meta-training."""
        return self.sample_task(jax.random.key(0))

    def reset_env(self, key: PRNGKeyArray, params: TTask) -> tuple[Int[Array, ""], TabularState]:
        """Start an episode. The key is not used: the start state is fixed."""
        del key, params
        state = TabularState(time=jnp.int32(0), s=jnp.int32(self.start_state))
        return state.s, state

    def get_obs(self, state: TabularState, params: Any = None, key: Any = None) -> Int[Array, ""]:
        """Return the integer state."""
        del params, key
        return state.s

    def is_terminated(self, state: TabularState, params: TTask) -> Bool[Array, ""]:
        """Whether the state is absorbing; never, unless a family says so."""
        del state, params
        return jnp.bool_(False)

    def action_space(self, params: TTask | None = None) -> spaces.Discrete:
        """The A actions."""
        del params
        return spaces.Discrete(self.num_actions)

    def observation_space(self, params: TTask | None = None) -> spaces.Discrete:
        """The S states."""
        del params
        return spaces.Discrete(self.num_states)

    def state_space(self, params: TTask | None = None) -> spaces.Dict:
        """The S states and the steps within an episode."""
        del params
        return spaces.Dict(
            {
                "time": spaces.Discrete(self.episode_length + 1),
                "s": spaces.Discrete(self.num_states),
            }
        )

    def _arrive(
        self, state: TabularState, next_s: Int[Array, ""], reward: Float[Array, ""], params: TTask
    ) -> tuple[Int[Array, ""], TabularState, Float[Array, ""], Bool[Array, ""], dict[str, Array]]:
        """Return what `step_env` returns for a step that led to `next_s`."""
        state = TabularState(time=state.time + 1, s=next_s)
        terminated = self.is_terminated(state, params)
        info = {"discount": 1.0 - terminated.astype(jnp.float32)}
        return next_s, state, reward, terminated, info
