"""A task family of your own: corridors with a hidden treasure.

    cd examples
    rl3 train corridor-quick --plugin own_family
    rl3 evaluate runs/corridor-quick-rl3-markov-seed0 --plugin own_family

An agent stands in the middle of a corridor, with a treasure on one side of it that it cannot see. Finding it
pays 1 and ends the episode. It lies in the same cell for a whole trial: the first episode is for searching.
"""

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

import rl3_jax
from rl3_jax.constraints import Count
from rl3_jax.picture import FREE, GOAL, Tiles
from rl3_jax.tasks import Action, TabularFamily, TabularState, Task
from rl3_jax.trial import Behaviour, TrialEnv, TrialState


@struct.dataclass
class CorridorTask(Task):
    """One corridor.

    Attributes:
      treasure: [] cell of the treasure.
      max_steps_in_episode: the episode length.
    """

    treasure: Int[Array, ""] = struct.field(default=None)  # gymnax's field has a default


@struct.dataclass
class ToTheTreasure(Behaviour):
    """The optimum: goes straight to the treasure, which it knows."""

    def act(self, env: TrialEnv, memory: Any, state: TrialState, observation: Array, key: PRNGKeyArray):
        """Return the way to the treasure."""
        task: Any = state.task
        return memory, (task.treasure > state.inner.s).astype(jnp.int32)


@rl3_jax.register
@dataclasses.dataclass(frozen=True)
class Corridor(TabularFamily[CorridorTask]):
    """Corridors of 2·reach + 1 cells in which one starts in the middle, and goes left (0) or right (1).

    Attributes:
      reach: cells on either side of the middle.
      steps: episode length.
    """

    family: ClassVar[str] = "corridor"
    variations: ClassVar[tuple[str, ...]] = ("default", "far")
    summary_names: ClassVar[tuple[str, ...]] = ("found",)
    progress_names: ClassVar[tuple[str, ...]] = ("found",)
    action_names: ClassVar[tuple[str, ...]] = ("left", "right")
    num_successors: ClassVar[int] = 3  # a cell and its neighbours: a small number makes planning fast
    baselines: ClassVar[dict[str, Any]] = {"clairvoyant": ToTheTreasure()}

    reach: Count = 10
    steps: Count = 40

    @property
    def num_states(self) -> int:
        """Number of cells."""
        return 2 * self.reach + 1

    @property
    def num_actions(self) -> int:
        """Left and right."""
        return 2

    @property
    def start_state(self) -> int:
        """The middle."""
        return self.reach

    @property
    def episode_length(self) -> int:
        """Steps after which an episode is truncated."""
        return self.steps

    def sample_task(self, key: PRNGKeyArray) -> CorridorTask:
        """Draw side and distance of the treasure, the largest distance in variation `far`."""
        key_side, key_distance = jax.random.split(key)
        nearest = self.reach if self.variation == "far" else 1
        distance = jax.random.randint(key_distance, (), nearest, self.reach + 1)
        side = jax.random.rademacher(key_side, (), jnp.int32)
        return CorridorTask(treasure=self.reach + side * distance, max_steps_in_episode=self.steps)

    def is_terminated(self, state: TabularState, params: CorridorTask) -> Bool[Array, ""]:
        """Whether the treasure is found."""
        return state.s == params.treasure

    def step_env(self, key: PRNGKeyArray, state: TabularState, action: Action, params: CorridorTask) -> Any:
        """Take a step to the left or right, but not through the ends."""
        next_s = jnp.clip(state.s + 2 * jnp.asarray(action, jnp.int32) - 1, 0, self.num_states - 1)
        return self.arrive(state, next_s, (next_s == params.treasure).astype(jnp.float32), params)

    def picture(self, task: CorridorTask, states: TabularState) -> Tiles:
        """Return the corridor, with the treasure that the agent cannot see, for `rl3 watch`."""
        codes = np.zeros((1, self.num_states), int)
        codes[0, task.treasure] = 1
        return Tiles(codes, (FREE, GOAL))

    def summarise_trial(self, task: CorridorTask, steps: Any) -> dict[str, Float[Array, ""]]:
        """Return whether the treasure was found at all."""
        return {"found": steps.terminated.any().astype(jnp.float32)}


# A long view, and pay for new cells in training: without both, agents learn to search on one side alone.
rl3_jax.PRESETS["corridor-quick"] = rl3_jax.make_config(
    "mdp-h100-quick", task=Corridor(), iterations=150, ppo={"gae_lambda": 0.97, "novelty_bonus": 1.0}
)
