"""Families whose states and actions are vectors: a point in the plane, and an arm of two links."""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments.misc import point_robot, reacher
from jaxtyping import Array, Float, PRNGKeyArray

from rl3_jax.bins import Bounds
from rl3_jax.picture import Plane
from rl3_jax.tasks.gymnax_tasks import GymnaxState, GymnaxTask, GymnaxTasks

NEVER = -1.0
"""A `goal_radius` that no distance is within."""
TIP_RADIUS = 0.3
"""How near the goal the tip of an arm has to be in the sparse task."""
EXTENT = 1.375
"""The tiles of the plane cover [−EXTENT, EXTENT]²; the start is the centre of the middle one."""
LINK_LENGTH = {"default": (0.5, 1.5), "long": (1.5, 2.0)}
"""Bounds of the uniform draw of each link's length; gymnax's links have length 1."""
MAX_SPEED = 2.0
"""A joint that turns faster counts as in the outermost tile; starts turn with up to 1."""


@dataclasses.dataclass(frozen=True)
class PointRobots(GymnaxTasks):
    """gymnax's point in the plane, whose goal lies on the unit circle (Dorfman et al. 2021).

    Each step moves it by a vector of [−0.1, 0.1]² and pays minus the distance to the goal from where the
    step began. Episodes start in the origin and only run out. The policy sees the position; gymnax's
    observation also has time, last action and last reward, which a trial shows anyway. Variations:

    - `semicircle`: the goal's angle ~ U(0, π);
    - `circle`: ~ U(−π, π).

    Attributes:
      dense: pay minus the distance; else 1 for each step begun within 0.2 of the goal, which also puts the
        point back to the origin. (gymnax puts it back in the dense task too, where it would be a reason to
        stay out of the goal; here it does not.)
    """

    family: ClassVar[str] = "point-robot"
    variations: ClassVar[tuple[str, ...]] = ("semicircle", "circle")
    action_names: ClassVar[tuple[str, ...]] = ("x", "y")
    observation_names: ClassVar[tuple[str, ...]] = ("x", "y")
    tiles: ClassVar[tuple[int, ...]] = (11, 11)  # of side 0.25
    num_successors: ClassVar[int] = 10  # a tile, its eight neighbours and the start

    variation: str = "semicircle"
    steps: int = 25
    action_bins: tuple[int, ...] = (3, 3)
    dense: bool = True

    @property
    def coordinate_bounds(self) -> Bounds:
        """A square about the circle; what leaves it counts as the nearest tile."""
        return ((-EXTENT, EXTENT), (-EXTENT, EXTENT))

    def picture(self, task: GymnaxTask, states: GymnaxState) -> Plane:
        """Return the way in the plane, the goal, and actions three times as long as they are."""
        position = states.wrapped.pos
        low, high = np.array(self.coordinate_bounds).T
        bounds = np.stack([np.minimum(low, position.min(0)), np.maximum(high, position.max(0))], axis=1)
        radius = max(float(task.params.goal_radius), 0.0)
        return Plane(position, bounds, np.asarray(task.fields["goal"]), radius, arrow_length=3.0)

    def make_environment(self) -> point_robot.PointRobot:
        """Return gymnax's environment."""
        return point_robot.PointRobot()

    def sample_params(self, key: PRNGKeyArray) -> point_robot.EnvParams:
        """Return the same params for each task. The key is not used."""
        radius = NEVER if self.dense else point_robot.EnvParams.goal_radius
        return point_robot.EnvParams(dense_reward=self.dense, goal_radius=radius, center_init=True)

    def sample_fields(self, key: PRNGKeyArray, params: point_robot.EnvParams) -> dict[str, Array]:
        """Draw the angle of the goal. The key is consumed."""
        least = -math.pi if self.variation == "circle" else 0.0
        angle = jax.random.uniform(key, minval=least, maxval=math.pi)
        return {"goal": params.circle_radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])}

    def shown(self, state: point_robot.EnvState, observation: Any) -> Float[Array, " 2"]:
        """Return the position."""
        return state.pos


@struct.dataclass
class ArmParams(reacher.EnvParams):
    """Params of an arm: gymnax's, the length of each link, and how near the goal pays 1, if that does."""

    link_lengths: Float[Array, " 2"] = struct.field(default=None)  # gymnax's fields have defaults
    goal_radius: float = NEVER


