"""Evaluating a trained agent, or the baselines, on held-out tasks; the result files."""

import dataclasses
import json
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from rl3_jax import constraints, training
from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.presets import method_name
from rl3_jax.report.gather import exceeds
from rl3_jax.run.agent import LoadedAgent, load_agent
from rl3_jax.run.baseline_cache import baseline_results
from rl3_jax.run.compile_cache import compile_cache
from rl3_jax.run.files import read_json, write_atomically, writing_problems
from rl3_jax.run.folder import RunFolder
from rl3_jax.run.progress import tracker
from rl3_jax.tasks import TaskFamily
from rl3_jax.training import TrainConfig
from rl3_jax.trial import METHODS, TrialEnv

DEFAULT_NUM_TASKS = 2000
LARGEST_SEED = 2**31 - 1
"""A seed enters compiled programs as a 32-bit integer."""


@compile_cache()
def evaluate_run(
    path: str | Path,
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
      path: the run folder.
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
    if problems := evaluation_problems(
        path, variation=variation, horizon=horizon, num_tasks=num_tasks, seed=seed
    ):
        raise ConfigError(problems)
    folder = RunFolder(Path(path))
    agent = load_agent(folder.path)
    asked = {"variation": variation, "horizon": horizon, "num_tasks": num_tasks, "seed": seed}
    result = _agent_result(folder.read().config, agent, greedy=greedy, progress=progress, **asked)
    _note(folder, result)
    return result


@compile_cache()
def evaluate_agent(
    config: TrainConfig, agent: LoadedAgent, *, greedy: bool = False, progress: bool = False, **asked: Any
) -> dict[str, Any]:
    """Return what `evaluate_run` does, for an agent in memory; nothing is written.

    Args:
      config: what it was trained with.
      agent: who acts.
      greedy: take the likeliest action instead of a sample.
      progress: show it.
      **asked: `variation`, `horizon`, `num_tasks` and `seed`, as there.

    Raises:
      ConfigError: listing every argument that is not valid.
    """
    asked = {"variation": None, "horizon": None, "num_tasks": DEFAULT_NUM_TASKS, "seed": 0} | asked
    if problems := _acting_problems(agent, **asked):
        raise ConfigError(problems)
    return _agent_result(config, agent, greedy=greedy, progress=progress, **asked)


@compile_cache()
def add_baselines(path: str | Path, result: dict[str, Any], *, progress: bool = False) -> dict[str, Any]:
    """Set the family's baselines beside a run's result, on the same tasks, and note it in `evaluation.json`.

    Args:
      path: the run folder.
      result: what `evaluate_run` returned.
      progress: show it.

    Returns:
      The result with the baselines' entries after the agent's, and under `differences` by how much the agent
      exceeds each (`exceeds` in `report.gather`).
    """
    env = _plain(asked_env(load_agent(path).env, result["variation"], result["horizon"]))
    asked = {"num_tasks": result["num_tasks"], "seed": result["eval_seed"]}
    entries, agent = baseline_results(env, **asked, progress=progress), result["results"][0]
    differences = [exceeds(agent, entry) for entry in entries]
    result = result | {"results": [agent, *entries], "differences": differences}
    _note(RunFolder(Path(path)), result)
    return result


@compile_cache()
def evaluate_baselines(
    family: TaskFamily,
    horizon: int,
    *,
    num_tasks: int = DEFAULT_NUM_TASKS,
    seed: int = 0,
    names: Collection[str] = (),
    prior_reward: float | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Return the result file of a family's baselines, on the same tasks as an agent's.

    Each is computed once, and then read from disk: see `baseline_results`.

    Args:
      family: the task family.
      horizon: trial length.
      num_tasks: held-out tasks.
      seed: names the set of tasks.
      names: of the baselines; all of them if there are none.
      prior_reward: m. If given, those alone that believe beforehand in a mean reward, m.
      progress: show it.

    Raises:
      ConfigError: listing every argument that is not valid.
    """
    problems = constraints.problems(family) + task_set_problems(horizon, num_tasks, seed)
    problems += baseline_problems(family, horizon, names, prior_reward)
    if problems:
        raise ConfigError(problems)
    env = _plain(TrialEnv(family, horizon=horizon))
    which = {"names": names, "prior_reward": prior_reward}
    results = baseline_results(env, num_tasks=num_tasks, seed=seed, **which, progress=progress)
    return training.result_file(env, results, num_tasks=num_tasks, seed=seed)


def baseline_problems(
    family: TaskFamily | str, horizon: int, names: Collection[str], prior_reward: float | None
) -> list[str]:
    """Return a message for each name that is no baseline of a family, and for a prior that none has."""
    from rl3_jax.baselines import asked_names, baseline_names

    if prior_reward is not None and not math.isfinite(prior_reward):
        return [f"prior_reward is {prior_reward}; it must be a finite number"]
    known = baseline_names(family, horizon, prior_reward)
    if not known:
        name = family if isinstance(family, str) else family.family
        return [f"prior_reward is {prior_reward}, but no baseline of {name} has a prior mean; leave it out"]
    return [unknown_choice("baseline", name, known) for name in names if not asked_names(known, [name])]


def _plain(env: TrialEnv) -> TrialEnv:
    """Return the same trial without object-level RL: baselines bring their own."""
    return TrialEnv(env.family, horizon=env.horizon, features=METHODS["rl2"])


def read_evaluation(folder: RunFolder) -> list[dict[str, Any]]:
    """Return the entries of `evaluation.json`; none if there is no file.

    There is one for each variation, horizon and whether the agent was greedy.
    """
    return read_json(folder.evaluation) if folder.evaluation.exists() else []


def variations(path: str | Path) -> tuple[Sequence[str | None], list[str]]:
    """Return the variations that a run's agent can act in, and those whose observations it cannot read.

    Of what is no run, the one that it was trained on.
    """
    try:
        agent = load_agent(path)
    except ConfigError:
        return (None,), []
    of_all = {
        name: observation_problems(agent, asked_env(agent.env, name)) for name in agent.env.family.variations
    }
    return [name for name, found in of_all.items() if not found], [
        name for name, found in of_all.items() if found
    ]


def evaluation_problems(
    path: str | Path, *, variation: str | None, horizon: int | None, num_tasks: int, seed: int
) -> list[str]:
    """Return a message for each reason why `evaluate_run` cannot start."""
    folder = RunFolder(Path(path))
    try:
        folder.read()
        read_evaluation(folder)
        agent = load_agent(path)
    except ConfigError as error:
        return [*error.problems, *task_set_problems(1 if horizon is None else horizon, num_tasks, seed)]
    asked = {"variation": variation, "horizon": horizon, "num_tasks": num_tasks, "seed": seed}
    return _acting_problems(agent, **asked) + writing_problems(folder.evaluation)


def _acting_problems(
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
    if num_tasks < 2:
        found.append(f"num_tasks is {num_tasks}; a standard error needs at least 2")
    if not 0 <= seed <= LARGEST_SEED:
        found.append(f"seed is {seed}; it must be between 0 and {LARGEST_SEED}")
    return found


def asked_env(trained: TrialEnv, variation: str | None, horizon: int | None = None) -> TrialEnv:
    """Return the trial that was trained on, with another variation or horizon if that is asked for."""
    family = trained.family
    if variation is not None:
        family = dataclasses.replace(family, variation=variation)
    return dataclasses.replace(
        trained, family=family, horizon=trained.horizon if horizon is None else horizon
    )


def env_problems(env: TrialEnv) -> list[str]:
    """Return a message for each problem of a trial's family, or else of how its parts fit each other."""
    found = constraints.problems(env.family)
    # Of a trial without steps there is nothing to say; `task_set_problems` reports it.
    return found if found or env.horizon < 1 else env.conflicts()


def _agent_result(
    config: TrainConfig,
    agent: LoadedAgent,
    *,
    variation: str | None,
    horizon: int | None,
    greedy: bool,
    progress: bool,
    **which: int,
) -> dict[str, Any]:
    """Return the result file of an agent on the tasks that `num_tasks` and `seed` name."""
    env, track = asked_env(agent.env, variation, horizon), tracker("evaluating", visible=progress)
    name = f"{method_name(config)}-{config.policy.core.core}" + (" (greedy)" if greedy else "")
    trials = training.evaluate_trials(env, agent.behaviour(greedy), **which, track=track)
    result = training.result_file(env, [training.summarise(name, trials)], **which)
    return result | {"iteration": agent.iteration, "greedy": greedy}


def _note(folder: RunFolder, result: dict[str, Any]) -> None:
    """Put a result into `evaluation.json`, in place of one for the same trials and way of acting."""
    what = ("variation", "horizon", "greedy")
    others = [
        entry for entry in read_evaluation(folder) if any(entry.get(field) != result[field] for field in what)
    ]
    write_atomically(folder.evaluation, (json.dumps([*others, result]) + "\n").encode())
