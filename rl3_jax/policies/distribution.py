"""The interface of a distribution over actions, and which one fits a space of actions."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from gymnax.environments import spaces
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.errors import ConfigError
from rl3_jax.policies.categorical import Categorical
from rl3_jax.policies.gaussian import SquashedGaussian

Action = Int[Array, "*steps"] | Float[Array, "*steps n"]
"""An action as a distribution draws it: an integer or a vector."""


@runtime_checkable
class Distribution(Protocol):
    """What the actor's outputs mean, a frozen dataclass.

    O is the number of outputs and P that of the parameters, the form in which a trajectory keeps a
    distribution. Sampling starts from the outputs, all that compares distributions from parameters.
    """

    @property
    def num_outputs(self) -> int:
        """O, the size of the actor's head. Outputs of zero mean a nearly uniform distribution."""
        ...

    def parameters(self, outputs: Float[Array, "*steps O"]) -> Float[Array, "*steps P"]:
        """Return the parameters that the network's outputs stand for."""
        ...

    def sample(self, key: PRNGKeyArray, outputs: Float[Array, " O"]) -> Action:
        """Draw an action. The key is consumed."""
        ...

    def mode(self, outputs: Float[Array, " O"]) -> Action:
        """Return the action of a greedy policy."""
        ...

    def to_env(self, action: Action) -> Action:
        """Return an action as the environment takes it; the other methods take it as `sample` gave it."""
        ...

    def log_prob(self, parameters: Float[Array, "*steps P"], action: Action) -> Float[Array, "*steps"]:
        """Return log π(a), of the action as the environment takes it."""
        ...

    def log_ratio(
        self, parameters: Float[Array, "*steps P"], other: Float[Array, "*steps P"], action: Action
    ) -> Float[Array, "*steps"]:
        """Return log π(a) − log π'(a), with π' the other policy."""
        ...

    def entropy(self, parameters: Float[Array, "*steps P"]) -> Float[Array, "*steps"]:
        """Return the entropy of the action as the environment takes it, nats."""
        ...

    def kl(
        self, parameters: Float[Array, "*steps P"], other: Float[Array, "*steps P"]
    ) -> Float[Array, "*steps"]:
        """Return KL(π‖π'), nats, with π' the other policy."""
        ...


def action_distribution(space: Any) -> Distribution:
    """Return the distribution over a gymnax space of actions, whose bounds are numbers.

    Raises:
      ConfigError: if no distribution fits.
    """
    if found := action_problems(space):
        raise ConfigError(found)
    if isinstance(space, spaces.Discrete):
        return Categorical(int(space.n))
    low, high = _bounds(space)
    return SquashedGaussian(tuple(low.tolist()), tuple(high.tolist()))


def action_problems(space: Any) -> list[str]:
    """Return a message for each reason why a policy cannot act in a gymnax space."""
    if isinstance(space, spaces.Discrete):
        return []
    if not isinstance(space, spaces.Box):
        return [f"the action space is {space}; a policy needs a Discrete or a Box"]
    if len(space.shape) != 1 or space.shape[0] < 1:
        return [f"the action space has shape {space.shape}; the actions of a Box are vectors, of shape (n,)"]
    low, high = _bounds(space)
    if not (np.isfinite(low) & np.isfinite(high) & (low < high)).all():
        return [
            f"the action space has bounds {low.tolist()} and {high.tolist()}; a policy needs finite ones,"
            " the lower below the upper in each dimension"
        ]
    return []


def _bounds(space: spaces.Box) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper bounds [n] of each dimension."""
    low, high = (np.broadcast_to(np.asarray(bound), space.shape) for bound in (space.low, space.high))
    return low, high