class Arm(reacher.Reacher):
    """gymnax's reacher, with the lengths of its links in the params."""

    def step_env(self, key: PRNGKeyArray, state: Any, action: Any, params: Any) -> Any:
        """Move as gymnax does; pay exp(−|x − goal|²), x the tip, or 1 near the goal. The key is not used."""
        observation, state, _, terminated, info = super().step_env(key, state, action, params)
        apart = ((tip(state.angles, params.link_lengths) - state.goal_xy) ** 2).sum()
        radius = params.goal_radius
        reward = jnp.where(radius > 0.0, apart < radius**2, jnp.exp(-apart))
        return observation, state, reward, terminated, info


@dataclasses.dataclass(frozen=True)
class Reachers(GymnaxTasks):
    """gymnax's Reacher with two links of unknown length and a goal within their reach.

    Torques of [−1, 1]² accelerate the joints; the reward is exp(−|tip − goal|²) after the step. Episodes
    start at random angles and speeds and only run out. Each length ~ U(0.5, 1.5), or U(1.5, 2) in the
    variation `long`; the goal is where the tip is at uniformly drawn angles. The policy sees cosine, sine and
    speed of each joint, not the goal, which gymnax's observation has.

    Attributes:
      dense: pay as said; else 1 for each step after which the tip is within 0.3 of the goal.
    """

    family: ClassVar[str] = "reacher"
    variations: ClassVar[tuple[str, ...]] = tuple(LINK_LENGTH)
    task_fields: ClassVar[tuple[str, ...]] = ("goal_xy",)
    action_names: ClassVar[tuple[str, ...]] = ("joint 1", "joint 2")
    tiles: ClassVar[tuple[int, ...]] = (6, 6, 3, 3)  # sectors and speeds of the joints
    num_successors: ClassVar[int] = 16
    """A step leads at most to the next tile in each coordinate; of those 81, few are met in a trial."""

    action_bins: tuple[int, ...] = (3, 3)
    dense: bool = True

    @property
    def coordinate_bounds(self) -> Bounds:
        """Two angles and two speeds."""
        return ((-math.pi, math.pi),) * 2 + ((-MAX_SPEED, MAX_SPEED),) * 2

    def picture(self, task: GymnaxTask, states: GymnaxState) -> Plane:
        """Return the way of the tip, the arm, and the goal."""
        angles, lengths = states.wrapped.angles, task.params.link_lengths
        links = lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        joints = np.concatenate([np.zeros_like(links[:, :1]), np.cumsum(links, axis=1)], axis=1)
        reach = 1.1 * lengths.sum()
        bounds = np.array([[-reach, reach]] * 2)
        radius = max(float(task.params.goal_radius), 0.0)
        return Plane(joints[:, -1], bounds, np.asarray(task.fields["goal_xy"]), radius, body=joints)

    def make_environment(self) -> Arm:
        """Return an arm."""
        return Arm(num_joints=2)

    def sample_params(self, key: PRNGKeyArray) -> ArmParams:
        """Draw the length of each link. The key is consumed."""
        low, high = LINK_LENGTH[self.variation]
        lengths = jax.random.uniform(key, (2,), minval=low, maxval=high)
        return ArmParams(link_lengths=lengths, goal_radius=NEVER if self.dense else TIP_RADIUS)

    def sample_fields(self, key: PRNGKeyArray, params: ArmParams) -> dict[str, Array]:
        """Draw the goal. The key is consumed."""
        angles = jax.random.uniform(key, (2,), minval=-math.pi, maxval=math.pi)
        return {"goal_xy": tip(angles, params.link_lengths)}

    def shown(self, state: Any, observation: Float[Array, " D"]) -> Float[Array, " 6"]:
        """Return gymnax's observation without the goal, its last two numbers."""
        return observation[:-2]

    def located(self, state: Any, observation: Any) -> Float[Array, " 4"]:
        """Return the angles, within [−π, π], and the speeds."""
        angles = jnp.arctan2(jnp.sin(state.angles), jnp.cos(state.angles))
        return jnp.concatenate([angles, state.angle_vels])

    def statistics(self, tasks: GymnaxTask) -> dict[str, Float[Array, " N"]]:
        """Return the length of each link and the goal's distance from the first joint."""
        lengths = {f"link_length_{i}": tasks.params.link_lengths[:, i] for i in range(2)}
        return lengths | {"goal_distance": jnp.linalg.norm(tasks.fields["goal_xy"], axis=1)}


def tip(angles: Float[Array, " 2"], lengths: Float[Array, " 2"]) -> Float[Array, " 2"]:
    """Return Σ_i l_i (cos θ_i, sin θ_i): gymnax's angles are not relative to the link before."""
    return jnp.stack([(lengths * jnp.cos(angles)).sum(), (lengths * jnp.sin(angles)).sum()])
