"""Classic control with unknown physical constants: what its families share, a cart's pole, and a pendulum."""

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments.classic_control import cartpole, pendulum
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from rl3_jax.bins import Bounds
from rl3_jax.lean_gymnax import spaces
from rl3_jax.picture import Plane
from rl3_jax.tasks.base import Action, Step
from rl3_jax.tasks.gymnax_tasks import GymnaxState, GymnaxTask, GymnaxTasks

FALL_COST = 20.0
"""What a fall of the pole, or of the cart off its track, costs."""
UPRIGHT = math.pi / 6
"""A pendulum within this angle of the top counts as upright."""


@struct.dataclass
class ControlTask(GymnaxTask):
    """One task of classic control: `direction` is 1, or −1 where each action does the opposite."""

    direction: Float[Array, ""] = struct.field(default=None)  # gymnax's field has a default


@dataclasses.dataclass(frozen=True)
class ClassicControl(GymnaxTasks):
    """A gymnax environment whose physical constants are the task, and whose actions may be turned round.

    The constants are params of the environment, each drawn uniformly. In half of the tasks all actions are
    turned round, a → A − 1 − a or a → −a, so that no way of acting serves all tasks.
    """

    constants: ClassVar[Mapping[str, Mapping[str, tuple[float, float]]]]
    """Bounds of the constants by variation, the base one first, and name."""
    scales: ClassVar[tuple[float, ...]]
    """What the policy sees is gymnax's observation divided by these, which brings each number near 1."""

    def sample_params(self, key: PRNGKeyArray) -> Any:
        """Draw the constants. The key is consumed."""
        bounds = self.constants[self.variation]
        low, high = jnp.array(list(bounds.values())).T
        drawn = jax.random.uniform(key, low.shape, minval=low, maxval=high)
        return self.with_constants(dict(zip(bounds, drawn, strict=True)))

    def with_constants(self, drawn: dict[str, Array]) -> Any:
        """Return the environment's params with these constants, and what depends on them."""
        return dataclasses.replace(self.environment.default_params, **drawn)

    def sample_task(self, key: PRNGKeyArray) -> ControlTask:
        """Draw constants and direction. The key is consumed."""
        key_direction, key_constants = jax.random.split(key)
        task = super().sample_task(key_constants)
        direction = jax.random.rademacher(key_direction, (), jnp.float32)
        return ControlTask(task.max_steps_in_episode, task.params, task.fields, direction)

    def shown(self, state: Any, observation: Float[Array, " n"]) -> Float[Array, " n"]:
        """Return gymnax's observation, scaled."""
        return observation / jnp.array(self.scales)

    def located(self, state: Any, observation: Float[Array, " n"]) -> Float[Array, "..."]:
        """Return gymnax's observation."""
        return observation

    def paid(
        self, params: Any, before: Any, after: Any, reward: Float[Array, ""], terminated: Bool[Array, ""]
    ) -> Float[Array, ""]:
        """Return what a step pays, given gymnax's states before and after it and its reward: the latter."""
        return reward

    def step_env(
        self, key: PRNGKeyArray, state: GymnaxState, action: Action, params: GymnaxTask
    ) -> tuple[Array, GymnaxState, Float[Array, ""], Bool[Array, ""], dict[str, Any]]:
        """Step the environment with the action, turned round where the task says so. The key is consumed."""
        assert isinstance(params, ControlTask)
        action, positive = jnp.asarray(action), params.direction > 0.0
        space = self.action_space()
        opposite = space.n - 1 - action if isinstance(space, spaces.Discrete) else -action
        turned = jnp.where(positive, action, opposite)
        observation, after, reward, terminated, info = super().step_env(key, state, turned, params)
        reward = self.paid(params.params, state.wrapped, after.wrapped, reward, terminated)
        return observation, after, reward.astype(jnp.float32), terminated, info

    @property
    def trial_length(self) -> int:
        """Long enough to act on what was learnt about the task."""
        return 200

    def statistics(self, tasks: GymnaxTask) -> dict[str, Float[Array, " N"]]:
        """Return the constants and the direction."""
        assert isinstance(tasks, ControlTask)
        constants = {name: getattr(tasks.params, name) for name in self.constants[self.variation]}
        return constants | {"direction": tasks.direction}


