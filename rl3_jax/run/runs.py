"""Training from Python: start a run, go on with one, look at one."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from rl3_jax.errors import ConfigError, problems_of
from rl3_jax.run import folder as run_folder
from rl3_jax.run import hosts, metrics
from rl3_jax.run.agent import LoadedAgent, agent_in_memory, load_agent
from rl3_jax.run.checkpoints import InMemory, first_state
from rl3_jax.run.evaluation import DEFAULT_NUM_TASKS, evaluate_run
from rl3_jax.run.files import writing_problems
from rl3_jax.run.folder import RunFolder, as_names, newest_iteration
from rl3_jax.run.logs import log_problems
from rl3_jax.run.loop import Loop, OnMetrics
from rl3_jax.run.machine import refuse_what_cannot_fit
from rl3_jax.run.on_disk import train_to_target, watched
from rl3_jax.run.planning import plan
from rl3_jax.run.program import device_problems, placement, program_problems
from rl3_jax.run.program_cache import compile_cache
from rl3_jax.run.signals import Interrupted
from rl3_jax.training import TrainConfig, program_of, serialise
from rl3_jax.training.plan import least_bytes


@dataclasses.dataclass(frozen=True)
class Run:
    """A run on disk, in the folder `path`."""

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
        """Evaluate the agent on held-out tasks, as `evaluate_run` does."""
        asked = {"variation": variation, "horizon": horizon, "num_tasks": num_tasks, "seed": seed}
        return evaluate_run(self.path, **asked, greedy=greedy)


@dataclasses.dataclass(frozen=True)
class UnsavedRun:
    """A run that has no folder: its configuration, lines of metrics, and agent as of the last iteration."""

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
        return evaluate_run(self.agent, **asked, greedy=greedy)


@overload
def train(
    config: TrainConfig,
    out: str | Path,
    *,
    overwrite: bool = False,
    log: str | Sequence[str] | None = None,
    devices: int | None = None,
    progress: bool = True,
    on_metrics: OnMetrics | None = None,
) -> Run: ...


@overload
def train(
    config: TrainConfig,
    out: None = None,
    *,
    devices: int | None = None,
    progress: bool = True,
    on_metrics: OnMetrics | None = None,
) -> UnsavedRun: ...


@compile_cache()
def train(
    config: TrainConfig,
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
    log: str | Sequence[str] | None = None,
    devices: int | None = None,
    progress: bool = True,
    on_metrics: OnMetrics | None = None,
) -> Run | UnsavedRun:
    """Start a run and train it to its end.

    Args:
      config: the run.
      out: its folder, new or empty; without one nothing of the run is written.
      overwrite: replace a run that is already there.
      log: names of logs beside `metrics.jsonl`, one or several of `tensorboard`, `wandb` and `trackio`; needs
        a folder.
      devices: how many share the trials of an iteration; as many as can, if not given.
      progress: show it.
      on_metrics: called with each new line of `metrics.jsonl`, a dict, after the chunk of iterations that it
        came from; if it returns true, the run is saved and training stops there. Of several processes each
        calls its own.

    Raises:
      ConfigError: listing every problem of the configuration, the folder and the logger, and nothing is
        written; or if the run does not fit into memory, and a folder without a run is left empty; or, on the
        way, if a task enters a state that its family says it does not have.
      NonFiniteError: if training stopped at a loss that is not finite.
      Interrupted: on SIGINT or SIGTERM, after saving; without a folder, with what is learnt as its `run`.
    """
    if out is not None:
        how = {"overwrite": overwrite, "log": log, "devices": devices, "progress": progress}
        return train_seeds(config, [out], on_metrics=on_metrics, **how)[0]
    with hosts.together():
        problems = train_problems(config, [], log=log, devices=devices)
        if log or overwrite:
            problems.append("log and overwrite are for a run with a folder; name it as out")
        if problems:
            raise ConfigError(problems)
    hosts.require_same([serialise.to_dict(config), devices])
    with hosts.together():
        refuse_what_cannot_fit(config, {"state": least_bytes(config)})
    with watched(config, config.iterations, visible=progress and hosts.is_first()) as (shown, stop):
        shown.phase("compiling", 0)
        memory = InMemory(config, first_state(config, placement(config, devices)))
        loop = Loop([memory], config.iterations, shown, stop, on_metrics)
        done = loop.train(0.0)
    if done == 0:
        assert loop.signum is not None
        raise Interrupted(loop.signum, "stopped before the first iteration; nothing is saved")
    run = UnsavedRun(config, memory.rows, agent_in_memory(config, memory.state.learnt.params["actor"], done))
    if loop.signum is not None and done < config.iterations:
        message = f"stopped after iteration {done} of {config.iterations}; nothing is saved"
        raise Interrupted(loop.signum, message, run)
    return run


@compile_cache()
def train_seeds(
    config: TrainConfig,
    outs: Sequence[str | Path],
    *,
    overwrite: bool = False,
    log: str | Sequence[str] | None = None,
    devices: int | None = None,
    progress: bool = True,
    on_metrics: OnMetrics | None = None,
) -> list[Run]:
    """Start a run for each folder and train all in one program, with the seeds from `config.seed` on.

    A CPU trains one on each core, exactly as alone on one device, and compiles once; an accelerator trains
    them side by side. A run that diverges is not kept any longer, and the others go on.

    Takes and raises what `train` does. Unless a number of devices is given, each of a CPU's cores has a run.
    Progress is shown of the mean over the runs, and a `NonFiniteError` comes at the end. `on_metrics` gets
    the lines of all runs, of each chunk those of the first run first; if it returns true, all stop.
    """
    how = {"num_seeds": len(outs), "devices": devices}
    with hosts.together():
        if problems := train_problems(config, outs, overwrite=overwrite, log=log, **how):
            raise ConfigError(problems)
    configs = [dataclasses.replace(config, seed=config.seed + place) for place in range(len(outs))]
    runs = list(zip(map(Path, outs), configs, strict=True))
    hosts.require_same([[serialise.to_dict(config) for config in configs], overwrite, as_names(log), devices])
    replaces = bool(hosts.largest(overwrite and any(run_folder.is_run(path) for path, _ in runs)))
    if replaces:
        # Runs that cannot start must not cost the ones here.
        with hosts.together():
            plan(config, **how, progress=progress and hosts.is_first(), probe=False)
    with contextlib.ExitStack() as stack:
        with hosts.together():
            if hosts.is_first():
                stack.enter_context(run_folder.new_runs(runs, log=log, overwrite=overwrite))
        with hosts.together():
            members = [(folder, folder.read()) for folder in (RunFolder(path) for path, _ in runs)]
        train_to_target(members, visible=progress, on_metrics=on_metrics, fits=replaces, devices=devices)
    return [Run(path) for path, _ in runs]


def train_problems(
    config: TrainConfig,
    outs: Sequence[str | Path],
    *,
    num_seeds: int = 1,
    overwrite: bool = False,
    log: str | Sequence[str] | None = None,
    devices: int | None = None,
) -> list[str]:
    """Return a message for each reason why runs with these seeds cannot start in these folders."""
    found = program_problems(config, num_seeds, devices)
    found += _many_problems(num_seeds)
    if not hosts.is_first():
        return found  # the folders and the logs are for the first process
    found += log_problems(as_names(log))
    if len({Path(out).resolve() for out in outs}) < len(outs):
        found.append("a folder is named twice; each run needs its own")
    return found + [x for out in outs for x in run_folder.creation_problems(Path(out), overwrite=overwrite)]


def _many_problems(num_runs: int) -> list[str]:
    """Return a message if several runs cannot be trained at once."""
    if num_runs > 1 and not hosts.alone():
        return ["several processes train one run at a time; start them for each seed"]
    return []


@compile_cache()
def resume(
    path: str | Path,
    iterations: int | None = None,
    *,
    devices: int | None = None,
    progress: bool = True,
    on_metrics: OnMetrics | None = None,
) -> Run:
    """Go on with a run from its newest checkpoint; a run that is complete is left as it is.

    Args:
      path: the run folder.
      iterations: in all, noted as the run's target; more than first configured extends the run, with
        the schedules at their end. Without it, training goes on to the target of the last call.
      devices: how many share the trials of an iteration; as many as last, if not given.
      progress: as in `train`.
      on_metrics: as in `train`.

    Raises:
      ConfigError: if this is no run folder, its checkpoint is of another configuration, its logger is
        not installed, or it has more iterations already.
      NonFiniteError: as `train` does.
      Interrupted: as `train` does.
    """
    return resume_seeds([path], iterations, devices=devices, progress=progress, on_metrics=on_metrics)[0]


@compile_cache()
def resume_seeds(
    paths: Sequence[str | Path],
    iterations: int | None = None,
    *,
    devices: int | None = None,
    progress: bool = True,
    on_metrics: OnMetrics | None = None,
) -> list[Run]:
    """Go on with runs of `train_seeds` in one program; those that are behind catch up first.

    Takes what `resume` does, and raises the same; a `ConfigError` also if the runs do not share a program.
    """
    hosts.require_same([iterations, devices])
    paths = list(dict.fromkeys(paths))
    folders = [RunFolder(path) for path in paths]
    with contextlib.ExitStack() as stack:
        with hosts.together():
            if problems := resume_problems(paths, iterations, devices):
                raise ConfigError(problems)
            for folder in folders if hosts.is_first() else ():
                stack.enter_context(folder.lock())
        # Again, as other processes may have trained here until now.
        with hosts.together():
            if problems := resume_problems(paths, iterations, devices):
                raise ConfigError(problems)
        records = [folder.read() for folder in folders]
        if iterations is not None:
            records = [dataclasses.replace(record, target_iterations=iterations) for record in records]
        members = list(zip(folders, records, strict=True))
        train_to_target(members, visible=progress, on_metrics=on_metrics, devices=devices)
    return [Run(folder.path) for folder in folders]


def resume_problems(
    paths: Sequence[str | Path], iterations: int | None, devices: int | None = None
) -> list[str]:
    """Return a message for each reason why `resume_seeds` cannot start."""
    found = [] if paths else ["name at least one run folder"]
    if iterations is not None and iterations < 1:
        found.append(f"iterations is {iterations}; a run has at least 1")
    for folder in map(RunFolder, paths):
        found += problems_of(folder.read) or _resuming_problems(folder, iterations)
    if found:
        return found
    records = [RunFolder(path).read() for path in paths]
    found += device_problems(records[0].config, devices)
    if len({shared_by_a_program(record.config) for record in records}) > 1:
        found.append("these runs do not share a program; resume each alone")
    if iterations is None and len({record.target_iterations for record in records}) > 1:
        found.append("these runs end at different iterations; say with --iterations N where all are to end")
    return found + _many_problems(len(records))


def shared_by_a_program(config: TrainConfig) -> tuple[Any, ...]:
    """Return what is equal for runs that can be trained in one program."""
    return program_of(config), config.evaluation, config.checkpoint_every


def _resuming_problems(folder: RunFolder, iterations: int | None) -> list[str]:
    """Return a message for each reason why a run that can be read cannot go on."""
    found = log_problems(folder.read().log) if hosts.is_first() else []
    places = (folder.config, folder.checkpoints / "0", folder.agent / "0")
    found += dict.fromkeys(problem for place in places for problem in writing_problems(place))
    if any(path.name.isdigit() for path in folder.checkpoints.glob("*")):
        found.append(f"{folder.checkpoints} is of an earlier version of rl3_jax; go on with that version")
    done = newest_iteration(folder.checkpoints)
    if iterations is not None and 1 <= iterations < done:
        found.append(
            f"iterations is {iterations}, but {done} are done; give a larger number, of all iterations"
        )
    return found
