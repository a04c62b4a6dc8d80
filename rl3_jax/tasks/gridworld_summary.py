"""What a gridworld says of a trial (design, section 4)."""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from rl3_jax.tasks.base import Step
from rl3_jax.tasks.gridworld_layout import DANGER, GOAL

SUMMARY = ("found", "goals", "dangers", "first_goal_step", "still")
"""Names of the numbers."""


def summarise_steps(tiles: Int[Array, " S"], steps: Step) -> dict[str, Float[Array, ""]]:
    """Return the numbers that sum up one trial, named in `SUMMARY`.

    Args:
      tiles: [S] code of each cell's tile.
      steps: each field [H, …], of the H steps of the trial.
    """
    cell, next_cell = steps.state.index, steps.next_state.index
    entered = tiles[next_cell]
    at_goal, in_danger = entered == GOAL, entered == DANGER
    goes_on = ~(steps.terminated | steps.truncated)
    stayed = (next_cell == cell) & goes_on
    return {
        "found": at_goal.any().astype(jnp.float32),
        "goals": at_goal.sum().astype(jnp.float32),
        "dangers": in_danger.sum().astype(jnp.float32),
        "first_goal_step": jnp.where(at_goal.any(), at_goal.argmax() + 1.0, jnp.nan),
        "still": stayed.sum() / goes_on.sum(),  # 0 / 0 is NaN: no step went on
    }
