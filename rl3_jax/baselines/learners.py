"""Object-level RL on its own: what acts in ordinary RL, without a meta-policy."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.baselines.common import Baseline
from rl3_jax.object_rl import Learner, ModelBased, Transition
from rl3_jax.tasks import Task
from rl3_jax.trial import TrialEnv, TrialState


@struct.dataclass
class CertaintyEquivalence(Baseline):
    """An object-level learner that acts ε-greedily on its own current values.

    The greedy action is drawn uniformly among those of the largest value, since pairs never tried have
    equal values. For families whose states and actions are integers.

    Mean return of ε on 500 tuning tasks (seed 1000), standard errors 10–13, 1.0–1.2 and 0.7–1.1; gridworlds
    11x11 at H=250 with two warm sweeps, MDPs and bandits at H=100:

        ε           0       0.02    0.05    0.1     0.2     0.3
        gridworld  −456.8  −463.8  −467.0  −469.9  −489.1  −500.1
        mdp         133.0   133.0   133.6   134.4   133.4   130.9
        bandit       63.9    66.9    69.4    70.6    70.3    68.4

    In gridworlds every value does badly for the same reason: pairs never tried look better than any that
    was, so that 250 steps pass in trying them, dangers included.

    Attributes:
      epsilon: ε, the probability of a uniformly drawn action.
      learner: the learner.
    """

    epsilon: Float[Array, ""] | float = 0.0
    learner: Learner = struct.field(pytree_node=False, default=ModelBased())

    def init(self, env: TrialEnv, task: Task) -> Any:
        """Return the state of the learner. The task is not looked at."""
        del task
        return self.learner.init(env.table)

    def act(
        self,
        env: TrialEnv,
        memory: Any,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Any, Int[Array, ""]]:
        """Return an action. The key is consumed."""
        del observation
        index = env.family.concrete(state.inner, state.task).index
        assert index is not None, "for families of integer states"
        q = self.learner.values(env.table, memory, index).q
        draws = jax.random.uniform(key, (1 + env.num_actions,))
        explores = draws[0] < self.epsilon
        return memory, jnp.where((q == q.max()) | explores, draws[1:], -1.0).argmax()

    def learn(self, env: TrialEnv, memory: Any, transition: Transition) -> Any:
        """Return the state of the learner after a step."""
        return self.learner.update(env.table, memory, transition)
