"""What baselines share, and those for any family: chance, and object-level RL on its own."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from rl3_jax.object_rl import Learner, ModelBased, Transition
from rl3_jax.tasks import Action, Task
from rl3_jax.trial import Behaviour, TrialEnv, TrialState

Number = Float[Array, ""] | float
"""A hyperparameter that is a pytree leaf, so that one compiled program serves all its values."""


@struct.dataclass
class Baseline(Behaviour):
    """A classic algorithm as a `Behaviour`, for one task; each overrides `action`."""

    def action(self, env: TrialEnv, memory: Any, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return an action. The key is consumed."""
        raise NotImplementedError

    def act(
        self,
        env: TrialEnv,
        memory: Any,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Any, Action]:
        """Return the memory unchanged, and `action`."""
        return memory, self.action(env, memory, state, key)


@struct.dataclass
class Random(Baseline):
    """Uniformly drawn actions: H/2 is the expected return on bandits, H on random MDPs."""

    def action(self, env: TrialEnv, memory: tuple, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return an action drawn uniformly. The key is consumed."""
        return env.action_space().sample(key)


@struct.dataclass
class LearnerAlone(Baseline):
    """An object-level learner that acts ε-greedily on its own current values, without a meta-policy.

    With a `ModelBased` learner this is certainty equivalence, with `QLearning` the textbook's Q-learning
    (Watkins 1989; Sutton and Barto 2018, section 6.5), with `RMax` R-max (Brafman and Tennenholtz 2002).

    The greedy action is drawn uniformly among those of the largest value, since pairs never tried have
    equal values; where actions are vectors it is the centre of a bin. It learns between the table states of
    the trial: its abstraction's if object-level RL runs there, else the concrete states, which must then be
    integers. What ε does is in docs/measurements.md.

    Attributes:
      epsilon: ε, the probability of a uniformly drawn action.
      learner: the learner.
    """

    epsilon: Number = 0.0
    learner: Learner = struct.field(pytree_node=False, default=ModelBased())

    def init(self, env: TrialEnv, task: Task) -> Any:
        """Return the state of the learner. The task is not looked at."""
        seen = env.features.uses_object_rl or env.family.num_states
        assert seen, "states that are vectors need object-level RL in the trial"
        return self.learner.init(env.object_rl.table)

    def action(self, env: TrialEnv, memory: Any, state: TrialState, key: PRNGKeyArray) -> Action:
        """Return an action. The key is consumed."""
        s = env.object_rl.locate(state.object_rl, env.family.concrete(state.inner, state.task))
        q = self.learner.values(env.object_rl.table, memory, s).q
        draws = jax.random.uniform(key, (1 + env.num_actions,))
        explores = draws[0] < self.epsilon
        return env.family.action_of(jnp.where((q == q.max()) | explores, draws[1:], -1.0).argmax())

    def learn(self, env: TrialEnv, memory: Any, transition: Transition) -> Any:
        """Return the state of the learner after a step."""
        return self.learner.update(env.object_rl.table, memory, transition)
