"""A maze with a hidden goal that sends the agent away (Miconi et al. 2019)."""

import dataclasses
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from gymnax.environments.misc.meta_maze import MetaMaze
from jaxtyping import Array, Float, Int

from rl3_jax.tasks.mazes import Mazes

SIDE, VIEW = 9, 3
"""Cells along the inner maze and along what the agent sees of it; gymnax's."""


@dataclasses.dataclass(frozen=True)
class MetaMazes(Mazes):
    """gymnax's MetaMaze: a grid of corridors, 9 cells wide, in which the goal pays 10 again and again.

    Four actions: north, east, south, west. Reaching the goal puts the agent into a random cell; should that
    be the goal, the episode ends. The policy sees which of the nine cells about it are walls, and its row
    and column. gymnax's observation also has time, last action and last reward, which a trial shows anyway.
    Variations:

    - `default`: the goal lies anywhere but in the centre, the start;
    - `rim`: it lies in the outermost corridor.
    """

    family: ClassVar[str] = "meta-maze"
    variations: ClassVar[tuple[str, ...]] = ("default", "rim")

    @property
    def start(self) -> Int[np.ndarray, " 2"]:
        """The centre."""
        return np.array([(SIDE + 1) // 2] * 2)

    @property
    def goals(self) -> Int[np.ndarray, "n 2"]:
        """Row and column of each cell in which the goal may lie."""
        goals = super().goals
        outermost = np.abs(goals - self.start).max(axis=1) == SIDE // 2
        return goals[outermost] if self.variation == "rim" else goals

    @property
    def num_successors(self) -> int:
        """Any cell may follow one beside the goal."""
        return 0

    def make_environment(self) -> MetaMaze:
        """Return gymnax's environment."""
        return MetaMaze(maze_size=SIDE, rf_size=VIEW)

    def shown(self, state: Any, observation: Float[Array, " D"]) -> Float[Array, " 11"]:
        """Return the walls about the agent, and where it is."""
        return jnp.concatenate([observation[: VIEW**2], self.place(state.pos)])
