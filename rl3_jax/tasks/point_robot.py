"""A point that must find its goal on a circle (Dorfman et al. 2021; Finn et al. 2017)."""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments.misc.point_robot import EnvParams, EnvState, PointRobot
from jaxtyping import Array, Float, PRNGKeyArray

from rl3_jax.bins import Bounds
from rl3_jax.picture import Plane
from rl3_jax.tasks.gymnax_tasks import GymnaxState, GymnaxTask, GymnaxTasks

NEVER = -1.0
"""A `goal_radius` that no distance is within."""
EXTENT = 1.375
"""The tiles cover [−EXTENT, EXTENT]²; the start is the centre of the middle one."""


@dataclasses.dataclass(frozen=True)
class PointRobots(GymnaxTasks):
    """gymnax's point in the plane, whose goal lies on the unit circle.

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

    variation: str = "semicircle"
    steps: int = 25
    action_bins: tuple[int, ...] = (3, 3)
    dense: bool = True

    @property
    def coordinate_bounds(self) -> Bounds:
        """A square about the circle; what leaves it counts as the nearest tile."""
        return ((-EXTENT, EXTENT), (-EXTENT, EXTENT))

    @property
    def tiles(self) -> tuple[int, ...]:
        """Tiles of side 0.25."""
        return (11, 11)

    @property
    def num_successors(self) -> int:
        """A tile, its eight neighbours and the start."""
        return 10

    def picture(self, task: GymnaxTask, states: GymnaxState) -> Plane:
        """Return the way in the plane, the goal, and actions three times as long as they are."""
        position = states.wrapped.pos
        low, high = np.array(self.coordinate_bounds).T
        bounds = np.stack([np.minimum(low, position.min(0)), np.maximum(high, position.max(0))], axis=1)
        radius = max(float(task.params.goal_radius), 0.0)
        return Plane(position, bounds, np.asarray(task.fields["goal"]), radius, arrow_length=3.0)

    def make_environment(self) -> PointRobot:
        """Return gymnax's environment."""
        return PointRobot()

    def sample_params(self, key: PRNGKeyArray) -> EnvParams:
        """Return the same params for each task. The key is not used."""
        radius = NEVER if self.dense else EnvParams.goal_radius
        return EnvParams(dense_reward=self.dense, goal_radius=radius, center_init=True)

    def sample_fields(self, key: PRNGKeyArray, params: EnvParams) -> dict[str, Array]:
        """Draw the angle of the goal. The key is consumed."""
        least = -math.pi if self.variation == "circle" else 0.0
        angle = jax.random.uniform(key, minval=least, maxval=math.pi)
        return {"goal": params.circle_radius * jnp.stack([jnp.cos(angle), jnp.sin(angle)])}

    def shown(self, state: EnvState, observation: Any) -> Float[Array, " 2"]:
        """Return the position."""
        return state.pos
