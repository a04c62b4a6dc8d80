"""Spaces and types of numbers of a gymnax environment, and whether they fit a task family."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments import spaces

from rl3_jax.bins import Bounds


def as_types(tree: Any, types: Any) -> Any:
    """Return a tree of numbers as arrays of the given types."""
    return jax.tree.map(lambda x, kind: jnp.asarray(x, kind.dtype), tree, types)


def wider_types(one: Any, other: Any) -> Any:
    """Return shape and type of each number of two trees: the wider type of both."""
    return jax.tree.map(
        lambda a, b: jax.ShapeDtypeStruct(a.shape, jnp.promote_types(a.dtype, b.dtype)), one, other
    )


def bounds_of(space: spaces.Box) -> Bounds:
    """Return the bounds of each number of a Box, in order; infinite where gymnax puts the largest float."""
    with jax.ensure_compile_time_eval():
        low, high = (
            np.broadcast_to(np.asarray(bound, float), space.shape).ravel()
            for bound in (space.low, space.high)
        )
    largest = np.finfo(np.float32).max
    low, high = np.where(low <= -largest, -np.inf, low), np.where(high >= largest, np.inf, high)
    return tuple(zip(low.tolist(), high.tolist(), strict=True))


def observation_problems(family: str, space: Any) -> list[str]:
    """Return a message if the policy cannot see what an environment shows.

    Args:
      family: name of the family.
      space: what it shows.
    """
    if isinstance(space, (spaces.Discrete, spaces.Box)):
        return []
    return [f"{family} is observed as {space}; `shown` must make it one integer or vector"]


def action_problems(family: str, space: Any, bins: tuple[int, ...]) -> list[str]:
    """Return a message for each reason why actions do not fit their bins.

    Args:
      family: name of the family.
      space: its actions.
      bins: into how many parts each dimension of a Box is cut.
    """
    if isinstance(space, spaces.Discrete):
        return [f"action_bins is {bins}, but {family} has integer actions; give none"] if bins else []
    if not isinstance(space, spaces.Box):
        return [f"the actions of {family} are {space}; they must be a Discrete or a Box"]
    if len(bins) != math.prod(space.shape):
        return [
            f"action_bins has {len(bins)} numbers, but an action of {family} has"
            f" {math.prod(space.shape)} dimensions; give one number of bins for each"
        ]
    if not np.isfinite(bounds_of(space)).all():
        return [f"the actions of {family} have bounds {bounds_of(space)}; bins need finite ones"]
    return []
