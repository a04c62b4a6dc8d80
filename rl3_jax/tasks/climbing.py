"""Classic control whose goal is a height to swing up to: a car in a valley, and an acrobot."""

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import jax.numpy as jnp
import numpy as np
from gymnax.environments.classic_control import acrobot, mountain_car
from jaxtyping import Array, Bool, Float

from rl3_jax.bins import Bounds
from rl3_jax.picture import Plane
from rl3_jax.tasks.base import Step
from rl3_jax.tasks.classic_control import ClassicControl
from rl3_jax.tasks.gymnax_tasks import GymnaxState, GymnaxTask

GOAL_REWARD = 100.0
"""That of gym's MountainCarContinuous; a step on the way then pays about 1."""
GRAVITY = 9.8
"""That of gymnax's Acrobot, which has no such param."""


@dataclasses.dataclass(frozen=True)
class Climbing(ClassicControl):
    """An environment that ends an episode at a height, to which the agent has to swing itself up.

    gymnax pays −1 for each step on the way, so that trials, in which the next episode follows at once, earn
    the same, or nearly so, whatever is done. Here a trial earns 100 for each goal.

    Attributes:
      dense: pay these 100 on the way: each step by what it adds to the mechanical energy, as a share of what
        the goal takes at least, and never more than all of it. Else pay them when the goal is reached, which
        random actions hardly ever do.
    """

    action_names: ClassVar[tuple[str, ...]] = ("−", "0", "+")
    summary_names: ClassVar[tuple[str, ...]] = ("goals", "first_goal_step")
    progress_names: ClassVar[tuple[str, ...]] = ("goals",)

    dense: bool = True

    @property
    def trial_length(self) -> int:
        """Some four episodes of who knows how."""
        return 300

    def energy(self, params: Any, state: Any) -> Float[Array, ""]:
        """Return the mechanical energy of a state: 0 at rest below, 1 at the least with which the goal is."""
        raise NotImplementedError

    def paid(
        self, params: Any, before: Any, after: Any, reward: Float[Array, ""], terminated: Bool[Array, ""]
    ) -> Float[Array, ""]:
        """Return the energy gained, or whether the goal was reached."""
        if not self.dense:
            return GOAL_REWARD * terminated
        share, earlier = (jnp.minimum(self.energy(params, state), 1.0) for state in (after, before))
        return GOAL_REWARD * (share - earlier)

    def summarise_trial(self, task: GymnaxTask, steps: Step) -> dict[str, Float[Array, ""]]:
        """Return how often the goal was reached, and in which step first, from 1."""
        reached = steps.terminated
        first = jnp.where(reached.any(), reached.argmax() + 1.0, jnp.nan)
        return {"goals": reached.sum().astype(jnp.float32), "first_goal_step": first}


@dataclasses.dataclass(frozen=True)
class MountainCars(Climbing):
    """gymnax's MountainCar with an engine of unknown force, in an unknown gravity.

    Three actions: accelerate to one side, not at all, to the other; which one to which is unknown. The engine
    is too weak for the slope: the car has to swing. The policy sees position and speed. Variations:

    - `default`: force ~ U(0.0015, 0.0025), gravity ~ U(0.002, 0.003); gymnax's are 0.001 and 0.0025, with
      which an episode takes two to three times as long;
    - `ood`: weaker engines, U(0.001, 0.0015), in the same gravity.
    """

    family: ClassVar[str] = "mountain-car"
    constants: ClassVar[Mapping[str, Mapping[str, tuple[float, float]]]] = MappingProxyType(
        {
            "default": {"force": (0.0015, 0.0025), "gravity": (0.002, 0.003)},
            "ood": {"force": (0.001, 0.0015), "gravity": (0.002, 0.003)},
        }
    )
    variations: ClassVar[tuple[str, ...]] = tuple(constants)
    scales: ClassVar[tuple[float, ...]] = (1.0, 0.03)
    observation_names: ClassVar[tuple[str, ...]] = ("position", "speed")
    tiles: ClassVar[tuple[int, ...]] = (12, 12)
    num_successors: ClassVar[int] = 12

    @property
    def coordinate_bounds(self) -> Bounds:
        """gymnax's."""
        return ((-1.2, 0.6), (-0.07, 0.07))

    def make_environment(self) -> mountain_car.MountainCar:
        """Return gymnax's environment."""
        return mountain_car.MountainCar()

    def energy(self, params: mountain_car.EnvParams, state: mountain_car.EnvState) -> Float[Array, ""]:
        """Return v²/2 + g (sin 3x)/3, from the bottom to the goal as 0 to 1."""

        def potential(x: Any) -> Any:
            return params.gravity * (jnp.sin(3.0 * x) + 1.0) / 3.0

        energy = state.velocity**2 / 2.0 + potential(state.position)
        return energy / potential(params.goal_position)

    def picture(self, task: GymnaxTask, states: GymnaxState) -> Plane:
        """Return the valley and the car's way in it, with heights as in gym's own picture, and the goal."""
        x = states.wrapped.position
        valley = _on_slope(np.linspace(-1.2, 0.6, 40))
        body = np.broadcast_to(valley, (len(x), *valley.shape))
        goal = _on_slope(np.array(float(task.params.goal_position)))
        bounds = np.array([[-1.3, 0.7], [0.0, 1.2]])
        return Plane(_on_slope(x), bounds, goal, body=body, names=("x", "height"))


