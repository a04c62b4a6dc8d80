"""What a task family says of how a trial is drawn: plain arrays, no drawing."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class TileKind:
    """How one kind of tile looks: kinds differ in lightness and in mark, a letter or sign in colour `ink`.

    `enters` tells whether the agent acts on such a tile, which then has a value.
    """

    name: str
    colour: str
    mark: str = ""
    ink: str = "black"
    hatch: str = ""
    enters: bool = True


FREE = TileKind("free", "white")
WALL = TileKind("obstacle", "#262626", hatch="xx", enters=False)
START = TileKind("start", "#e8e8e8", "S")
GOAL = TileKind("goal", "#4a9a55", "★", "white", enters=False)


@dataclasses.dataclass(frozen=True)
class Tiles:
    """A map of tiles on which the agent moves.

    Attributes:
      codes: [R, C] place of each tile's kind in `kinds`.
      cells: [S, 2] row and column of each integer state, of which several may share a cell; row by row over
        the whole map, if not given.
    """

    codes: np.ndarray
    kinds: Sequence[TileKind]
    cells: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class Plane:
    """A plane in which the agent moves.

    Attributes:
      position: [H, 2] of the agent before each step.
      bounds: [2, 2] least and largest of x, and of y.
      goal: [2], or None.
      goal_radius: 0 for a goal that is a point.
      arrow_length: of an action of length 1, a vector of two numbers; 0 for none.
      body: [H, n, 2] joints of a body, or None.
      names: of the two axes.
    """

    position: np.ndarray
    bounds: np.ndarray
    goal: np.ndarray | None = None
    goal_radius: float = 0.0
    arrow_length: float = 0.0
    body: np.ndarray | None = None
    names: tuple[str, str] = ("x", "y")


@dataclasses.dataclass(frozen=True)
class Line:
    """A line on which the agent moves, drawn over the steps of the trial.

    Attributes:
      position: [H] of the agent before each step.
      goal: a position, or None.
      name: of the position.
    """

    position: np.ndarray
    goal: float | None = None
    name: str = "position"


@dataclasses.dataclass(frozen=True)
class Arms:
    """Arms to pull, of which `truth` [A] is the mean reward of each."""

    truth: Any


Picture = Tiles | Plane | Line | Arms
