"""What baselines share: a behaviour that keeps nothing, plans nothing and learns nothing; and chance."""

from typing import Any

import jax
from flax import struct
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.object_rl import Transition
from rl3_jax.trial import TrialEnv, TrialState


@struct.dataclass
class Baseline:
    """A classic algorithm as a `Behaviour`, for one task; each overrides what it needs.

    Hyperparameters are pytree leaves, so that one compiled program serves all their values.
    """

    def init(self, env: TrialEnv, task: Any) -> Any:
        """Return the memory before the trial: none. Only a clairvoyant may look at the task."""
        del env, task
        return ()

    def begin_episode(self, env: TrialEnv, memory: Any, state: TrialState, key: PRNGKeyArray) -> Any:
        """Return the memory unchanged: nothing is planned. The key is not used."""
        del env, state, key
        return memory

    def act(
        self,
        env: TrialEnv,
        memory: Any,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Any, Int[Array, ""]]:
        """Return the memory and an action. The key is consumed."""
        raise NotImplementedError

    def learn(self, env: TrialEnv, memory: Any, transition: Transition) -> Any:
        """Return the memory unchanged: nothing is learnt."""
        del env, transition
        return memory


@struct.dataclass
class Random(Baseline):
    """Each of the A actions with probability 1/A, whatever happened; no hyperparameters.

    Expected return: H/2 on bandits and H on random MDPs, the means of their priors.
    """

    def act(
        self,
        env: TrialEnv,
        memory: tuple,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[tuple, Int[Array, ""]]:
        """Return an action drawn uniformly. The key is consumed."""
        del state, observation
        return memory, jax.random.randint(key, (), 0, env.num_actions)
