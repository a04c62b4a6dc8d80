"""The host loop: compiled chunks, and between them what needs a host."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from rl3_jax import training
from rl3_jax.errors import NonFiniteError
from rl3_jax.run import environment, metrics
from rl3_jax.run.agent import save_agent
from rl3_jax.run.checkpoints import Checkpoints
from rl3_jax.run.folder import RunFolder, RunRecord
from rl3_jax.run.loggers import Logger, make_loggers
from rl3_jax.run.memory import program_bytes, refuse_what_cannot_fit
from rl3_jax.run.metrics import Row
from rl3_jax.run.progress import TrainProgress
from rl3_jax.run.signals import Interrupted, StopSignals
from rl3_jax.training import EvaluationConfig, TrainConfig, TrainState
from rl3_jax.training.plan import evaluation_bytes

OnMetrics = Callable[[Row], object]

CHUNK_SECONDS = 1.0
"""How long a chunk should take: between chunks progress is shown and signals are answered."""


def train_to_target(
    folder: RunFolder,
    record: RunRecord,
    *,
    visible: bool,
    on_metrics: OnMetrics | None = None,
    fits: bool = False,
) -> None:
    """Go on with a run from its newest checkpoint, or from the start, to its target.

    Call it under the folder's lock.

    Args:
      folder: of the run.
      record: what is to be run; `config.json` gets its target once the checkpoint has been read.
      visible: whether to show progress.
      on_metrics: called with each new line of `metrics.jsonl`; if it returns true, training stops there.
      fits: whether `plan` has found that the run fits into memory, which is then not asked again.

    Raises:
      ConfigError: if the checkpoint is not of this run, or the run does not fit into memory.
      NonFiniteError: if a loss or parameter is no longer finite; that is not saved.
      Interrupted: on SIGINT or SIGTERM, after saving.
    """
    config, target = record.config, record.target_iterations
    folder.remove_leftovers()
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(
            TrainProgress(target, visible=visible, names=config.task.progress_names)
        )
        stop = stack.enter_context(
            StopSignals(
                lambda name: progress.note(f"{name}: stopping after this chunk; Ctrl-C stops at once")
            )
        )
        checkpoints = stack.enter_context(contextlib.closing(Checkpoints(folder.checkpoints, config)))
        done = checkpoints.latest or 0
        progress.phase("compiling" if done < target else "restoring", done)
        state = checkpoints.restore() if done else training.init(config, jax.random.key(config.seed))
        rows = metrics.truncate(folder.metrics, done)
        if record != folder.read():
            folder.write(record)
        if done < target and (changes := environment.changes(record.versions)):
            progress.note(
                f"versions changed since the run started ({', '.join(changes)}):"
                " the result may not be the same bit for bit"
            )
        if done:
            # A kill may have come between checkpoint and agent.
            save_agent(folder.agent, config, state.learnt.params["actor"], done)
        if done >= target:
            progress.note(f"{folder.path} is complete: {done} iterations; --iterations N extends it")
            return
        loggers = [
            stack.enter_context(contextlib.closing(logger)) for logger in make_loggers(folder, record, done)
        ]
        loop = Loop(folder, record, checkpoints, progress, loggers, on_metrics, fits)
        loop.run(state, rows[-1]["wall_seconds"] if rows else 0.0, stop)


@dataclasses.dataclass
class Loop:
    """One process's work on a run.

    Attributes:
      folder: of the run.
      record: what is to be run.
      checkpoints: of the run.
      progress: what the user sees.
      loggers: beside `metrics.jsonl`.
      on_metrics: called with each line; if it returns true, training stops.
      fits: whether the run is known to fit into memory.
      warned: whether the user has been told of transitions that object-level RL could not keep.
      told_to_stop: whether `on_metrics` has returned true.
    """

    folder: RunFolder
    record: RunRecord
    checkpoints: Checkpoints
    progress: TrainProgress
    loggers: list[Logger]
    on_metrics: OnMetrics | None
    fits: bool
    warned: bool = False
    told_to_stop: bool = False

    def run(self, state: TrainState, wall_seconds: float, stop: StopSignals) -> None:
        """Train to the target.

        After each chunk come evaluation if it is due, the metrics lines, and a checkpoint if it is due.
        In this order the lines up to a checkpoint are on disk before it is.

        Args:
          state: to go on from; donated.
          wall_seconds: that earlier processes spent on the run.
          stop: asks to stop early.
        """
        config, target = self.record.config, self.record.target_iterations
        started = time.perf_counter() - wall_seconds
        done = saved = int(state.iteration)
        program, hyper = compile_chunk(config, state), training.hyper_of(config)
        if not self.fits:
            # Beyond the state, which is held already.
            needed = program_bytes(program, arguments=False) or 0
            refuse_what_cannot_fit(config, {"program": needed, "evaluation": evaluation_bytes(config)})
        seconds_each = float("inf")
        while done < target and stop.signum is None and not self.told_to_stop:
            count = chunk_length(config, done, target, seconds_each)
            chunk_started = time.perf_counter()
            state, history = program(hyper, state, np.int32(count))
            history = {name: np.asarray(values[:count]) for name, values in history.items()}
            chunk_ended = time.perf_counter()
            seconds_each = (chunk_ended - chunk_started) / count
            ended_at = (chunk_started - started) + seconds_each * np.arange(1, count + 1)
            history["wall_seconds"] = ended_at.round(3)
            history["steps_per_second"] = np.full(count, round(config.steps_per_iteration / seconds_each, 1))
            self._log(state, done, history)
            done += count
            if done % config.checkpoint_every == 0 or done == target:
                self._save(state)
                saved = done
        if done != saved:
            self._save(state)
        if stop.signum is not None and done < target:
            raise self._interrupted(stop.signum, done)

    def _log(self, state: TrainState, done: int, history: dict[str, np.ndarray]) -> None:
        """Write the lines of a chunk that began after `done` iterations, if all of it is finite."""
        config = self.record.config
        rows: list[Row] = []
        problem = ""
        for index in range(len(history["mean_return"])):
            iteration = done + index + 1
            values: dict[str, Any] = {name: column[index] for name, column in history.items()}
            if problem := metrics.non_finite(values):
                problem += f" in iteration {iteration}"
                break
            rows.append(values | {"iteration": iteration, "steps": iteration * config.steps_per_iteration})
        if not problem and not params_finite(state):
            problem = f"the parameters after iteration {done + len(rows)} are not finite"
        if not problem and evaluation_due(config.evaluation, done + len(rows)):
            self.progress.phase("evaluating")
            rows[-1] |= held_out_figures(config, state)
        rows = [metrics.make_row(config, row) for row in rows]
        metrics.append(self.folder.metrics, rows)
        for row in rows:
            for logger in self.loggers:
                logger.log(row)
            if self.on_metrics is not None and self.on_metrics(row):
                self.told_to_stop = True
        if problem:
            raise NonFiniteError(f"training stopped: {problem}; {self.checkpoints.describe_latest()}")
        if history["dropped_transitions"].any() and not self.warned:
            self.progress.note(training.dropped_message(history["dropped_transitions"].mean()))
            self.warned = True
        self.progress.update(done + len(rows), rows[-1])

    def _save(self, state: TrainState) -> None:
        """Save a checkpoint and the agent."""
        self.checkpoints.save(state)
        save_agent(self.folder.agent, self.record.config, state.learnt.params["actor"], int(state.iteration))

    def _interrupted(self, signum: int, done: int) -> Interrupted:
        """Return what to raise after a signal, with everything saved that there is."""
        where = f"after iteration {done} of {self.record.target_iterations}; everything is saved"
        return Interrupted(
            signum,
            f"stopped {where if done else 'before the first iteration'}."
            f" Go on with: rl3 resume {self.folder.path}",
        )


def chunk_length(config: TrainConfig, done: int, target: int, seconds_each: float) -> int:
    """Return how many iterations to run next: about `CHUNK_SECONDS`, not across what is due between chunks.

    Args:
      config: the run.
      done: iterations done.
      target: iterations in all.
      seconds_each: what an iteration took lately; infinite until one was measured.
    """
    lengths = [int(CHUNK_SECONDS / seconds_each), training.CHUNK_CAPACITY, target - done]
    lengths += [every - done % every for every in (config.checkpoint_every, config.evaluation.every) if every]
    return max(1, min(lengths))


def compile_chunk(config: TrainConfig, state: TrainState) -> jax.stages.Compiled:
    """Return the compiled `train_steps` for states of this form; it takes `Hyper` and state, and a number."""
    leaves = tuple(map(_abstract, jax.tree.leaves(state)))
    return _compile(training.program_of(config), jax.tree.structure(state), leaves)


@functools.lru_cache(maxsize=8)
def _compile(config: TrainConfig, structure: Any, leaves: tuple[jax.ShapeDtypeStruct, ...]):
    """Compile for states of this form; kept for further runs in this process."""
    state = jax.tree.unflatten(structure, leaves)
    return training.lower_steps(config, state).compile()


def _abstract(leaf: jax.Array | jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    """Return what a compiled program knows of an array."""
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)


@jax.jit
def _all_finite(params: Any) -> jax.Array:
    """Return whether each number is finite."""
    return jax.numpy.stack([jax.numpy.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()


def params_finite(state: TrainState) -> bool:
    """Whether all parameters are finite."""
    return bool(_all_finite(state.learnt.params))


def evaluation_due(config: EvaluationConfig, done: int) -> bool:
    """Whether held-out evaluation comes after this many iterations."""
    return config.every > 0 and done % config.every == 0


def held_out_figures(config: TrainConfig, state: TrainState) -> dict[str, float]:
    """Return the means over the held-out tasks: of the return and of the family's summary, by field."""
    agent = training.agent_of(config, state)
    hyper = config.evaluation
    trials = training.evaluate_trials(config.env, agent, num_tasks=hyper.num_tasks, seed=hyper.seed)
    figures = {"evaluation_return": float(trials.rewards.sum(axis=1, dtype=np.float64).mean())}
    for name, values in trials.summary.items():
        mean = training.over_tasks(np.asarray(values))["mean"]
        figures[f"evaluation_{name}"] = np.nan if mean is None else mean
    return figures
