"""Bernoulli bandits and random tabular MDPs (design, section 4; paper, section 6)."""

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from rl3_jax.constraints import Count
from rl3_jax.picture import Arms
from rl3_jax.tasks.base import Action, Step, TabularFamily, TabularState, Task

END_STATE = 1
"""The absorbing state of a bandit; a pull leads there from state 0."""
CONCENTRATION = {"default": 1.0, "ood": 0.25}
"""Parameter of the symmetric Dirichlet from which each variation draws T(s,a,·)."""
REWARD_MEAN, REWARD_SCALE = 1.0, 1.0
"""Mean rewards are drawn from Normal(REWARD_MEAN, REWARD_SCALE)."""
REWARD_NOISE = 1.0
"""Standard deviation of the observed reward about its mean."""


@struct.dataclass
class BanditTask(Task):
    """One Bernoulli bandit, by the probability that each arm pays 1."""

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
    exchangeable_actions: ClassVar[bool] = True
    knows_mean_reward: ClassVar[bool] = True

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

    def mean_reward(self, task: BanditTask, step: Step, action: Action) -> Float[Array, ""]:
        """Return p(a)."""
        return task.success_probability[action]

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


@struct.dataclass
class MdpTask(Task):
    """One random MDP: T(s'|s,a), and the mean of the reward of each pair."""

    transition: Float[Array, "S A S"] = struct.field(default=None)  # gymnax's field has a default
    mean_reward: Float[Array, "S A"] = struct.field(default=None)


@dataclasses.dataclass(frozen=True)
class RandomMdp(TabularFamily[MdpTask]):
    """Random MDPs: T(s,a,·) ~ Dirichlet(c, …, c), mean reward ~ Normal(1, 1), noise Normal(0, 1).

    Episodes start in state 0 and are truncated; there are no absorbing states. c is 1, or 0.25 in
    the variation `ood`, whose rows are nearer to deterministic.

    Attributes:
      states: number of states S.
      actions: number of actions A.
      steps: episode length.
    """

    family: ClassVar[str] = "mdp"
    variations: ClassVar[tuple[str, ...]] = ("default", "ood")
    exchangeable_actions: ClassVar[bool] = True
    knows_mean_reward: ClassVar[bool] = True

    states: Count = 10
    actions: Count = 5
    steps: Count = 10

    @property
    def num_states(self) -> int:
        """Number of states S."""
        return self.states

    @property
    def num_actions(self) -> int:
        """Number of actions A."""
        return self.actions

    @property
    def episode_length(self) -> int:
        """Steps after which an episode is truncated."""
        return self.steps

    def mean_reward(self, task: MdpTask, step: Step, action: Action) -> Float[Array, ""]:
        """Return the mean that the reward is drawn about."""
        return task.mean_reward[step.state.index, action]

    def sample_task(self, key: PRNGKeyArray) -> MdpTask:
        """Draw transition probabilities and mean rewards. The key is consumed."""
        key_transition, key_reward = jax.random.split(key)
        pairs = (self.states, self.actions)
        concentration = CONCENTRATION[self.variation]
        if concentration == 1.0:
            # Dirichlet(1, …, 1) is a normalised exponential, much cheaper than general gamma draws.
            # Drawn flat: random bits of rank 3 compile and run more slowly (docs/measurements.md).
            weight = jax.random.exponential(key_transition, (math.prod(pairs) * self.states,))
            weight = weight.reshape(*pairs, self.states)
            transition = weight / weight.sum(-1, keepdims=True)
        else:
            transition = jax.random.dirichlet(key_transition, jnp.full(self.states, concentration), pairs)
        deviation = jax.random.normal(key_reward, (math.prod(pairs),)).reshape(pairs)
        mean_reward = REWARD_MEAN + REWARD_SCALE * deviation
        return MdpTask(transition=transition, mean_reward=mean_reward, max_steps_in_episode=self.steps)

    def statistics(self, tasks: MdpTask) -> dict[str, Float[Array, " N"]]:
        """Return the mean entropy of T(s,a,·) in nats, the mean reward, and what one episode pays.

        Of the returns, one is of the best policy and one of uniformly drawn actions, both from state 0.
        """

        def episode_return(task: MdpTask, choose: Callable[[Array], Array]) -> Float[Array, ""]:
            def earlier(_, value):
                later = jnp.matmul(task.transition, value, precision=jax.lax.Precision.HIGHEST)
                return choose(task.mean_reward + later)

            return jax.lax.fori_loop(0, self.steps, earlier, jnp.zeros(self.states))[0]

        entropy = jax.scipy.special.entr(tasks.transition).sum(-1)
        return {
            "transition_entropy": entropy.mean(axis=(1, 2)),
            "mean_reward": tasks.mean_reward.mean(axis=(1, 2)),
            "optimal_episode_return": jax.vmap(lambda task: episode_return(task, lambda q: q.max(-1)))(tasks),
            "random_episode_return": jax.vmap(lambda task: episode_return(task, lambda q: q.mean(-1)))(tasks),
        }

    def step_env(self, key: PRNGKeyArray, state: TabularState, action: Action, params: MdpTask):
        """Draw s' ~ T(s,a,·) by inversion of its distribution, and the reward. The key is consumed."""
        key_next, key_noise = jax.random.split(key)
        below = jnp.cumsum(params.transition[state.s, action]) <= jax.random.uniform(key_next)
        # The last row sum can round to less than the uniform draw, hence the bound.
        next_s = jnp.minimum(below.sum(dtype=jnp.int32), self.states - 1)
        reward = params.mean_reward[state.s, action] + REWARD_NOISE * jax.random.normal(key_noise)
        return self.arrive(state, next_s, reward, params)
