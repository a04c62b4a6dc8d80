"""The object level: task families as gymnax environments whose params are the task."""

from rl3_jax.tasks.bandit import Bandit, BanditTask
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
from rl3_jax.tasks.four_rooms import FourRoomsTasks
from rl3_jax.tasks.frozen_lake import FrozenLakes
from rl3_jax.tasks.gridworld import Gridworld, GridworldTask
from rl3_jax.tasks.gymnax_tasks import GymnaxState, GymnaxTask, GymnaxTasks
from rl3_jax.tasks.mdp import MdpTask, RandomMdp
from rl3_jax.tasks.meta_maze import MetaMazes
from rl3_jax.tasks.point_robot import PointRobots
from rl3_jax.tasks.reacher import Reachers
from rl3_jax.tasks.registry import FAMILIES, make_family

__all__ = [
    "FAMILIES",
    "UNLIMITED",
    "Action",
    "Bandit",
    "BanditTask",
    "ConcreteState",
    "FourRoomsTasks",
    "FrozenLakes",
    "Gridworld",
    "GridworldTask",
    "GymnaxState",
    "GymnaxTask",
    "GymnaxTasks",
    "MdpTask",
    "MetaMazes",
    "PointRobots",
    "RandomMdp",
    "Reachers",
    "Step",
    "TabularFamily",
    "TabularState",
    "Task",
    "TaskFamily",
    "make_family",
]
