"""Conformance of a task family."""

from functools import partial
from typing import Any

import jax
import numpy as np
from gymnax.environments import spaces

from rl3_jax.tasks import FAMILIES, UNLIMITED, TaskFamily, family_problems, make_family
from rl3_jax.testing.claims import check_exchangeable, check_gymnax_step, check_mean_reward, check_summary
from rl3_jax.testing.trees import at, close, differs, not_finite, require, require_configuration, signature

NUM_TASKS = 4
MANY_TASKS = 16
"""Tasks of which two at least should differ."""
ENDLESS = 40
"""Steps that are taken of an episode without end."""


def check_family(family: TaskFamily) -> None:
    """Check one variation of a family: its tasks, their steps, its summary, and gymnax's own `step`.

    Raises:
      ConformanceError: at the first thing that a family should do and this one does not.
    """
    who = type(family).__name__
    require(isinstance(family, TaskFamily), f"{who} is no task family; let it be a subclass of TaskFamily")
    require_configuration(family)
    found = family_problems(family)
    require(not found, "\n".join(found))
    require(
        FAMILIES.get(family.family) is type(family),
        f"{who} is not known by its name {family.family!r}, which run folders and agents note; put"
        " @rl3_jax.register above the class",
    )
    require(
        family.name == f"{family.family}-{family.variation}",
        f"{who}.name is {family.name!r}; results are told apart by it, so leave it as TaskFamily has it",
    )
    tasks = _check_tasks(family)
    _check_spaces(family, at(tasks, 0))
    many = _check_steps(family, tasks)
    _check_table(family, tasks, many)
    check_summary(family, tasks, many)
    if family.exchangeable_actions:
        check_exchangeable(family)
    if family.knows_mean_reward:
        check_mean_reward(family, at(tasks, 0))
    check_gymnax_step(family, at(tasks, 1), ENDLESS)


def check_variations_differ(name: str) -> None:
    """Check that the variations of a registered family are different distributions, the base one first."""
    tasks = {
        variation: jax.jit(make_family(name, variation=variation).sample_task)(jax.random.key(0))
        for variation in FAMILIES[name].variations
    }
    (base, first), *others = tasks.items()
    for variation, task in others:
        require(
            differs(first, task),
            f"{FAMILIES[name].__name__}: variations {base!r} and {variation!r} draw the same task of the same"
            " key, so that evaluation out of distribution would be in it; let sample_task look at"
            " self.variation, or name one of them only",
        )
    require(
        make_family(name).variation == base,
        f"{FAMILIES[name].__name__}: the default of variation is {make_family(name).variation!r}; it must be"
        f" the first of variations, {base!r}, on which one trains",
    )


def _check_tasks(family: TaskFamily) -> Any:
    """Tasks are finite, differ with the key, and depend on nothing else; returns some."""
    who, sample = type(family).__name__, jax.jit(jax.vmap(family.sample_task))
    tasks, again = (sample(jax.random.split(jax.random.key(0), MANY_TASKS)) for _ in range(2))
    odd = not_finite(tasks)
    require(not odd, f"{who}.sample_task draws a task whose {odd} is not finite; draw finite numbers")
    require(
        any(differs(at(tasks, 0), at(tasks, i)) for i in range(1, MANY_TASKS)),
        f"{who}.sample_task draws the same task for {MANY_TASKS} keys; there is nothing to learn about it:"
        " draw what the policy does not know from the key, or name the field of the state that is it",
    )
    require(
        not differs(tasks, again),
        f"{who}.sample_task draws other tasks of the same keys; held-out tasks would change from one"
        " evaluation to the next: let all that is random come from the key",
    )
    length = family.episode_length or UNLIMITED
    require(
        (np.asarray(tasks.max_steps_in_episode) == length).all(),
        f"{who}.sample_task sets max_steps_in_episode to {np.unique(tasks.max_steps_in_episode)}, but"
        f" episode_length is {family.episode_length}; set it to {length}, as episodes are truncated by the"
        " one and scaled by the other",
    )
    return jax.tree.map(lambda x: x[:NUM_TASKS], tasks)


