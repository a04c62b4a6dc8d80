"""Random steps of a few tasks, and what is wrong with their numbers."""

import contextlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments import spaces
from jaxtyping import Array, PRNGKeyArray

from rl3_jax.tasks.base import ConcreteState, TaskFamily

NUM_TASKS, NUM_STEPS = 16, 200
"""Tasks that are drawn, and random steps that are taken with each."""
FAST: dict[str, Any] = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_use_fusion_emitters": False,
    "xla_cpu_parallel_codegen_split_count": 1,
}
"""Options with which XLA compiles such a walk in an eighth of the time, on a CPU (docs/measurements.md)."""


class Walk(NamedTuple):
    """Random steps [N, T] with N tasks: what was done, shown and paid, and where episodes may start.

    Of an observation there is its first number that is not finite, or else its first.
    """

    start: ConcreteState
    start_shown: Array
    before: ConcreteState
    action: Array
    table_action: Array
    after: ConcreteState
    shown: Array
    reward: Array


def random_walk(family: TaskFamily, key: PRNGKeyArray) -> Walk:
    """Take NUM_STEPS random steps with each of NUM_TASKS tasks. The key is consumed.

    The i-th of N tasks repeats its last action with probability i/(N − 1), so that some walks stay about the
    start, and others go one way to the end. Episodes begin anew where they end.
    """

    def walk(key: PRNGKeyArray, hold: Array) -> Walk:
        key_task, key_first, key_action, key_steps = jax.random.split(key, 4)
        task, space = family.sample_task(key_task), family.action_space()

        def step(carry: Any, key: PRNGKeyArray) -> Any:
            state, last = carry
            key_hold, key_action, key_step, key_reset = jax.random.split(key, 4)
            action = jnp.where(jax.random.bernoulli(key_hold, hold), last, space.sample(key_action))
            observation, entered, reward, terminated, _ = family.step_env(key_step, state, action, task)
            first, fresh = family.reset_env(key_reset, task)
            start, before, after = (family.concrete(at, task) for at in (fresh, state, entered))
            counts_as = family.table_action(action)
            seen = Walk(start, _odd(first), before, action, counts_as, after, _odd(observation), reward)
            ended = terminated | family.is_truncated(entered, task)
            now = jax.tree.map(lambda new, old: jnp.where(ended, new, old), fresh, entered)
            return (now, action), seen

        carry = (family.reset_env(key_first, task)[1], space.sample(key_action))
        return jax.lax.scan(step, carry, jax.random.split(key_steps, NUM_STEPS))[1]

    return jax.vmap(walk)(jax.random.split(key, NUM_TASKS), jnp.linspace(0.0, 1.0, NUM_TASKS))


def _odd(observation: Array) -> Array:
    numbers = observation.ravel()
    return numbers[jnp.argmin(jnp.isfinite(numbers))]


def _run(family: TaskFamily) -> Any:
    """Return a random walk, compiled fast instead of well: on a CPU if there is one."""
    with contextlib.ExitStack() as stack:
        if "cpu" in (getattr(jax.config, "jax_platforms", None) or "cpu"):
            stack.enter_context(jax.default_device(jax.local_devices(backend="cpu")[0]))
        lowered = jax.jit(random_walk, static_argnums=0).lower(family, key := jax.random.key(0))
        try:
            compiled = lowered.compile(compiler_options=FAST)
        except (
            jax.errors.JaxRuntimeError
        ):  # of a version of XLA, or a platform, that lacks one of the options
            compiled = lowered.compile()
        return jax.tree.map(np.asarray, compiled(key))


def number_problems(family: TaskFamily) -> list[str]:
    """Return a message for each kind of number that random steps show and a trial cannot take."""
    walk, who = _run(family), type(family).__name__
    found = _range_problems(family, walk)
    known = bool(found)
    for name, shown, at in (
        ("reset_env", walk.start_shown, walk.start),
        ("step_env", walk.shown, walk.after),
    ):
        found += _shown_problems(family, name, shown, known)
        if at.coordinates is not None and not np.isfinite(at.coordinates).all():
            found.append(
                f"{who}.concrete returns coordinates that are not finite, of a state of {name}; return finite"
                " numbers that say where it lies"
            )
    if not (finite := np.isfinite(walk.reward)).all():
        found.append(
            f"{who}.step_env pays {walk.reward[~finite][0]}; return finite rewards, as returns are sums of"
            " them"
        )
    if not (fits := _inside(walk.table_action, family.num_actions)).all():
        found.append(
            f"{who}.table_action returns {walk.table_action[~fits][0]}, but num_actions is"
            f" {family.num_actions}, so that actions are 0 to {family.num_actions - 1}; let one fit the other"
        )
    return list(dict.fromkeys(found))


def _inside(numbers: np.ndarray, count: int) -> np.ndarray:
    return (numbers >= 0) & (numbers < count)


def _range_problems(family: TaskFamily, walk: Any) -> list[str]:
    """Return a message for each function that leads to a state that is not in the table."""
    found, last = [], family.num_states - 1
    for name, at in (("reset_env", walk.start), ("step_env", walk.after)):
        if at.index is None or (fits := _inside(at.index, family.num_states)).all():
            continue
        place = tuple(np.argwhere(~fits)[0])
        how = ""
        if name == "step_env":
            how = f", with action {walk.action[place]} in state {walk.before.index[place]}"
        found.append(
            f"{type(family).__name__}.{name} leads to state {at.index[place]}{how}; but num_states is"
            f" {family.num_states}, so that states are 0 to {last}: keep them in this range, or let"
            " num_states be larger"
        )
    return found


def _shown_problems(family: TaskFamily, name: str, shown: np.ndarray, known: bool) -> list[str]:
    """Return a message if an observation is not finite or, unless states are known to be, out of range."""
    what, space = f"{type(family).__name__}.{name} returns an observation", family.observation_space()
    if not (finite := np.isfinite(shown)).all():
        return [
            f"{what} with {shown[~finite][0]} in it; networks read finite numbers only: look for a division"
            " by 0, or a logarithm or root of a number below 0"
        ]
    if known or not isinstance(space, spaces.Discrete) or (fits := _inside(shown, space.n)).all():
        return []
    return [
        f"{what} of {shown[~fits][0]}, but observation_space has the integers 0 to {space.n - 1}; let one fit"
        " the other"
    ]