def _on_slope(x: np.ndarray) -> np.ndarray:
    """Return (x, height) of places in the valley."""
    return np.stack([x, 0.45 * np.sin(3.0 * x) + 0.55], axis=-1)


class Links(acrobot.Acrobot):
    """gymnax's acrobot, whose goal depends on the lengths of its links."""

    def is_terminated(self, state: acrobot.EnvState, params: acrobot.EnvParams) -> Bool[Array, ""]:
        """Whether the tip is higher above the first joint than half of its reach; gymnax has lengths of 1."""
        first, second = params.link_length_1, params.link_length_2
        angle = state.joint_angle1
        height = -first * jnp.cos(angle) - second * jnp.cos(angle + state.joint_angle2)
        return height > (first + second) / 2.0


@dataclasses.dataclass(frozen=True)
class Acrobots(Climbing):
    """gymnax's Acrobot with two links of unknown length and mass, hanging from the first joint.

    Three actions: a torque on the second joint to one side, none, to the other; which one to which is
    unknown. An episode ends once the tip is higher above the first joint than half of its reach. The policy
    sees cosine and sine of both angles and their speeds. Variations:

    - `default`: lengths and masses ~ U(0.75, 1.25); gymnax's are 1;
    - `ood`: heavier, U(1.25, 1.5), with the same lengths.
    """

    family: ClassVar[str] = "acrobot"
    constants: ClassVar[Mapping[str, Mapping[str, tuple[float, float]]]] = MappingProxyType(
        {
            variation: {
                "link_length_1": (0.75, 1.25),
                "link_length_2": (0.75, 1.25),
                "link_mass_1": mass,
                "link_mass_2": mass,
            }
            for variation, mass in {"default": (0.75, 1.25), "ood": (1.25, 1.5)}.items()
        }
    )
    variations: ClassVar[tuple[str, ...]] = tuple(constants)
    scales: ClassVar[tuple[float, ...]] = (1.0, 1.0, 1.0, 1.0, 2.0, 3.0)
    observation_names: ClassVar[tuple[str, ...]] = ("cos 1", "sin 1", "cos 2", "sin 2", "speed 1", "speed 2")
    tiles: ClassVar[tuple[int, ...]] = (6, 6, 3, 3)
    num_successors: ClassVar[int] = 16

    steps: int = 150

    @property
    def coordinate_bounds(self) -> Bounds:
        """The angles, and speeds that are seldom exceeded."""
        return ((-math.pi, math.pi),) * 2 + ((-4.5, 4.5), (-6.0, 6.0))

    def make_environment(self) -> Links:
        """Return an acrobot."""
        return Links()

    def with_constants(self, drawn: dict[str, Array]) -> acrobot.EnvParams:
        """Return params with these constants; the centre of mass of a link is its middle."""
        params = super().with_constants(drawn)
        return dataclasses.replace(
            params, link_com_pos_1=params.link_length_1 / 2.0, link_com_pos_2=params.link_length_2 / 2.0
        )

    def energy(self, params: acrobot.EnvParams, state: acrobot.EnvState) -> Float[Array, ""]:
        """Return kinetic and potential energy, from hanging at rest to the least with the tip high enough.

        That is where the second link stands upright.
        """
        m1, m2, l1, l2 = params.link_mass_1, params.link_mass_2, params.link_length_1, params.link_length_2
        c1, c2 = params.link_com_pos_1, params.link_com_pos_2
        w1, w2, bend = state.velocity_1, state.velocity_1 + state.velocity_2, state.joint_angle2
        # Of the two centres of mass and, about them, of the links.
        kinetic = 0.5 * (m1 * c1**2 + m2 * l1**2 + params.link_moi) * w1**2
        kinetic += 0.5 * (m2 * c2**2 + params.link_moi) * w2**2 + m2 * l1 * c2 * jnp.cos(bend) * w1 * w2
        weight_1, weight_2 = GRAVITY * (m1 * c1 + m2 * l1), GRAVITY * m2 * c2
        raised_1, raised_2 = 1.0 - jnp.cos(state.joint_angle1), 1.0 - jnp.cos(state.joint_angle1 + bend)
        # Upright the second link leaves (l1 − l2)/2 of the height to the first.
        least = weight_1 * (1.0 + (l1 - l2) / (2.0 * l1)) + weight_2 * 2.0
        return (kinetic + weight_1 * raised_1 + weight_2 * raised_2) / least

    def located(self, state: acrobot.EnvState, observation: Any) -> Float[Array, " 4"]:
        """Return the angles and their speeds."""
        return jnp.stack([state.joint_angle1, state.joint_angle2, state.velocity_1, state.velocity_2])

    def picture(self, task: GymnaxTask, states: GymnaxState) -> Plane:
        """Return the links and the way of the tip."""
        angles = np.stack([states.wrapped.joint_angle1, states.wrapped.joint_angle2], axis=1).cumsum(axis=1)
        lengths = np.array([task.params.link_length_1, task.params.link_length_2])
        links = lengths[:, None] * np.stack([np.sin(angles), -np.cos(angles)], axis=-1)
        joints = np.concatenate([np.zeros_like(links[:, :1]), np.cumsum(links, axis=1)], axis=1)
        reach = 1.1 * lengths.sum()
        return Plane(joints[:, -1], np.array([[-reach, reach]] * 2), body=joints, names=("x", "height"))
