"""The object level: task families as gymnax environments whose params are the task."""

from rl3_jax.tasks.bandit import Bandit, BanditTask
from rl3_jax.tasks.base import UNLIMITED, Action, ConcreteState, TabularFamily, TabularState, Task, TaskFamily
from rl3_jax.tasks.gridworld import Gridworld, GridworldTask
from rl3_jax.tasks.mdp import MdpTask, RandomMdp
from rl3_jax.tasks.registry import FAMILIES, make_family

__all__ = [
    "FAMILIES",
    "UNLIMITED",
    "Action",
    "Bandit",
    "BanditTask",
    "ConcreteState",
    "Gridworld",
    "GridworldTask",
    "MdpTask",
    "RandomMdp",
    "TabularFamily",
    "TabularState",
    "Task",
    "TaskFamily",
    "make_family",
]
