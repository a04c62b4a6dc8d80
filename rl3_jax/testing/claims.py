"""What a task family says of itself: exchangeable actions, mean rewards, a summary; and gymnax's `step`."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments import spaces

from rl3_jax.tasks import Step, TaskFamily
from rl3_jax.testing.trees import require, signature
from rl3_jax.training import FIELDS, METRICS


def check_exchangeable(family: TaskFamily, num_tasks: int = 2000) -> None:
    """What a task has of each action is on average the same for all, within five standard errors."""
    who, space = type(family).__name__, family.action_space()
    require(
        isinstance(space, spaces.Discrete),
        f"{who} says exchangeable_actions, but its actions are {space}; only integers can be relabelled",
    )
    tasks = jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(3), num_tasks))
    of_actions = [
        np.moveaxis(np.asarray(leaf), axis, 1).reshape(num_tasks, family.num_actions, -1)
        for leaf in jax.tree.leaves(tasks)
        for axis in range(1, leaf.ndim)
        if leaf.shape[axis] == family.num_actions
    ]
    require(of_actions, f"{who} says exchangeable_actions, but no array of a task has an axis of the actions")
    for numbers in of_actions:
        for statistic in (numbers[..., 0], (numbers**2).mean(-1)):
            apart = statistic - statistic.mean(axis=1, keepdims=True)
            require(
                (np.abs(apart.mean(axis=0)) < 5.0 * apart.std(axis=0) / num_tasks**0.5).all(),
                f"{who} says exchangeable_actions, but over {num_tasks} tasks the means of the actions are"
                f" {apart.mean(axis=0)} apart; one network for all actions cannot tell them from each other:"
                " set exchangeable_actions to False",
            )


def check_mean_reward(family: TaskFamily, task: Any, num_draws: int = 4000) -> None:
    """Of an episode's second state each action pays on average what is said, within five standard errors.

    Where an episode has one step only, of its first.
    """
    state = family.reset_env(jax.random.key(0), task)[1]
    if family.episode_length != 1:
        state = family.step_env(jax.random.key(2), state, jnp.int32(0), task)[1]
    for action in range(family.num_actions):

        def pay(key: Any, action: int = action) -> Any:
            _, entered, reward, *_ = family.step_env(key, state, action, task)
            before, after = family.concrete(state, task), family.concrete(entered, task)
            step = Step(before, after, reward, jnp.bool_(False), jnp.bool_(False))
            return reward, family.mean_reward(task, step, action)

        paid, mean = jax.jit(jax.vmap(pay))(jax.random.split(jax.random.key(1), num_draws))
        require(
            abs(paid.mean() - mean.mean()) < 5.0 * paid.std() / num_draws**0.5 + 1e-6,
            f"{type(family).__name__}.mean_reward says {mean.mean():.4g} of action {action}, which paid"
            f" {paid.mean():.4g} on average of {num_draws} steps; ppo.mean_rewards would train for another"
            " task: mend it, or set knows_mean_reward to False",
        )


def check_summary(family: TaskFamily, tasks: Any, many: Any) -> None:
    """A summary has exactly its names, which nothing else has, and numbers that are finite or undefined."""
    who, names = type(family).__name__, family.summary_names
    taken = sorted({*names, *(f"evaluation_{name}" for name in names)} & {*FIELDS, *METRICS})
    require(len(set(names)) == len(names), f"{who}.summary_names names a number twice: {names}")
    require(not taken, f"{who}.summary_names has {taken}, which each line of metrics has; choose other names")
    require(
        set(family.progress_names) <= set(names),
        f"{who}.progress_names has {sorted(set(family.progress_names) - set(names))}, which summary_names has"
        " not; only numbers of the summary can be shown",
    )
    concrete = jax.vmap(jax.vmap(family.concrete, in_axes=(0, None)))
    _, first, (_, _, states, rewards, terminated, truncated, _) = many
    before = jax.tree.map(lambda one, all_: jnp.concatenate([one[:, None], all_[:, :-1]], 1), first, states)
    steps = Step(concrete(before, tasks), concrete(states, tasks), rewards, terminated, truncated)
    found = jax.jit(jax.vmap(family.summarise_trial))(tasks, steps)
    require(
        set(found) == set(names),
        f"{who}.summarise_trial returns {sorted(found)}, but summary_names is {names}; let both have the"
        " same",
    )
    for name, values in found.items():
        require(
            values.shape == rewards.shape[:1] and values.dtype == jnp.float32,
            f"{who}.summarise_trial returns {name!r} as {values.dtype} of shape {values.shape[1:]}; return"
            " one float32",
        )
        require(
            not jnp.isinf(values).any(),
            f"{who}.summarise_trial returns an infinite {name!r}; return NaN where it is undefined, which"
            " means over trials leave out",
        )


def check_gymnax_step(family: TaskFamily, task: Any, endless: int) -> None:
    """gymnax's own `step` returns six values and starts a new episode where one ended."""
    who, length = type(family).__name__, min(family.episode_length or endless, 6)
    task = dataclasses.replace(task, max_steps_in_episode=length)
    key = jax.random.key(3)
    step = jax.jit(family.step)
    observation, state = family.reset(key, task)
    for _ in range(2 * length + 1):
        key, key_action, key_step = jax.random.split(key, 3)
        old = state
        action = family.action_space(task).sample(key_action)
        observation, state, reward, terminated, truncated, info = step(key_step, old, action, task)
        require(
            signature(state) == signature(old) and reward.shape == terminated.shape == truncated.shape == (),
            f"{who}.step returns a state of another type than it took, or numbers that are none; leave `step`"
            " as gymnax has it, and define step_env",
        )
        require(
            family.observation_space(task).contains(info["final_observation"]),
            f"{who}.step ends an episode with an observation that observation_space does not contain",
        )
        if terminated or truncated:
            fresh = family.reset_env(jax.random.split(key_step)[1], task)[0]
            goes_on = state.time == 0 and np.allclose(observation, fresh, rtol=1e-6)
        else:
            goes_on = state.time == old.time + 1 and np.array_equal(observation, info["final_observation"])
        require(
            goes_on,
            f"{who}.step must start an episode by reset_env where one ended, and else go on with time one"
            " higher; trainers that know gymnax call it",
        )
