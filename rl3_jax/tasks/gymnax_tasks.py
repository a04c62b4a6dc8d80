"""Any gymnax environment as a task family (design, section 4)."""

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from annotated_types import Ge
from flax import struct
from gymnax.environments.environment import Environment, EnvState
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax.bins import Bounds, bin_of, centre_of
from rl3_jax.constraints import Count
from rl3_jax.errors import ConfigError
from rl3_jax.extras import extra_problems, load_extra
from rl3_jax.lean_gymnax import spaces
from rl3_jax.tasks.base import Action, ConcreteState, Task, TaskFamily
from rl3_jax.tasks.probe import property_problems


@struct.dataclass
class GymnaxTask(Task):
    """One task of a wrapped environment: its params, and those fields of its state that are the task."""

    params: Any = struct.field(default=None)  # gymnax's field has a default
    fields: dict[str, Array] = struct.field(default_factory=dict)


@struct.dataclass
class GymnaxState(EnvState):
    """Inside an episode of a wrapped environment: its own state, and its own observation of that."""

    wrapped: Any
    observation: Any


@dataclasses.dataclass(frozen=True)
class GymnaxTasks(TaskFamily[GymnaxState, GymnaxTask]):
    """A gymnax environment whose params, or parts of whose state, are an unknown task.

    A subclass makes the environment and overrides what does not fit it:

    - how a task is drawn: `sample_params`; and `task_fields`, the fields of the environment's state that
      are the task: drawn once, by its reset or by `sample_fields`, and put back where an episode starts;
    - `environment_of`: the environment of a task, where what differs is none of its params;
    - `shown`: what the policy sees of a state, which must not tell what is hidden;
    - `located`: what object-level RL takes for the state, with `coordinate_bounds` and `tiles`;
    - `action_bins`: as what the vectors of a Box of actions count for object-level RL;
    - `num_successors`: how many table states follow one at most; it decides how fast planning is;
    - `hashed_rows`: rows of a table for vectors of codes, which are hashed;
    - `extra`: the module of another suite and the extra that brings it, which `suite` imports when needed.

    `rl3_jax.tasks.continuous` and `notebooks/02_your_own_tasks.ipynb` do so.

    Attributes:
      steps: episode length; 0 for the environment's own.
      action_bins: into how many equal parts each dimension of a Box of actions is cut.
    """

    variations: ClassVar[tuple[str, ...]] = ("default",)
    task_fields: ClassVar[tuple[str, ...]] = ()

    steps: Annotated[int, Ge(0), "0 for the environment's own"] = 0
    action_bins: tuple[Count, ...] = ()

    def make_environment(self) -> Environment:
        """Return the environment."""
        raise NotImplementedError

    def sample_params(self, key: PRNGKeyArray) -> Any:
        """Draw params of the environment: its default ones, unless overridden. The key is consumed."""
        return self.environment.default_params

    def sample_fields(self, key: PRNGKeyArray, params: Any) -> dict[str, Array]:
        """Draw the fields of the state that are the task, by name. The key is consumed."""
        if not self.task_fields:
            return {}
        _, state = self.environment.reset_env(key, params)
        self._require_fields(self.task_fields, state)
        return {name: jnp.asarray(getattr(state, name)) for name in self.task_fields}

    def shown(self, state: Any, observation: Any) -> Array:
        """Return what the policy sees, given the environment's own state and observation: the latter."""
        return observation

    def located(self, state: Any, observation: Any) -> Array:
        """Return the integer or vector that is the state for object-level RL: what the policy sees."""
        return self.shown(state, observation)

    @functools.cached_property
    def environment(self) -> Environment:
        """The environment, made once; its arrays are constants, also while JAX traces."""
        with jax.ensure_compile_time_eval():
            return self.make_environment()

    def suite(self) -> Any:
        """Return the module that the family's extra brings; raises a `ConfigError` if it is not installed."""
        if not self.extra:
            raise ConfigError(f"{type(self).__name__} names no extra; let `extra` be its module and name")
        return load_extra(f"task {self.family}", *self.extra)

    def missing_extra(self) -> list[str]:
        """Return a message if the family's extra is not installed."""
        return extra_problems(f"task {self.family}", *self.extra) if self.extra else []

    def environment_of(self, params: Any) -> Environment:
        """Return the environment of a task with these params: one for all, unless overridden."""
        return self.environment

    def conflicts(self) -> list[str]:
        """Return a message for a missing extra, or for each way in which bins and spaces do not fit."""
        if missing := self.missing_extra():
            return missing
        if failures := property_problems(self):
            return failures
        found, name, bins = [], self.family, self.action_bins
        seen, actions = self.observation_space(), self.action_space()
        if not isinstance(seen, (spaces.Discrete, spaces.Box)):
            found.append(f"{name} is observed as {seen}; `shown` must make it one integer or vector")
        if isinstance(actions, spaces.Discrete):
            if bins:
                found.append(f"action_bins is {bins}, but {name} has integer actions; give none")
        elif not isinstance(actions, spaces.Box):
            found.append(f"the actions of {name} are {actions}; they must be a Discrete or a Box")
        elif len(bins) != (size := math.prod(actions.shape)):
            found.append(
                f"action_bins has {len(bins)} numbers, but an action of {name} has"
                f" {size} dimensions; give one number of bins for each"
            )
        elif not np.isfinite(bounds := bounds_of(actions)).all():
            found.append(f"the actions of {name} have bounds {bounds}; bins need finite ones")
        return found

    @property
    def episode_length(self) -> int:
        """Steps after which an episode is truncated."""
        return self.steps or int(self.environment.default_params.max_steps_in_episode)

    @property
    def num_states(self) -> int:
        """Number of states S if they are integers, else 0."""
        space = self.observation_space()
        return space.n if isinstance(space, spaces.Discrete) else 0

    @property
    def num_actions(self) -> int:
        """Number of actions, or of bins of a Box of actions."""
        space = self.action_space()
        return space.n if isinstance(space, spaces.Discrete) else math.prod(self.action_bins)

    @property
    def coordinate_bounds(self) -> Bounds:
        """The bounds of what the policy sees, which may be infinite; none where it is an integer."""
        space = self.observation_space()
        return bounds_of(space) if isinstance(space, spaces.Box) else ()

    def action_space(self, params: GymnaxTask | None = None) -> spaces.Discrete | spaces.Box:
        """The environment's actions, the same for all tasks."""
        return self._action_space

    def observation_space(self, params: GymnaxTask | None = None) -> spaces.Discrete | spaces.Box:
        """What the policy sees: the environment's own space, or vectors without bounds if `shown` is not."""
        return self._observation_space

    def sample_task(self, key: PRNGKeyArray) -> GymnaxTask:
        """Draw params, and the fields of a state that are the task. The key is consumed."""
        key_params, key_fields = jax.random.split(key)
        params = self.sample_params(key_params)
        params = dataclasses.replace(params, max_steps_in_episode=self.episode_length)
        fields = self.sample_fields(key_fields, params)
        return GymnaxTask(params=params, fields=fields, max_steps_in_episode=self.episode_length)

    def reset_env(self, key: PRNGKeyArray, params: GymnaxTask) -> tuple[Array, GymnaxState]:
        """Start an episode of the task. The key is consumed."""
        state = self._typed(self._start(key, params))
        return self.get_obs(state, params), state

    def step_env(
        self, key: PRNGKeyArray, state: GymnaxState, action: Action, params: GymnaxTask
    ) -> tuple[Array, GymnaxState, Float[Array, ""], Bool[Array, ""], dict[str, Any]]:
        """Step the environment. The key is consumed."""
        environment = self.environment_of(params.params)
        observation, wrapped, reward, terminated, info = environment.step_env(
            key, state.wrapped, action, params.params
        )
        new = self._typed(GymnaxState(time=state.time + 1, wrapped=wrapped, observation=observation))
        terminated = jnp.asarray(terminated, bool)
        info = {**info, "discount": 1.0 - terminated.astype(jnp.float32)}
        reward = jnp.asarray(reward, jnp.float32).reshape(())
        return self.get_obs(new, params), new, reward, terminated, info

    def get_obs(self, state: GymnaxState, params: Any = None, key: Any = None) -> Array:
        """Return what the policy sees of a state."""
        seen = self.shown(state.wrapped, state.observation)
        integer = isinstance(self.observation_space(), spaces.Discrete)
        return jnp.asarray(seen, jnp.int32 if integer else jnp.float32)

    def is_terminated(self, state: GymnaxState, params: GymnaxTask) -> Bool[Array, ""]:
        """Whether the environment says that the state ends an episode."""
        environment = self.environment_of(params.params)
        return jnp.asarray(environment.is_terminated(state.wrapped, params.params), bool)

    def concrete(self, state: GymnaxState, task: GymnaxTask) -> ConcreteState:
        """Return the state as object-level RL meets it."""
        at = jnp.asarray(self.located(state.wrapped, state.observation))
        if self.num_states:
            return ConcreteState(index=at.astype(jnp.int32), coordinates=None)
        return ConcreteState(index=None, coordinates=at.astype(jnp.float32).ravel())

    def table_action(self, action: Action) -> Int[Array, ""]:
        """Return the action, or the bin of a vector counted along the last dimension first."""
        space = self.action_space()
        if isinstance(space, spaces.Discrete):
            return super().table_action(action)
        return bin_of(jnp.asarray(action).ravel(), bounds_of(space), self.action_bins)

    def action_of(self, index: Int[Array, ""]) -> Action:
        """Return the integer, or the vector in the centre of its bin."""
        space = self.action_space()
        if isinstance(space, spaces.Discrete):
            return index
        return centre_of(index, bounds_of(space), self.action_bins).reshape(space.shape)

    def statistics(self, tasks: GymnaxTask) -> dict[str, Float[Array, " N"]]:
        """Return each number of the fields of the state that are the task."""
        columns = {name: field.reshape(field.shape[0], -1) for name, field in tasks.fields.items()}
        return {
            f"{name}_{i}": rows[:, i].astype(jnp.float32)
            for name, rows in columns.items()
            for i in range(rows.shape[1])
        }

    def _start(self, key: PRNGKeyArray, task: GymnaxTask) -> GymnaxState:
        """Return the first state of an episode, with numbers of whatever type the environment gives."""
        key_reset, key_observe = jax.random.split(key)
        environment = self.environment_of(task.params)
        observation, wrapped = environment.reset_env(key_reset, task.params)
        if task.fields:
            self._require_fields(task.fields, wrapped)
            wrapped = dataclasses.replace(wrapped, **task.fields)
            observation = environment.observe(key_observe, wrapped, None, task.params)
        return GymnaxState(time=0, wrapped=wrapped, observation=observation)

    def _require_fields(self, names: Iterable[str], state: Any) -> None:
        """Raise a `ConfigError` if a field of the task is none of the environment's state."""
        fields = [field.name for field in dataclasses.fields(state)]
        if unknown := [name for name in names if name not in fields]:
            raise ConfigError(
                f"{type(self).__name__}: {unknown[0]!r} in task_fields or sample_fields is no field of"
                f" {type(state).__name__}, the state of its environment; name some of: {', '.join(fields)}"
            )

    def _typed(self, state: GymnaxState) -> GymnaxState:
        """Return a state with each number of the type that it has in all states."""
        return jax.tree.map(jnp.asarray, state, self._types)

    @functools.cached_property
    def _types(self) -> GymnaxState:
        """Type of each number of a state; the wider where the environment's reset and step differ."""

        def two_states(key):
            task = self.sample_task(key)
            state, space = self._start(key, task), self.action_space()
            action = jnp.zeros(space.shape, space.dtype)
            step = self.environment_of(task.params).step_env(key, state.wrapped, action, task.params)
            return state, GymnaxState(time=state.time, wrapped=step[1], observation=step[0])

        states = jax.eval_shape(two_states, jax.random.key(0))
        return jax.tree.map(lambda one, other: jnp.promote_types(one.dtype, other.dtype), *states)

    @functools.cached_property
    def _action_space(self) -> spaces.Discrete | spaces.Box:
        """The environment's actions, with numbers for bounds."""
        with jax.ensure_compile_time_eval():
            return self.environment.action_space(self.sample_params(jax.random.key(0)))

    @functools.cached_property
    def _observation_space(self) -> spaces.Discrete | spaces.Box:
        """What the policy sees, with numbers for bounds."""
        key = jax.random.key(0)
        with jax.ensure_compile_time_eval():
            if type(self).shown is GymnaxTasks.shown:
                return self.environment.observation_space(self.sample_params(key))
            state = jax.eval_shape(lambda key: self._start(key, self.sample_task(key)), key)
            seen = jax.eval_shape(self.shown, state.wrapped, state.observation)
            return spaces.Box(-jnp.inf, jnp.inf, seen.shape)


def bounds_of(space: spaces.Box) -> Bounds:
    """Return the bounds of each number of a Box, in order; infinite where gymnax puts the largest float."""
    with jax.ensure_compile_time_eval():
        ends = [np.broadcast_to(np.asarray(end, float), space.shape) for end in (space.low, space.high)]
    bounds = np.stack(ends, axis=-1).reshape(-1, 2)
    unbounded = np.abs(bounds) >= np.finfo(np.float32).max
    bounds = np.where(unbounded, np.copysign(np.inf, bounds), bounds)
    return tuple((low, high) for low, high in bounds.tolist())
