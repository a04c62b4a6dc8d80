"""An arm of two links of unknown lengths that must reach an unknown point."""

import dataclasses
import math
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments.misc import reacher
from jaxtyping import Array, Float, PRNGKeyArray

from rl3_jax.bins import Bounds
from rl3_jax.picture import Plane
from rl3_jax.tasks.gymnax_tasks import GymnaxState, GymnaxTask, GymnaxTasks

LINK_LENGTH = {"default": (0.5, 1.5), "long": (1.5, 2.0)}
"""Bounds of the uniform draw of each link's length; gymnax's links have length 1."""
NUM_JOINTS = 2
MAX_SPEED = 2.0
"""What turns faster counts as the outermost tile; starts turn with up to 1."""


@struct.dataclass
class ArmParams(reacher.EnvParams):
    """Params of an arm: gymnax's, and the length of each link.

    Attributes:
      link_lengths: [n] length of each link.
    """

    link_lengths: Float[Array, " n"] = struct.field(default=None)  # gymnax's fields have defaults


class Arm(reacher.Reacher):
    """gymnax's reacher, with the lengths of its links in the params."""

    @property
    def default_params(self) -> ArmParams:
        """Links of length 1."""
        return ArmParams(link_lengths=jnp.ones(self.num_joints))

    def step_env(self, key: PRNGKeyArray, state: Any, action: Any, params: Any) -> Any:
        """Move as gymnax does, and pay exp(−|x − goal|²) with x the tip. The key is not used."""
        observation, state, _, terminated, info = super().step_env(key, state, action, params)
        reward = jnp.exp(-((tip(state.angles, params.link_lengths) - state.goal_xy) ** 2).sum())
        return observation, state, reward, terminated, info


@dataclasses.dataclass(frozen=True)
class Reachers(GymnaxTasks):
    """gymnax's Reacher with two links of unknown length and a goal within their reach.

    Torques of [−1, 1]² accelerate the joints; the reward is exp(−|tip − goal|²) after the step. Episodes
    start at random angles and speeds and only run out. Each length ~ U(0.5, 1.5), or U(1.5, 2) in the
    variation `long`; the goal is where the tip is at uniformly drawn angles. The policy sees cosine, sine and
    speed of each joint, not the goal, which gymnax's observation has.
    """

    family: ClassVar[str] = "reacher"
    variations: ClassVar[tuple[str, ...]] = tuple(LINK_LENGTH)
    task_fields: ClassVar[tuple[str, ...]] = ("goal_xy",)
    action_names: ClassVar[tuple[str, ...]] = ("joint 1", "joint 2")

    action_bins: tuple[int, ...] = (3, 3)

    @property
    def coordinate_bounds(self) -> Bounds:
        """Two angles and two speeds."""
        return ((-math.pi, math.pi),) * NUM_JOINTS + ((-MAX_SPEED, MAX_SPEED),) * NUM_JOINTS

    @property
    def tiles(self) -> tuple[int, ...]:
        """Six sectors and three speeds a joint."""
        return (6,) * NUM_JOINTS + (3,) * NUM_JOINTS

    @property
    def num_successors(self) -> int:
        """A step leads at most to the next tile in each coordinate; of those 81, few are met in a trial."""
        return 16

    def picture(self, task: GymnaxTask, states: GymnaxState) -> Plane:
        """Return the way of the tip, the arm, and the goal."""
        angles, lengths = states.wrapped.angles, task.params.link_lengths
        links = lengths[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        joints = np.concatenate([np.zeros_like(links[:, :1]), np.cumsum(links, axis=1)], axis=1)
        reach = 1.1 * lengths.sum()
        bounds = np.array([[-reach, reach]] * 2)
        return Plane(joints[:, -1], bounds, np.asarray(task.fields["goal_xy"]), body=joints)

    def make_environment(self) -> Arm:
        """Return an arm."""
        return Arm(num_joints=NUM_JOINTS)

    def sample_params(self, key: PRNGKeyArray) -> ArmParams:
        """Draw the length of each link. The key is consumed."""
        low, high = LINK_LENGTH[self.variation]
        lengths = jax.random.uniform(key, (NUM_JOINTS,), minval=low, maxval=high)
        return ArmParams(link_lengths=lengths)

    def sample_fields(self, key: PRNGKeyArray, params: ArmParams) -> dict[str, Array]:
        """Draw the goal. The key is consumed."""
        angles = jax.random.uniform(key, (NUM_JOINTS,), minval=-math.pi, maxval=math.pi)
        return {"goal_xy": tip(angles, params.link_lengths)}

    def shown(self, state: Any, observation: Float[Array, " D"]) -> Float[Array, " n"]:
        """Return gymnax's observation without the goal, its last two numbers."""
        return observation[:-2]

    def located(self, state: Any, observation: Any) -> Float[Array, " n"]:
        """Return the angles, within [−π, π], and the speeds."""
        angles = jnp.arctan2(jnp.sin(state.angles), jnp.cos(state.angles))
        return jnp.concatenate([angles, state.angle_vels])

    def statistics(self, tasks: GymnaxTask) -> dict[str, Float[Array, " N"]]:
        """Return the length of each link and the goal's distance from the first joint."""
        lengths = {f"link_length_{i}": tasks.params.link_lengths[:, i] for i in range(NUM_JOINTS)}
        return lengths | {"goal_distance": jnp.linalg.norm(tasks.fields["goal_xy"], axis=1)}


def tip(angles: Float[Array, " n"], lengths: Float[Array, " n"]) -> Float[Array, " 2"]:
    """Return Σ_i l_i (cos θ_i, sin θ_i): gymnax's angles are not relative to the link before."""
    return jnp.stack([(lengths * jnp.cos(angles)).sum(), (lengths * jnp.sin(angles)).sum()])
