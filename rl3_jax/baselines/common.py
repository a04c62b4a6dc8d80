"""What baselines share, and chance."""

from flax import struct
from jaxtyping import Array, Float, PRNGKeyArray

from rl3_jax.tasks import Action
from rl3_jax.trial import TrialEnv, TrialState
from rl3_jax.trial.behaviour import BehaviourBase


@struct.dataclass
class Baseline(BehaviourBase):
    """A classic algorithm as a `Behaviour`, for one task.

    Hyperparameters are pytree leaves, so that one compiled program serves all their values.
    """


@struct.dataclass
class Random(Baseline):
    """Uniformly drawn actions, whatever happened; no hyperparameters.

    Expected return: H/2 on bandits and H on random MDPs, the means of their priors.
    """

    def act(
        self,
        env: TrialEnv,
        memory: tuple,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[tuple, Action]:
        """Return an action drawn uniformly. The key is consumed."""
        return memory, env.action_space().sample(key)
