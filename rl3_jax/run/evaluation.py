"""Evaluating a trained agent on held-out tasks, and `evaluation.json`; describing a family's tasks."""

import dataclasses
from pathlib import Path
from typing import Any

from rl3_jax import constraints, training
from rl3_jax.errors import ConfigError
from rl3_jax.presets import method_name
from rl3_jax.run.agent import LoadedAgent, agent_of, named
from rl3_jax.run.files import read_json, write_json, writing_problems
from rl3_jax.run.folder import RunFolder
from rl3_jax.run.program_cache import compile_cache
from rl3_jax.run.progress import tracker
from rl3_jax.tasks import TaskFamily
from rl3_jax.training.config import MOST_TASKS
from rl3_jax.trial import TrialEnv

DEFAULT_NUM_TASKS = 2000
LARGEST_SEED = 2**31 - 1
"""A seed enters compiled programs as a 32-bit integer."""


@compile_cache()
def evaluate_run(
    run: str | Path | LoadedAgent,
    *,
    variation: str | None = None,
    horizon: int | None = None,
    num_tasks: int = DEFAULT_NUM_TASKS,
    seed: int = 0,
    greedy: bool = False,
    progress: bool = False,
) -> dict[str, Any]:
    """Evaluate a run's agent on held-out tasks, and note the result in its `evaluation.json`.

    Args:
      run: the run folder; or an agent in memory, or the name of one that comes with the package, of which
        nothing is written.
      variation: of the task family; as trained, if not given.
      horizon: trial length; as trained, if not given.
      num_tasks: held-out tasks.
      seed: names the set of tasks.
      greedy: take the likeliest action instead of a sample.
      progress: show it.

    Returns:
      The content of a result file (design, section 8), under `iteration` how long the agent had trained,
      and whether it was `greedy`.

    Raises:
      ConfigError: if this is no run with an agent, or listing every argument that is not valid.
    """
    run, which = named(run), {"num_tasks": num_tasks, "seed": seed}
    check_notes(run)
    agent = agent_of(run)
    if problems := evaluation_problems(agent, variation=variation, horizon=horizon, **which):
        raise ConfigError(problems)
    env = asked_env(agent.env, variation, horizon)
    name = f"{method_name(agent.env)}-{agent.policy.config.core.core}" + (" (greedy)" if greedy else "")
    track = tracker("evaluating", visible=progress)
    trials = training.evaluate_trials(env, agent.behaviour(greedy), **which, track=track)
    result = training.result_file(env, [training.summarise(name, trials)], **which)
    result |= {"iteration": agent.iteration, "greedy": greedy}
    note(run, result)
    return result


def check_notes(run: str | Path | LoadedAgent) -> None:
    """Raise a `ConfigError` if a run cannot note results; of an agent in memory nothing is noted."""
    if isinstance(run, LoadedAgent):
        return
    folder = RunFolder(run)
    folder.read()
    read_evaluation(folder)
    if problems := writing_problems(folder.evaluation):
        raise ConfigError(problems)


def evaluation_problems(
    agent: LoadedAgent, *, variation: str | None, horizon: int | None, num_tasks: int, seed: int
) -> list[str]:
    """Return a message for each reason why an agent cannot be evaluated so."""
    env = asked_env(agent.env, variation, horizon)
    found = env_problems(env) + task_set_problems(env.horizon, num_tasks, seed)
    found += agent.policy.config.length_problems(agent.policy.horizon, env.horizon)
    return found or observation_problems(agent, env)


def observation_problems(agent: LoadedAgent, env: TrialEnv) -> list[str]:
    """Return a message if a trial shows an agent more or fewer numbers than it was trained on."""
    shown, expected = env.observation_size, agent.policy.observation_size
    if shown == expected:
        return []
    return [
        f"variation is {env.family.variation}, which shows {shown} numbers, but this agent was trained on"
        f" {agent.env.family.variation} and reads {expected}; choose a variation of the same size, or train"
        " one with --features.position coordinates"
    ]


def task_set_problems(horizon: int, num_tasks: int, seed: int) -> list[str]:
    """Return a message for each number that does not name a set of trials."""
    found = []
    if horizon < 1:
        found.append(f"horizon is {horizon}; a trial has at least 1 step")
    if not 2 <= num_tasks <= MOST_TASKS:
        found.append(f"num_tasks is {num_tasks}; it must be between 2 and {MOST_TASKS}")
    if not 0 <= seed <= LARGEST_SEED:
        found.append(f"seed is {seed}; it must be between 0 and {LARGEST_SEED}")
    return found


def env_problems(env: TrialEnv) -> list[str]:
    """Return a message for each problem of a trial's family, or else of how its parts fit each other."""
    found = constraints.problems(env.family)
    # Of a trial without steps there is nothing to say; `task_set_problems` reports it.
    return found if found or env.horizon < 1 else env.conflicts()


def asked_env(trained: TrialEnv, variation: str | None, horizon: int | None = None) -> TrialEnv:
    """Return the trial that was trained on, with another variation or horizon if that is asked for."""
    if variation is not None:
        family = dataclasses.replace(trained.family, variation=variation)
        trained = dataclasses.replace(trained, family=family)
    return trained if horizon is None else dataclasses.replace(trained, horizon=horizon)


def readable_variations(agent: LoadedAgent) -> list[str]:
    """Return the variations of its family whose observations an agent can read."""
    names = agent.env.family.variations
    return [name for name in names if not observation_problems(agent, asked_env(agent.env, name))]


def read_evaluation(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the entries of `evaluation.json`, one for each variation, horizon and way of acting.

    Raises a `ConfigError` if it has no such list.
    """
    found = read_json(folder.evaluation) if folder.evaluation.exists() else []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ConfigError(
            f"{folder.evaluation} is not what `rl3 evaluate` writes; move it away to evaluate anew"
        )
    return found


def note(run: str | Path | LoadedAgent, result: dict[str, Any]) -> None:
    """Put a result into a run's `evaluation.json`, in place of one for the same trials and way of acting."""
    if isinstance(run, LoadedAgent):
        return
    folder, what = RunFolder(run), ("variation", "horizon", "greedy")
    others = [
        entry for entry in read_evaluation(folder) if any(entry.get(field) != result[field] for field in what)
    ]
    write_json([*others, result], folder.evaluation)


@compile_cache()
def describe(
    family: TaskFamily, *, num_tasks: int = DEFAULT_NUM_TASKS, seed: int = 0, progress: bool = False
) -> dict[str, Any]:
    """Return the statistics of a family's tasks, each with its standard error over tasks.

    Where a family rejects some of what it draws, `num_tasks` counts all candidates.

    Returns:
      `{family, variation, num_tasks, seed, statistics: {name: {mean, standard_error}}}`; None in place of
      what too few tasks do not tell.

    Raises:
      ConfigError: listing every argument that is not valid.
    """
    if problems := constraints.problems(family) + task_set_problems(1, num_tasks, seed):
        raise ConfigError(problems)
    track = tracker("drawing tasks", visible=progress)
    found = training.task_statistics(family, num_tasks=num_tasks, seed=seed, track=track)
    statistics = {name: training.over_tasks(numbers) for name, numbers in found.items()}
    for entry in statistics.values():
        del entry["num_tasks"]
    drawn = {"num_tasks": num_tasks, "seed": seed}
    return {"family": family.family, "variation": family.variation, **drawn, "statistics": statistics}
