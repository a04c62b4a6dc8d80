"""The object level: task families as gymnax environments whose params are the task."""

from rl3_jax.tasks.base import (
    UNLIMITED,
    Action,
    ConcreteState,
    Step,
    TabularFamily,
    TabularState,
    Task,
    TaskFamily,
)
from rl3_jax.tasks.classic_control import CartPoles, Pendulums
from rl3_jax.tasks.climbing import Acrobots, MountainCars
from rl3_jax.tasks.continuous import PointRobots, Reachers
from rl3_jax.tasks.frozen_lake import FrozenLakes
from rl3_jax.tasks.gridworld import Gridworld, GridworldTask
from rl3_jax.tasks.gymnax_tasks import GymnaxTask, GymnaxTasks
from rl3_jax.tasks.mazes import FourRoomsTasks, MetaMazes
from rl3_jax.tasks.navix_rooms import NavixRooms
from rl3_jax.tasks.probe import family_problems, property_problems
from rl3_jax.tasks.registry import FAMILIES, make_family
from rl3_jax.tasks.tabular import Bandit, BanditTask, MdpTask, RandomMdp
from rl3_jax.tasks.xland import XLandTasks

__all__ = [
    "FAMILIES",
    "UNLIMITED",
    "Acrobots",
    "Action",
    "Bandit",
    "BanditTask",
    "CartPoles",
    "ConcreteState",
    "FourRoomsTasks",
    "FrozenLakes",
    "Gridworld",
    "GridworldTask",
    "GymnaxTask",
    "GymnaxTasks",
    "MdpTask",
    "MetaMazes",
    "MountainCars",
    "NavixRooms",
    "Pendulums",
    "PointRobots",
    "RandomMdp",
    "Reachers",
    "Step",
    "TabularFamily",
    "TabularState",
    "Task",
    "TaskFamily",
    "XLandTasks",
    "family_problems",
    "make_family",
    "property_problems",
]