def _check_spaces(family: TaskFamily, task: Any) -> None:
    """The spaces of observation and action hold what they should."""
    who, actions, seen = type(family).__name__, family.action_space(task), family.observation_space(task)
    require(
        isinstance(actions, spaces.Box) or actions.n == family.num_actions,
        f"{who}.action_space is {actions}, but num_actions is {family.num_actions}; integer actions are as"
        " many",
    )
    require(
        isinstance(seen, spaces.Box) or seen.n == family.num_states,
        f"{who}.observation_space is {seen}, but num_states is {family.num_states}; integers that are shown"
        " are the states",
    )
    observation, state = family.reset_env(jax.random.key(1), task)
    require(
        seen.contains(observation),
        f"{who}.reset_env returns the observation {observation}, which observation_space does not contain;"
        " let one fit the other",
    )
    require(
        not family.is_terminated(state, task),
        f"{who}.reset_env starts an episode in a state that is_terminated; it would be over before its first"
        " step: start in another one",
    )
    require(
        state.time == 0,
        f"{who}.reset_env starts with time {state.time}; set it to 0, as it counts the steps of the episode",
    )


@partial(jax.jit, static_argnums=0)
def _walk(family: TaskFamily, key: Any, task: Any) -> Any:
    """Take random actions for an episode and return all that was seen."""
    observation, state = family.reset_env(key, task)

    def step(state: Any, key: Any) -> Any:
        action = family.action_space(task).sample(key)
        observation, next_state, reward, terminated, info = family.step_env(key, state, action, task)
        truncated = family.is_truncated(next_state, task)
        return next_state, (action, observation, next_state, reward, terminated, truncated, info)

    keys = jax.random.split(key, family.episode_length or ENDLESS)
    return observation, state, jax.lax.scan(step, state, keys)[1]


def _check_steps(family: TaskFamily, tasks: Any) -> Any:
    """Steps are valid, finite, the same under vmap, and end in time; returns those of an episode."""
    who, length = type(family).__name__, family.episode_length
    keys = jax.random.split(jax.random.key(2), NUM_TASKS)
    many = jax.vmap(partial(_walk, family))(keys, tasks)
    one = _walk(family, keys[0], at(tasks, 0))
    require(
        signature(at(many, 0)) == signature(one) and close(at(many, 0), one, rtol=1e-6, atol=1e-6),
        f"{who}: an episode is another one if other tasks run beside it under jax.vmap; let all that a step"
        " does depend on its own task, state, action and key alone",
    )
    odd = not_finite(many)
    require(
        not odd, f"{who}: {odd} of what reset_env and step_env return is not finite; return finite numbers"
    )
    _, _, (actions, observations, states, _, terminated, truncated, info) = many
    for what, space, numbers in (
        ("action_space draws an action", family.action_space(), actions),
        ("step_env returns an observation", family.observation_space(), observations),
    ):
        require(
            jax.vmap(jax.vmap(space.contains))(numbers).all(),
            f"{who}.{what} that the space {space} does not contain; let one fit the other",
        )
    require(
        ((states.time >= 1) & (states.time <= (length or ENDLESS))).all(),
        f"{who}.step_env returns states whose time is not the number of steps of the episode; add 1 to it, as"
        " episodes are truncated by it",
    )
    require(
        not truncated[:, :-1].any() and (length is None or (terminated | truncated)[:, -1].all()),
        f"{who}.is_truncated must hold after {length} steps (episode_length), and not before; leave it as"
        " gymnax has it, which goes by the task's max_steps_in_episode",
    )
    require(
        "discount" not in info or (info["discount"] == 1.0 - terminated).all(),
        f"{who}.step_env returns an info['discount'] that is not 0 where the step terminates and 1 elsewhere;"
        " trainers that know gymnax read it so",
    )
    return many


def _check_table(family: TaskFamily, tasks: Any, many: Any) -> None:
    """Object-level RL gets an action and a state of its table, both within what the family says."""
    who, (_, _, (actions, _, states, *_)) = type(family).__name__, many
    counted = jax.vmap(jax.vmap(family.table_action))(actions)
    require(
        ((counted >= 0) & (counted < family.num_actions)).all(),
        f"{who}.table_action must return one of the {family.num_actions} actions of num_actions, from 0 on",
    )
    place = jax.vmap(jax.vmap(family.concrete, in_axes=(0, None)))(states, tasks)
    require(
        place.index is None or ((place.index >= 0) & (place.index < family.num_states)).all(),
        f"{who}.concrete must return an index from 0 to num_states − 1 ({family.num_states - 1}): a state"
        " beyond the table would be confused with others",
    )
    coordinates = 0 if family.num_states else len(family.coordinate_bounds)
    require(
        place.coordinates is None or not family.tiles or len(family.tiles) == coordinates,
        f"{who}.tiles has {len(family.tiles)} numbers, but needs {coordinates}: one for each coordinate of"
        " states that are vectors, or none for a learner that sees them, and none for integers",
    )
