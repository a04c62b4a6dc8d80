"""The distributions over actions, and which one fits a space of actions.

A distribution has O outputs of the network and P parameters, the form in which a trajectory keeps it.
Sampling starts from the outputs, and from noise that does not depend on them and is drawn beforehand; all
that compares distributions starts from parameters.
"""

from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int

from rl3_jax.errors import ConfigError
from rl3_jax.lean_gymnax import spaces
from rl3_jax.policies.categorical import Categorical
from rl3_jax.policies.gaussian import SquashedGaussian

Distribution = Categorical | SquashedGaussian
"""What the actor's outputs mean; outputs of zero mean a nearly uniform distribution."""
Action = Int[Array, "*steps"] | Float[Array, "*steps n"]
"""An action as a distribution draws it: an integer or a vector. `to_env` maps it to the environment's."""


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
