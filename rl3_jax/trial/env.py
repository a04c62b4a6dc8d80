"""The trial: the meta-MDP over one task, as a gymnax environment (design, section 6)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax.lean_gymnax import environment, spaces
from rl3_jax.object_rl import (
    Abstraction,
    ActionValues,
    Identity,
    Learner,
    ModelBased,
    NoLearner,
    TableSpec,
    Transition,
)
from rl3_jax.tasks import Action, Step, Task, TaskFamily
from rl3_jax.trial import observation
from rl3_jax.trial.config import Features
from rl3_jax.trial.object_rl import ObjectRL


@struct.dataclass
class TrialParams(environment.EnvParams):
    """Where a trial gets its task from: N stacked tasks to choose from uniformly, or None for a fresh one.

    `max_steps_in_episode`, of gymnax, is the trial length H.
    """

    tasks: Task | None = None


@struct.dataclass
class TrialState(environment.EnvState):
    """State of a trial with one task.

    Attributes:
      time: [] steps taken in this trial.
      task: the task, the same for the whole trial.
      inner: the task's own state; its `time` counts the steps of the current episode.
      object_rl: state of object-level RL.
      previous_state: [n] what is shown of the state before the last action, 0 at first; empty unless shown.
      previous_action: [] or [n] last action, 0 at first.
      previous_reward: [] last reward, 0 at first.
    """

    task: Task
    inner: Any
    object_rl: Any
    previous_state: Float[Array, " n"]
    previous_action: Int[Array, ""] | Float[Array, " n"]
    previous_reward: Float[Array, ""]


@dataclasses.dataclass(frozen=True)
class TrialEnv(environment.Environment[TrialState, TrialParams]):
    """H consecutive steps with one unknown task, across episodes, paid the sum of all rewards.

    Hashable by value: equal trials share compiled programs. Functions are for one task.

    Attributes:
      family: where tasks come from.
      horizon: trial length H, steps.
      features: what the meta-policy sees.
      learner: object-level RL; it runs only if a feature needs it.
      abstraction: what the learner takes for a state.
    """

    family: TaskFamily
    horizon: int = 100
    features: Features = Features()
    learner: Learner = ModelBased()
    abstraction: Abstraction = Identity()

    @property
    def layout(self) -> dict[str, slice]:
        """Where each part stands in the observation."""
        return observation.layout(self.features, self.family)

    @property
    def observation_size(self) -> int:
        """Length D of an observation."""
        return max((part.stop for part in self.layout.values()), default=0)

    @property
    def num_actions(self) -> int:
        """Number of actions A of object-level RL."""
        return self.family.num_actions

    @property
    def episode_length(self) -> int:
        """Steps after which an episode is truncated; H where it may last the whole trial."""
        return self.family.episode_length or self.horizon

    @property
    def object_rl(self) -> ObjectRL:
        """The RL inside the trial, which runs only if a feature needs it."""
        family = self.family
        space = TableSpec(
            num_states=family.num_states,
            num_actions=family.num_actions,
            episode_length=self.episode_length,
            one_shot=family.one_shot,
            num_successors=family.num_successors,
            horizon=self.horizon,
            discovered=family.discovered,
            standard_errors=self.features.standard_errors,
            grid=family.grid,
            bounds=family.coordinate_bounds,
            neighbour_radius=family.neighbour_radius,
        )
        if self.features.uses_object_rl:
            return ObjectRL(self.learner, self.abstraction, space)
        return ObjectRL(NoLearner(), Identity(), space)

    def suited(self, platform: str) -> "TrialEnv":
        """Return it with the choices that its learner leaves open made for `cpu`, `gpu` or `tpu`."""
        make: Any = getattr(self.learner, "suited", None)
        learner = self.learner if make is None else make(self.object_rl.table, platform)
        return dataclasses.replace(self, learner=learner)

    def conflicts(self) -> list[str]:
        """Return a message for each way in which the parts do not fit each other."""
        found = self.object_rl.conflicts() if self.features.uses_object_rl else []
        if not self.layout:
            found.append("features leaves the meta-policy nothing to see; switch at least one part on")
        if self.features.position != "coordinates" and not self.family.axes:
            found.append(
                f"features.position is {self.features.position}, but the states of {self.family.family} do"
                " not lie on a grid; use coordinates"
            )
        return found

    def start(self, key: PRNGKeyArray, task: Task) -> tuple[Float[Array, " D"], TrialState]:
        """Start a trial with a given task. The key is consumed."""
        _, inner = self.family.reset_env(key, task)
        state = self.begin(inner, task)
        return self.get_obs(state), state

    def begin(self, inner: Any, task: Task) -> TrialState:
        """Return the trial with a task before its first step, in one of the task's own states."""
        action = self.action_space()
        return TrialState(
            time=jnp.int32(0),
            task=task,
            inner=inner,
            object_rl=self.object_rl.init(self.family.concrete(inner, task)),
            previous_state=jnp.zeros(self._size_kept),
            previous_action=jnp.zeros(action.shape, action.dtype),
            previous_reward=jnp.float32(0.0),
        )

    def reset_env(self, key: PRNGKeyArray, params: TrialParams) -> tuple[Float[Array, " D"], TrialState]:
        """Start a trial with a task drawn afresh, or from `params.tasks`. The key is consumed."""
        key_task, key_start = jax.random.split(key)
        if params.tasks is None:
            return self.start(key_start, self.family.sample_task(key_task))
        num_tasks = jax.tree.leaves(params.tasks)[0].shape[0]
        index = jax.random.randint(key_task, (), 0, num_tasks)
        return self.start(key_start, jax.tree.map(lambda x: x[index], params.tasks))

    def step_env(
        self, key: PRNGKeyArray, state: TrialState, action: Action, params: TrialParams
    ) -> tuple[Float[Array, " D"], TrialState, Float[Array, ""], Bool[Array, ""], dict[str, Any]]:
        """Step the task, feed object-level RL, and start the next episode if this one ended.

        The key is consumed. `info["transition"]` is the task's step as object-level RL saw it;
        `info["step"]` is the same step between concrete states.
        """
        key_step, key_reset = jax.random.split(key)
        return self.advance(key_step, key_reset, state, action)

    def advance(
        self, key_step: PRNGKeyArray, key_reset: PRNGKeyArray, state: TrialState, action: Action
    ) -> tuple[Float[Array, " D"], TrialState, Float[Array, ""], Bool[Array, ""], dict[str, Any]]:
        """Do what `step_env` does with the two keys into which it splits its own; they are consumed."""
        task, action = state.task, jnp.asarray(action, state.previous_action.dtype)
        _, inner, reward, terminated, _ = self.family.step_env(key_step, state.inner, action, task)
        # Families may return numbers of Python's own.
        reward, terminated = jnp.asarray(reward, jnp.float32), jnp.asarray(terminated, bool)
        ended = terminated | self.family.is_truncated(inner, task)
        _, fresh = self.family.reset_env(key_reset, task)
        now = jax.tree.map(lambda new, old: jnp.where(ended, new, old), fresh, inner)
        state, transition, step = self.follow(state, action, inner, now, reward, terminated)
        over = self.is_terminated(state)
        info = {"discount": 1.0 - over, "transition": transition, "step": step}
        return self.get_obs(state), state, reward, over, info

    def follow(
        self,
        state: TrialState,
        action: Array,
        entered: Any,
        now: Any,
        reward: Float[Array, ""],
        terminated: Bool[Array, ""],
    ) -> tuple[TrialState, Transition, Step]:
        """Return the trial after a step, and the step as object-level RL saw it and between concrete states.

        Args:
          state: the trial before it.
          action: taken.
          entered: the task's own state that it led to.
          now: the state in which the trial goes on: another one if an episode ended, and the next began.
          reward: received.
          terminated: whether the state entered is absorbing.
        """
        task = state.task
        truncated = self.family.is_truncated(entered, task) & ~terminated
        before, after = (self.family.concrete(at, task) for at in (state.inner, entered))
        step = Step(before, after, reward, terminated, truncated)
        known, transition = self.object_rl.observe(state.object_rl, self.family.table_action(action), step)
        state = TrialState(
            time=state.time + 1,
            task=task,
            inner=now,
            object_rl=self.object_rl.begin(known, self.family.concrete(now, task)),
            previous_state=self._shown(state) if self._size_kept else state.previous_state,
            previous_action=action,
            previous_reward=reward,
        )
        return state, transition, step

    def get_obs(self, state: TrialState, params: Any = None, key: Any = None) -> Float[Array, " D"]:
        """Return the observation [D] of the meta-policy."""
        features, known = self.features, self.action_values(state)
        trial_time, best = jnp.asarray(state.time) / self.horizon, known.q.max()
        trial_start = trial_time == 0.0
        action = observation.encode_action(self.action_space(), state.previous_action)
        parts = {
            "state": self._shown(state),
            "previous_state": state.previous_state,
            "previous_action": jnp.where(trial_start, 0.0, action),
            "previous_reward": features.squashed(state.previous_reward[None], features.reward_scale),
            "trial_start": trial_start[None],
            "episode_time": (jnp.asarray(state.inner.time) / self.episode_length)[None],
            "trial_time": trial_time[None],
            "advantages": features.squashed(known.q - best, features.value_scale),
            "value": features.squashed(best[None], features.value_scale),
            "counts": features.shown_counts(known.counts),
        }
        if known.standard_errors is not None:
            parts["standard_errors"] = features.squashed(known.standard_errors, features.value_scale)
        shown = [parts[name].astype(jnp.float32) for name in self.layout]
        return jnp.concatenate(shown) if shown else jnp.zeros(0)

    @property
    def _size_kept(self) -> int:
        """Numbers kept of the state before the last action."""
        return observation.state_size(self.features, self.family) if self.features.previous_state else 0

    def _shown(self, state: TrialState) -> Float[Array, " n"]:
        """Return what the policy sees of the task's state."""
        return observation.encode_state(self.features, self.family, state.inner, state.task)

    def action_values(self, state: TrialState) -> ActionValues:
        """Return what object-level RL knows about the current state."""
        return self.object_rl.values(state.object_rl, self.family.concrete(state.inner, state.task))

    def dropped(self, state: TrialState) -> Int[Array, ""]:
        """Return how many transitions of this trial object-level RL could not keep in its model."""
        return self.object_rl.dropped(state.object_rl)

    def outside(self, step: Step) -> Bool[Array, ""]:
        """Whether a step was taken in, or led to, a state that is not in the table."""
        found, num_states = jnp.bool_(False), self.family.num_states
        for index in (step.state.index, step.next_state.index):
            if index is not None and not self.family.one_shot:  # whose states are 0 and 1
                found |= (index < 0) | (index >= num_states)
        return found

    def is_terminated(self, state: TrialState, params: Any = None) -> Bool[Array, ""]:
        """Whether H steps have been taken: the trial's end is terminal, nothing is bootstrapped."""
        return jnp.asarray(state.time >= self.horizon)

    def is_truncated(self, state: TrialState, params: Any = None) -> Bool[Array, ""]:
        """Never: a trial ends by termination."""
        return jnp.bool_(False)

    @property
    def name(self) -> str:
        """Name of the family, its variation and the trial length."""
        return f"{self.family.name}-h{self.horizon}"

    @property
    def default_params(self) -> TrialParams:
        """Fresh tasks, drawn at each reset."""
        return TrialParams(max_steps_in_episode=self.horizon)

    def pool(self, key: PRNGKeyArray, num_tasks: int) -> TrialParams:
        """Return params with a pool of tasks, for trainers that compute a reset at each step."""
        tasks = jax.vmap(self.family.sample_task)(jax.random.split(key, num_tasks))
        return dataclasses.replace(self.default_params, tasks=tasks)

    def action_space(self, params: Any = None) -> spaces.Discrete | spaces.Box:
        """The task's actions."""
        return self.family.action_space()

    def observation_space(self, params: Any = None) -> spaces.Box:
        """Vectors of D numbers; rewards and values are not bounded."""
        return spaces.Box(-jnp.inf, jnp.inf, (self.observation_size,))