@dataclasses.dataclass(frozen=True)
class CartPoles(ClassicControl):
    """gymnax's CartPole with a pole of unknown length, unknown gravity, and a motor of unknown force.

    Two actions push the cart to either side; which one to which is unknown. A step pays 1, less 20 if the
    pole falls (by 12°) or the cart leaves its track, so that a trial of H steps earns H − 20 · falls. gymnax
    pays 1 for each step: where another episode follows each fall, all trials would earn H, whatever is done.
    The policy sees position and speed of the cart, angle and angular speed of the pole. Variations:

    - `default`: half of the pole's length ~ U(0.25, 1), gravity ~ U(5, 15), force ~ U(5, 15); gymnax's are
      0.5, 9.8 and 10;
    - `ood`: shorter poles, U(0.15, 0.25), and a larger gravity, U(15, 20): random actions fall twice as
      often.
    """

    family: ClassVar[str] = "cart-pole"
    constants: ClassVar[Mapping[str, Mapping[str, tuple[float, float]]]] = MappingProxyType(
        {
            "default": {"length": (0.25, 1.0), "gravity": (5.0, 15.0), "force_mag": (5.0, 15.0)},
            "ood": {"length": (0.15, 0.25), "gravity": (15.0, 20.0), "force_mag": (5.0, 15.0)},
        }
    )
    variations: ClassVar[tuple[str, ...]] = tuple(constants)
    scales: ClassVar[tuple[float, ...]] = (2.4, 1.5, 0.2, 2.0)
    action_names: ClassVar[tuple[str, ...]] = ("−", "+")
    observation_names: ClassVar[tuple[str, ...]] = ("position", "speed", "angle", "angular speed")
    summary_names: ClassVar[tuple[str, ...]] = ("falls", "longest_episode")
    progress_names: ClassVar[tuple[str, ...]] = ("falls",)
    tiles: ClassVar[tuple[int, ...]] = (1, 1, 4, 4)
    """Of the pole alone, and so few that a trial fills them; more earned less (docs/measurements.md)."""
    num_successors: ClassVar[int] = 16

    steps: int = 200

    @property
    def coordinate_bounds(self) -> Bounds:
        """Where an episode ends, and speeds that are seldom exceeded."""
        angle = math.radians(12.0)
        return ((-2.4, 2.4), (-1.5, 1.5), (-angle, angle), (-2.6, 2.6))

    def make_environment(self) -> cartpole.CartPole:
        """Return gymnax's environment."""
        return cartpole.CartPole()

    def with_constants(self, drawn: dict[str, Array]) -> cartpole.EnvParams:
        """Return params with these constants and with the product of the pole's mass and length."""
        params = super().with_constants(drawn)
        return dataclasses.replace(params, polemass_length=params.masspole * params.length)

    def paid(
        self, params: Any, before: Any, after: Any, reward: Float[Array, ""], terminated: Bool[Array, ""]
    ) -> Float[Array, ""]:
        """Return 1, less the cost of a fall."""
        return 1.0 - FALL_COST * terminated

    def summarise_trial(self, task: GymnaxTask, steps: Step) -> dict[str, Float[Array, ""]]:
        """Return how often the pole fell, and the steps of the longest episode, also of one cut short."""
        ends = steps.terminated | steps.truncated
        time = jnp.arange(1, len(ends) + 1)
        start = jax.lax.cummax(jnp.where(ends, time, 0))
        longest = (time - jnp.concatenate([jnp.zeros(1, start.dtype), start[:-1]])).max()
        falls = steps.terminated.sum()
        return {"falls": falls.astype(jnp.float32), "longest_episode": longest.astype(jnp.float32)}

    def picture(self, task: GymnaxTask, states: GymnaxState) -> Plane:
        """Return the cart, its pole, and the way of the pole's tip."""
        x, angle, length = states.wrapped.x, states.wrapped.theta, 2.0 * float(task.params.length)
        tip = np.stack([x + length * np.sin(angle), length * np.cos(angle)], axis=-1)
        cart = [np.stack([x + side, np.zeros_like(x)], axis=-1) for side in (-0.25, 0.25, 0.0)]
        bounds = np.array([[-2.6, 2.6], [-0.4, length + 0.4]])
        return Plane(tip, bounds, body=np.stack([*cart, tip], axis=1), names=("x", "height"))


