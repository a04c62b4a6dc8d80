"""Conformance of an object-level learner."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from rl3_jax.object_rl import ActionValues, Learner, TableSpec, Transition, learner_problems
from rl3_jax.tasks import make_family
from rl3_jax.testing.trees import at, close, differs, not_finite, require, require_configuration, signature

NUM_TASKS, NUM_STEPS = 3, 60
TABLES = {
    "short episodes": TableSpec(num_states=4, num_actions=3, episode_length=10),
    "long episodes": TableSpec(num_states=4, num_actions=3, episode_length=100),
    "bandit": TableSpec(num_states=2, num_actions=3, episode_length=1, one_shot=True),
    "few successors": TableSpec(5, 3, 10, num_successors=2, horizon=60),
    "discovered states": TableSpec(5, 3, 100, discovered=True),
    "grid": TableSpec(121, 5, 100, num_successors=5, discovered=True, grid=make_family("gridworld").grid),
    "few successors, discovered states": TableSpec(5, 3, 10, num_successors=2, discovered=True),
    "vectors": TableSpec(0, 3, 10, horizon=60, bounds=((0.0, 1.0), (0.0, 1.0))),
}
"""The kinds of tables that families have, and vectors within [0, 1]^n."""


def check_learner(learner: Learner, *specs: TableSpec) -> None:
    """Check one learner on random transitions of tasks with these tables.

    Without any, all kinds of states are taken that the learner does not refuse by `table_problems`.

    Raises:
      ConformanceError: at the first thing that a learner should do and this one does not.
    """
    who = type(learner).__name__
    for name in ("init", "update", "values"):
        defined = getattr(type(learner), name, None) not in (None, getattr(Learner, name))
        require(
            defined, f"{who} does not define {name}; every learner needs it: see rl3_jax.object_rl.Learner"
        )
    for name in ("table_problems", "dropped"):
        require(hasattr(learner, name), f"{who} has no {name}; let it inherit from rl3_jax.object_rl.Learner")
    require_configuration(learner)
    refused = {name: learner_problems(learner, spec) for name, spec in TABLES.items()}
    chosen = specs or [TABLES[name] for name, found in refused.items() if not found]
    require(chosen, f"{who}.table_problems refuses every kind of table, e.g. {next(iter(refused.values()))}")
    for spec in chosen:
        found = learner_problems(learner, spec)
        require(not found, f"{who}.table_problems refuses the table {spec}: {'; '.join(found)}")
        _check_on(learner, spec)


def _check_on(learner: Learner, spec: TableSpec) -> None:
    """Check a learner on tasks of one size."""
    who, where = type(learner).__name__, f"on {spec}"
    fresh = learner.init(spec)
    after = jax.eval_shape(partial(learner.update, spec), fresh, at(at(_random_experience(spec), 0), 0))
    require(
        signature(after) == signature(fresh),
        f"{who}.update returns a state of another type or shape than init, {where}; it goes through the steps"
        " of a trial in a loop, so let both return the same",
    )
    _check_form(who, spec, learner.values(spec, fresh, at(probed(spec), 0)))
    experience = _random_experience(spec)
    run = jax.jit(partial(_learn, learner, spec))
    final, tables = jax.vmap(run)(experience)
    odd = not_finite((fresh, final, tables))
    require(
        not odd, f"{who}: {odd} of its states or values is not finite after {NUM_STEPS} random steps, {where}"
    )
    dropped = jax.vmap(partial(learner.dropped, spec))(final)
    require(
        (dropped == 0).all(),
        f"{who}.dropped says that transitions had no room, {where}; there were no more successors than the"
        " table names",
    )
    (_check_counts if spec.num_states else _check_pseudo_counts)(who, spec, tables, experience)
    for task in range(NUM_TASKS):
        require(
            close(at((final, tables), task), run(at(experience, task)), rtol=1e-5, atol=1e-5),
            f"{who} learns something else if other tasks learn beside it under jax.vmap, {where}; let"
            " `update` depend on its own state and transition alone",
        )
    require(
        not differs(learner.init(spec), fresh),
        f"{who}.init returns another state than before, {where}; keep nothing outside the state, which is"
        " cleared between trials",
    )
    require(
        differs(at(final, 0), fresh), f"{who}.update changes nothing, {where}; return the state after a step"
    )
    require(
        differs(at(tables, 0), at(tables, 1)),
        f"{who}.values are the same after different experience, {where}; compute them from the state",
    )


def _random_experience(spec: TableSpec) -> Transition:
    """Return [NUM_TASKS, NUM_STEPS] transitions that enter the last state as an absorbing one.

    Vectors lead from one that is probed to another, the last of which ends an episode.
    """
    keys = jax.random.split(jax.random.key(0), 4)
    shape = (NUM_TASKS, NUM_STEPS)
    if not spec.num_states:
        rows = _random_experience(dataclasses.replace(spec, num_states=len(probed(spec)), grid=None))
        return dataclasses.replace(rows, s=probed(spec)[rows.s], next_s=probed(spec)[rows.next_s])
    one_step = spec.episode_length == 1
    s = jax.random.randint(keys[0], shape, 0, spec.num_states - 1)
    next_s = jax.random.randint(keys[2], shape, spec.num_states - 1 if one_step else 0, spec.num_states)
    if spec.num_successors:
        next_s = (s + 1 + next_s % spec.num_successors) % spec.num_states
    if spec.grid is not None:  # beyond the first cell and the last it stays
        columns = spec.grid.columns
        ways = jnp.array((0, -columns, 1, columns, -1))[next_s % 5]
        next_s = jnp.where((s + ways < 0) | (s + ways >= spec.num_states), s, s + ways)
    return Transition(
        s=s,
        a=jax.random.randint(keys[1], shape, 0, spec.num_actions),
        r=jax.random.normal(keys[3], shape),
        next_s=next_s,
        terminated=next_s == spec.num_states - 1,
        truncated=jnp.zeros(shape, bool),
    )


def probed(spec: TableSpec) -> Array:
    """Return the states at which values are looked at: all but the absorbing one, or some vectors."""
    if spec.num_states:
        return jnp.arange(spec.num_states - 1)
    return jax.random.uniform(jax.random.key(1), (5, len(spec.bounds)))


def _learn(learner: Learner, spec: TableSpec, experience: Transition) -> Any:
    """Return the final state and, after each step, the values of the states probed."""

    def step(state: Any, transition: Transition) -> Any:
        state = learner.update(spec, state, transition)
        return state, jax.vmap(lambda s: learner.values(spec, state, s))(probed(spec))

    return jax.lax.scan(step, learner.init(spec), experience)


def _check_form(who: str, spec: TableSpec, first: Any) -> None:
    """Values are float32 and for each action, and before any step nothing has been counted."""
    require(
        isinstance(first, ActionValues), f"{who}.values returns {type(first).__name__}; return ActionValues"
    )
    for name, values in (("q", first.q), ("counts", first.counts)):
        require(
            values.shape == (spec.num_actions,) and values.dtype == jnp.float32,
            f"{who}.values returns {name} as {values.dtype} of shape {values.shape}; return float32, one for"
            f" each of the {spec.num_actions} actions",
        )
    require(
        (first.counts == 0.0).all(),
        f"{who}.values of a fresh state has counts {first.counts}; nothing has been tried yet: return zeros",
    )


def _check_counts(who: str, spec: TableSpec, tables: ActionValues, experience: Transition) -> None:
    """Counts count how often each action was taken in each state."""
    counts = np.zeros((NUM_TASKS, spec.num_states - 1, spec.num_actions))
    tasks = np.arange(NUM_TASKS)
    s, a = np.asarray(experience.s), np.asarray(experience.a)
    for step in range(NUM_STEPS):
        counts[tasks, s[:, step], a[:, step]] += 1
        require(
            np.array_equal(tables.counts[:, step], counts),
            f"{who}.values has wrong counts after {step + 1} random steps, on {spec}; return how often each"
            " action was taken in the state, which the policy sees",
        )


def _check_pseudo_counts(who: str, spec: TableSpec, tables: ActionValues, experience: Transition) -> None:
    """Pseudo-counts are not negative, and grow by one where an action is taken."""
    tasks = np.arange(NUM_TASKS)
    counts = np.concatenate([np.zeros_like(tables.counts[:, :1]), tables.counts], axis=1)
    require((counts >= 0.0).all(), f"{who}.values has a negative pseudo-count, on {spec}; return 0 or more")
    places = np.asarray((experience.s[:, :, None] == probed(spec)).all(-1).argmax(-1))
    for step in range(NUM_STEPS):
        here = tasks, places[:, step], np.asarray(experience.a)[:, step]
        require(
            close(counts[:, step + 1][here], counts[:, step][here] + 1.0, rtol=1e-4, atol=1e-4),
            f"{who}.values has a pseudo-count that did not grow by 1 where its action was taken, in step"
            f" {step + 1} on {spec}; count a visit as 1 where it was, and as less further away",
        )
