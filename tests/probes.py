"""Task families whose optimum is obvious, defined as a user would define one."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from gymnax.environments import spaces

from rl3_jax.tasks import Bandit, BanditTask, TabularFamily, Task


@dataclasses.dataclass(frozen=True)
class FirstArmPays(Bandit):
    """Arm 0 always pays 1, the others nothing."""

    exchangeable_actions: ClassVar[bool] = False

    def sample_task(self, key):
        return BanditTask(success_probability=jnp.eye(self.num_arms)[0], max_steps_in_episode=1)


@dataclasses.dataclass(frozen=True)
class OneArmPays(Bandit):
    """One arm, uniformly drawn for each task, always pays 1, the others nothing."""

    def sample_task(self, key):
        arm = jax.random.randint(key, (), 0, self.num_arms)
        return BanditTask(success_probability=jax.nn.one_hot(arm, self.num_arms), max_steps_in_episode=1)


@dataclasses.dataclass(frozen=True)
class Chain(TabularFamily[Task]):
    """States 0, 1, 2, … in turn, whatever is done; the reward is the action's number.

    Attributes:
      steps: episode length.
      actions: number of actions.
      last_pays: instead, the last step of an episode pays 1 and the others nothing.
      uneven: each task has an episode length of its own, from 1 to `steps`.
    """

    family: ClassVar[str] = "chain"
    variations: ClassVar[tuple[str, ...]] = ("default",)

    steps: int = 4
    actions: int = 12
    last_pays: bool = False
    uneven: bool = False

    @property
    def num_states(self):
        return self.steps + 1

    @property
    def num_actions(self):
        return self.actions

    @property
    def episode_length(self):
        return self.steps

    def sample_task(self, key):
        length = jax.random.randint(key, (), 1, self.steps + 1) if self.uneven else self.steps
        return Task(max_steps_in_episode=length)

    def step_env(self, key, state, action, params):
        last = state.time == self.steps - 1
        reward = last if self.last_pays else action
        return self.arrive(state, state.s + 1, jnp.float32(reward), params)


@dataclasses.dataclass(frozen=True)
class Aim(TabularFamily[Task]):
    """One state; a vector of the box is paid −|a − target|², so the optimum is 0."""

    family: ClassVar[str] = "aim"
    variations: ClassVar[tuple[str, ...]] = ("default",)

    target: tuple[float, float] = (0.5, 0.1)
    high: float = 1.0

    @property
    def num_states(self):
        return 1

    @property
    def num_actions(self):
        return 2

    @property
    def episode_length(self):
        return 3

    def action_space(self, params=None):
        return spaces.Box(jnp.array([-1.0, 0.0]), jnp.array([self.high, 0.4]), (2,))

    def table_action(self, action):
        return jnp.int32(action[0] > 0)

    def sample_task(self, key):
        return Task(max_steps_in_episode=3)

    def step_env(self, key, state, action, params):
        return self.arrive(state, state.s, -((action - jnp.array(self.target)) ** 2).sum(), params)
