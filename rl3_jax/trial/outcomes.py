"""What the steps of a task came to, as few numbers: a loop over steps stores them in one operation."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from rl3_jax.tasks import ConcreteState, Step, TaskFamily
from rl3_jax.trial.env import TrialState
from rl3_jax.trial.rollouts import Moment

Outcome = tuple[ConcreteState, ConcreteState, Float[Array, "*steps"]]
"""The state that a step led to, the one in which the trial went on, and how the episode ended, if it did.

The state before a step is not among them: it is the one in which the trial went on from the step before.
"""
_TRUNCATED, _TERMINATED = 1.0, 2.0
"""How an episode ended; 0 where it goes on."""
_EXACT = 2**24
"""Whole numbers up to this are float32."""


def number_type(family: TaskFamily) -> Callable[[Any], Array]:
    """Return what makes float32 of all that is stored; of a larger table each number keeps its type."""
    return jnp.float32 if family.num_states <= _EXACT else jnp.asarray


def outcome(family: TaskFamily, now: Moment) -> Outcome:
    """Return what a step of one trial came to.

    An episode has ended where the time of the next is 0 (`check_family` holds families to that). To ask
    `now.step.truncated` would need the time before the step, of which XLA then makes a copy.
    """
    inner = now.after.inner
    ended = jnp.where(now.step.terminated, _TERMINATED, jnp.where(inner.time == 0, _TRUNCATED, 0.0))
    return now.step.next_state, family.concrete(inner, now.after.task), ended


def steps_of(family: TaskFamily, first: TrialState, rewards: Float[Array, "B H"], outcomes: Outcome) -> Step:
    """Return the steps [B, H] of whole trials, given the trials' first states.

    States get the types back that the family gives them.
    """
    entered, on, ended = outcomes
    start = jax.vmap(family.concrete)(first.inner, first.task)
    entered, on = (jax.tree.map(lambda x, like: x.astype(like.dtype), kind, start) for kind in (entered, on))
    before = jax.tree.map(lambda x, after: jnp.concatenate([x[:, None], after[:, :-1]], 1), start, on)
    return Step(before, entered, rewards, terminated=ended == _TERMINATED, truncated=ended == _TRUNCATED)
