"""Bernoulli bandits (design, section 4; paper, section 6)."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from rl3_jax.constraints import Count
from rl3_jax.picture import Arms
from rl3_jax.tasks.base import Action, TabularFamily, TabularState, Task

ARMS_STATE = 0
END_STATE = 1


@struct.dataclass
class BanditTask(Task):
    """One Bernoulli bandit.

    Attributes:
      success_probability: [A] probability that an arm pays 1.
      max_steps_in_episode: 1, as a pull ends the episode.
    """

    success_probability: Float[Array, " A"] = struct.field(default=None)  # gymnax's field has a default


@dataclasses.dataclass(frozen=True)
class Bandit(TabularFamily[BanditTask]):
    """Bernoulli bandits with A arms: p(a) ~ U(0, 1), or Normal(0.5, 0.5) clipped to [0, 1] (`ood`).

    A pull pays 1 with probability p(a), else 0, and ends the episode in an absorbing end state.

    Attributes:
      num_arms: number of arms A.
    """

    family: ClassVar[str] = "bandit"
    variations: ClassVar[tuple[str, ...]] = ("default", "ood")
    shows_state: ClassVar[bool] = False
    one_shot: ClassVar[bool] = True
    value_scale: ClassVar[float] = 1.0

    num_arms: Count = 5

    @property
    def num_states(self) -> int:
        """Two: the arms and the absorbing end."""
        return 2

    @property
    def num_actions(self) -> int:
        """Number of arms A."""
        return self.num_arms

    @property
    def episode_length(self) -> int:
        """One pull."""
        return 1

    def sample_task(self, key: PRNGKeyArray) -> BanditTask:
        """Draw the success probabilities. The key is consumed."""
        if self.variation == "ood":
            probability = jnp.clip(0.5 + 0.5 * jax.random.normal(key, (self.num_arms,)), 0.0, 1.0)
        else:
            probability = jax.random.uniform(key, (self.num_arms,))
        return BanditTask(success_probability=probability, max_steps_in_episode=1)

    def statistics(self, tasks: BanditTask) -> dict[str, Float[Array, " N"]]:
        """Return the best arm's success probability, its lead over the second best, and all arms' mean."""
        ordered = jnp.sort(tasks.success_probability, axis=1)
        second = ordered[:, -2] if self.num_arms > 1 else jnp.full(len(ordered), jnp.nan)
        return {
            "best_probability": ordered[:, -1],
            "lead_of_the_best": ordered[:, -1] - second,
            "mean_probability": ordered.mean(axis=1),
        }

    def picture(self, task: BanditTask, states: TabularState) -> Arms:
        """Return the success probabilities."""
        return Arms(task.success_probability)

    def is_terminated(self, state: TabularState, params: BanditTask) -> Array:
        """Whether the pull has been made."""
        return state.s == END_STATE

    def step_env(self, key: PRNGKeyArray, state: TabularState, action: Action, params: BanditTask):
        """Pull an arm: reward ~ Bernoulli(p(a)). The key is consumed."""
        reward = jax.random.bernoulli(key, params.success_probability[action]).astype(jnp.float32)
        return self.arrive(state, jnp.int32(END_STATE), reward, params)