@dataclasses.dataclass(frozen=True)
class Pendulums(ClassicControl):
    """gymnax's Pendulum of unknown mass and length, in an unknown gravity: to swing up, and to hold.

    The action is a torque in [−2, 2], too weak to lift the pendulum at once; to which side it turns is
    unknown. A step pays −(θ² + 0.1 θ'² + 0.001 u²), with θ the angle from the top, before the step. Episodes
    start at random angles and speeds and only run out. The policy sees cosine and sine of θ, and θ'.
    Variations:

    - `default`: mass and length ~ U(0.75, 1.25), gravity ~ U(8, 12); gymnax's are 1, 1 and 10;
    - `ood`: longer, U(1.25, 1.5), with the same masses and gravity.
    """

    family: ClassVar[str] = "pendulum"
    constants: ClassVar[Mapping[str, Mapping[str, tuple[float, float]]]] = MappingProxyType(
        {
            "default": {"m": (0.75, 1.25), "l": (0.75, 1.25), "g": (8.0, 12.0)},
            "ood": {"m": (0.75, 1.25), "l": (1.25, 1.5), "g": (8.0, 12.0)},
        }
    )
    variations: ClassVar[tuple[str, ...]] = tuple(constants)
    value_scale: ClassVar[float] = 50.0
    scales: ClassVar[tuple[float, ...]] = (1.0, 1.0, 4.0)
    action_names: ClassVar[tuple[str, ...]] = ("torque",)
    observation_names: ClassVar[tuple[str, ...]] = ("cosine", "sine", "angular speed")
    summary_names: ClassVar[tuple[str, ...]] = ("upright",)
    progress_names: ClassVar[tuple[str, ...]] = ("upright",)
    tiles: ClassVar[tuple[int, ...]] = (15, 9)  # odd, so that the top is the centre of a tile
    num_successors: ClassVar[int] = 16

    steps: int = 100
    action_bins: tuple[int, ...] = (3,)

    @property
    def coordinate_bounds(self) -> Bounds:
        """The angle, and gymnax's largest speed."""
        return ((-math.pi, math.pi), (-8.0, 8.0))

    def make_environment(self) -> pendulum.Pendulum:
        """Return gymnax's environment."""
        return pendulum.Pendulum()

    def located(self, state: pendulum.EnvState, observation: Any) -> Float[Array, " 2"]:
        """Return the angle from the top, within [−π, π], and the speed."""
        return jnp.stack([pendulum.angle_normalize(state.theta), state.theta_dot])

    def summarise_trial(self, task: GymnaxTask, steps: Step) -> dict[str, Float[Array, ""]]:
        """Return the share of the steps that led to within 30° of the top."""
        coordinates = steps.next_state.coordinates
        assert coordinates is not None
        return {"upright": (jnp.abs(coordinates[:, 0]) < UPRIGHT).mean()}

    def picture(self, task: GymnaxTask, states: GymnaxState) -> Plane:
        """Return the pendulum, the way of its tip, and the top."""
        angle, length = states.wrapped.theta, float(task.params.l)
        tip = length * np.stack([np.sin(angle), np.cos(angle)], axis=-1)
        body = np.stack([np.zeros_like(tip), tip], axis=1)
        return Plane(tip, np.array([[-1.2 * length, 1.2 * length]] * 2), np.array([0.0, length]), body=body)
