"""The trial: the meta-MDP over one task, as a gymnax environment (design, section 6)."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment, spaces
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax.object_rl import ActionValues, Learner, ModelBased, TableSpec, Transition
from rl3_jax.tasks import Action, TabularState, Task, TaskFamily
from rl3_jax.trial import observation
from rl3_jax.trial.observation import Features


@struct.dataclass
class TrialParams(environment.EnvParams):
    """Where a trial gets its task from.

    Attributes:
      max_steps_in_episode: the trial length H.
      tasks: N stacked tasks to choose from uniformly, or None to draw a fresh task each time.
    """

    tasks: Task | None = None


@struct.dataclass
class TrialState(environment.EnvState):
    """State of a trial with one task.

    Attributes:
      time: [] steps taken in this trial.
      task: the task, the same for the whole trial.
      inner: the task's own state; its `time` counts the steps of the current episode.
      learner: state of object-level RL, or None where no feature needs it.
      previous_action: [] last action, 0 at first.
      previous_reward: [] last reward, 0 at first.
    """

    task: Task
    inner: TabularState
    learner: Any
    previous_action: Int[Array, ""]
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
    """

    family: TaskFamily
    horizon: int = 100
    features: Features = Features()
    learner: Learner = ModelBased()

    @property
    def layout(self) -> dict[str, slice]:
        """Where each part stands in the observation."""
        return observation.layout(self.features, self.family)

    @property
    def observation_size(self) -> int:
        """Length D of an observation."""
        return observation.size(self.layout)

    @property
    def num_actions(self) -> int:
        """Number of actions A."""
        return self.family.num_actions

    @property
    def table(self) -> TableSpec:
        """The sizes that object-level RL sees."""
        family = self.family
        return TableSpec(family.num_states, family.num_actions, family.episode_length, family.one_shot)

    def start(self, key: PRNGKeyArray, task: Task) -> tuple[Float[Array, " D"], TrialState]:
        """Start a trial with a given task. The key is consumed."""
        _, inner = self.family.reset_env(key, task)
        state = TrialState(
            time=jnp.int32(0),
            task=task,
            inner=inner,
            learner=self.learner.init(self.table) if self.features.uses_object_rl else None,
            previous_action=jnp.int32(0),
            previous_reward=jnp.float32(0.0),
        )
        return self.get_obs(state), state

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

        The key is consumed. `info["transition"]` is the task's step as object-level RL saw it.
        """
        del params
        key_step, key_reset = jax.random.split(key)
        task, action = state.task, jnp.asarray(action, jnp.int32)
        next_s, inner, reward, terminated, _ = self.family.step_env(key_step, state.inner, action, task)
        truncated = self.family.is_truncated(inner, task) & ~terminated
        transition = Transition(
            s=state.inner.s, a=action, r=reward, next_s=next_s, terminated=terminated, truncated=truncated
        )
        _, fresh = self.family.reset_env(key_reset, task)
        ended = terminated | truncated
        state = TrialState(
            time=state.time + 1,
            task=task,
            inner=jax.tree.map(lambda new, old: jnp.where(ended, new, old), fresh, inner),
            learner=self._learn(state.learner, transition),
            previous_action=action,
            previous_reward=reward,
        )
        over = self.is_terminated(state)
        info = {"discount": 1.0 - over, "transition": transition}
        return self.get_obs(state), state, reward, over, info

    def get_obs(self, state: TrialState, params: Any = None, key: Any = None) -> Float[Array, " D"]:
        """Return the observation [D] of the meta-policy."""
        del params, key
        time, episode_time = jnp.asarray(state.time), jnp.asarray(state.inner.time)
        parts = observation.state_parts(
            self.family, state.inner.s, state.previous_action, state.previous_reward, time == 0
        )
        parts["episode_time"] = (episode_time / self.family.episode_length)[None]
        parts["trial_time"] = (time / self.horizon)[None]
        if self.features.uses_object_rl:
            parts |= observation.value_parts(self.features, self.action_values(state))
        return observation.assemble(self.layout, parts)

    def action_values(self, state: TrialState) -> ActionValues:
        """Return what object-level RL knows about the current state."""
        return self.learner.values(self.table, state.learner, state.inner.s)

    def is_terminated(self, state: TrialState, params: Any = None) -> Bool[Array, ""]:
        """Whether H steps have been taken: the trial's end is terminal, nothing is bootstrapped."""
        del params
        return jnp.asarray(state.time >= self.horizon)

    def is_truncated(self, state: TrialState, params: Any = None) -> Bool[Array, ""]:
        """Never: a trial ends by termination."""
        del state, params
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

    def action_space(self, params: Any = None) -> spaces.Discrete:
        """The task's actions."""
        del params
        return spaces.Discrete(self.num_actions)

    def observation_space(self, params: Any = None) -> spaces.Box:
        """Vectors of D numbers; rewards and values are not bounded."""
        del params
        return spaces.Box(-jnp.inf, jnp.inf, (self.observation_size,))

    def state_space(self, params: Any = None) -> spaces.Dict:
        """The parts of the state that have a space: the task's own state and the trial's clock."""
        del params
        return spaces.Dict(
            {
                "time": spaces.Discrete(self.horizon + 1),
                "inner": self.family.state_space(),
                "previous_action": self.action_space(),
            }
        )

    def _learn(self, learner_state: Any, transition: Transition) -> Any:
        """Feed object-level RL, if it runs."""
        if not self.features.uses_object_rl:
            return learner_state
        return self.learner.update(self.table, learner_state, transition)
