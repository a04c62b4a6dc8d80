"""Which steps a novelty bonus pays for."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


def first_visits(
    states: Int[Array, " H"], next_states: Int[Array, " H"], num_states: int
) -> Bool[Array, " H"]:
    """Return whether each step of a trial entered a state for the first time, which a bonus may pay for.

    The states in which steps are taken count as visited, too: those in which episodes start.
    """
    horizon = states.shape[0]
    # Step t is taken in its state at time 2t, and enters the next one at time 2t + 1.
    times = 2 * jnp.arange(horizon)
    earliest = jnp.full(num_states, 2 * horizon).at[states].min(times).at[next_states].min(times + 1)
    return earliest[next_states] == times + 1
