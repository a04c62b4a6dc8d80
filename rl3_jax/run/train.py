"""Training from Python: start a run, go on with one, look at one."""

import dataclasses
from collections import deque
from pathlib import Path
from typing import Any, overload

import jax

from rl3_jax import training
from rl3_jax.errors import ConfigError, problems_of
from rl3_jax.run import folder as run_folder
from rl3_jax.run import metrics
from rl3_jax.run.agent import LoadedAgent, agent_in_memory, load_agent
from rl3_jax.run.checkpoints import newest_iteration
from rl3_jax.run.compile_cache import compile_cache
from rl3_jax.run.evaluation import DEFAULT_NUM_TASKS, evaluate_agent, evaluate_run
from rl3_jax.run.files import writing_problems
from rl3_jax.run.folder import RunFolder
from rl3_jax.run.loop import Loop, OnMetrics, train_to_target, watched
from rl3_jax.run.metrics import logger_problems
from rl3_jax.run.plan import plan
from rl3_jax.run.signals import Interrupted
from rl3_jax.training import TrainConfig, TrainState
from rl3_jax.training.serialise import config_problems


@dataclasses.dataclass(frozen=True)
class Run:
    """A run on disk.

    Attributes:
      path: its folder.
    """

    path: Path

    @property
    def config(self) -> TrainConfig:
        """The configuration."""
        return RunFolder(self.path).read().config

    @property
    def metrics(self) -> list[metrics.Row]:
        """The lines of `metrics.jsonl`."""
        return metrics.read(RunFolder(self.path).metrics)

    def load_agent(self) -> LoadedAgent:
        """Return the agent, as of the newest checkpoint."""
        return load_agent(self.path)

    def evaluate(
        self,
        *,
        variation: str | None = None,
        horizon: int | None = None,
        num_tasks: int = DEFAULT_NUM_TASKS,
        seed: int = 0,
        greedy: bool = False,
    ) -> dict[str, Any]:
        """Evaluate the agent on held-out tasks, see `evaluate_run`."""
        asked = {"variation": variation, "horizon": horizon, "num_tasks": num_tasks, "seed": seed}
        return evaluate_run(self.path, **asked, greedy=greedy)


@dataclasses.dataclass(frozen=True)
class UnsavedRun:
    """A run that has no folder.

    Attributes:
      config: the configuration.
      metrics: its lines of metrics.
      agent: as of the last iteration.
    """

    config: TrainConfig
    metrics: list[metrics.Row]
    agent: LoadedAgent

    def load_agent(self) -> LoadedAgent:
        """Return the agent."""
        return self.agent

    def evaluate(
        self,
        *,
        variation: str | None = None,
        horizon: int | None = None,
        num_tasks: int = DEFAULT_NUM_TASKS,
        seed: int = 0,
        greedy: bool = False,
    ) -> dict[str, Any]:
        """Evaluate the agent on held-out tasks, as `evaluate_run` does; nothing is written."""
        asked = {"variation": variation, "horizon": horizon, "num_tasks": num_tasks, "seed": seed}
        return evaluate_agent(self.agent, **asked, greedy=greedy)


@overload
def train(
    config: TrainConfig,
    out: str | Path,
    *,
    overwrite: bool = False,
    log: str | None = None,
    progress: bool = True,
    on_metrics: OnMetrics | None = None,
) -> Run: ...


@overload
def train(
    config: TrainConfig, out: None = None, *, progress: bool = True, on_metrics: OnMetrics | None = None
) -> UnsavedRun: ...


@compile_cache()
def train(
    config: TrainConfig,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    log: str | None = None,
    progress: bool = True,
    on_metrics: OnMetrics | None = None,
) -> Run | UnsavedRun:
    """Start a run and train it to its end.

    Args:
      config: the run.
      out: its folder, new or empty; without one nothing of the run is written.
      overwrite: replace a run that is already there.
      log: `tensorboard` or `wandb`, beside `metrics.jsonl`; needs a folder.
      progress: show it.
      on_metrics: called with each new line of `metrics.jsonl`, a dict, after the chunk of iterations that it
        came from; if it returns true, the run is saved and training stops there.

    Raises:
      ConfigError: listing every problem of the configuration, the folder and the logger, and nothing is
        written; or if the run does not fit into memory, and a folder without a run is left empty.
      NonFiniteError: if training stopped at a loss that is not finite.
      Interrupted: on SIGINT or SIGTERM, after saving; without a folder, with what is learnt as its `run`.
    """
    problems = train_problems(config, out, overwrite=overwrite, log=log)
    if out is None and (log is not None or overwrite):
        problems.append("log and overwrite are for a run with a folder; name it as out")
    if problems:
        raise ConfigError(problems)
    if out is None:
        return _train_in_memory(config, progress=progress, on_metrics=on_metrics)
    path = Path(out)
    replaces = overwrite and run_folder.is_run(path)
    if replaces:
        plan(config, probe=False, progress=progress)  # a run that cannot start must not cost the one here
    with run_folder.new_run(path, config, log=log, overwrite=overwrite) as folder:
        train_to_target(folder, folder.read(), visible=progress, on_metrics=on_metrics, fits=replaces)
    return Run(path)


def _train_in_memory(config: TrainConfig, *, progress: bool, on_metrics: OnMetrics | None) -> UnsavedRun:
    """Return a run that is trained in memory."""
    rows: list[metrics.Row] = []
    states: deque[TrainState] = deque(maxlen=1)
    with watched(config, config.iterations, visible=progress) as (shown, stop):
        shown.phase("compiling", 0)
        state = training.init(config, jax.random.key(config.seed))
        kept = rows.extend, states.append, lambda: "nothing is saved, as the run has no folder"
        done = Loop(config, config.iterations, *kept, shown, stop, on_metrics).run(state, 0.0)
    if done == 0:
        assert stop.signum is not None
        raise Interrupted(stop.signum, "stopped before the first iteration; nothing is saved")
    run = UnsavedRun(config, rows, agent_in_memory(config, states[0].learnt.params["actor"], done))
    if stop.signum is not None and done < config.iterations:
        message = f"stopped after iteration {done} of {config.iterations}; nothing is saved"
        raise Interrupted(stop.signum, message, run)
    return run


def train_problems(
    config: TrainConfig, out: str | Path | None, *, overwrite: bool, log: str | None
) -> list[str]:
    """Return a message for each reason why `train` cannot start."""
    found = config_problems(config) + logger_problems(log)
    if out is not None:
        found += run_folder.creation_problems(Path(out), overwrite=overwrite)
    return found


@compile_cache()
def resume(
    path: str | Path,
    iterations: int | None = None,
    *,
    progress: bool = True,
    on_metrics: OnMetrics | None = None,
) -> Run:
    """Go on with a run from its newest checkpoint; a run that is complete is left as it is.

    Args:
      path: the run folder.
      iterations: in all, noted as the run's target; more than first configured extends the run, with
        the schedules at their end. Without it, training goes on to the target of the last call.
      progress: show it.
      on_metrics: as in `train`.

    Raises:
      ConfigError: if this is no run folder, its checkpoint is of another configuration, its logger is
        not installed, or it has more iterations already.
      NonFiniteError: if training stopped at a loss that is not finite.
      Interrupted: on SIGINT or SIGTERM, after saving.
    """
    if problems := resume_problems(path, iterations):
        raise ConfigError(problems)
    folder = RunFolder(path)
    with folder.lock():
        # Again, as another process may have trained here until now.
        if problems := resume_problems(path, iterations):
            raise ConfigError(problems)
        record = folder.read()
        if iterations is not None:
            record = dataclasses.replace(record, target_iterations=iterations)
        train_to_target(folder, record, visible=progress, on_metrics=on_metrics)
    return Run(folder.path)


def resume_problems(path: str | Path, iterations: int | None) -> list[str]:
    """Return a message for each reason why `resume` cannot start."""
    folder = RunFolder(path)
    found = []
    if iterations is not None and iterations < 1:
        found.append(f"iterations is {iterations}; a run has at least 1")
    if unreadable := problems_of(folder.read):
        return found + unreadable
    found += logger_problems(folder.read().log)
    places = (folder.config, folder.checkpoints / "0", folder.agent / "0")
    found += dict.fromkeys(problem for place in places for problem in writing_problems(place))
    done = newest_iteration(folder.checkpoints)
    if iterations is not None and 1 <= iterations < done:
        found.append(
            f"iterations is {iterations}, but {done} are done; give a larger number, of all iterations"
        )
    return found
