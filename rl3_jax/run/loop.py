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
from rl3_jax.run.keepers import InMemory, Keeper, OnDisk
from rl3_jax.run.loggers import make_loggers
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
        progress, stop = _watched(stack, config, target, visible=visible)
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
        keeper = OnDisk(folder, config, checkpoints, loggers)
        loop = Loop(config, target, keeper, progress, on_metrics, fits)
        done = loop.run(state, rows[-1]["wall_seconds"] if rows else 0.0, stop)
        if stop.signum is not None and done < target:
            where = f"after iteration {done} of {target}; everything is saved"
            raise Interrupted(
                stop.signum,
                f"stopped {where if done else 'before the first iteration'}."
                f" Go on with: rl3 resume {folder.path}",
            )


def train_in_memory(
    config: TrainConfig, *, visible: bool, on_metrics: OnMetrics | None = None
) -> tuple[InMemory, int | None]:
    """Train a run that is not kept on disk.

    Args:
      config: the run.
      visible: whether to show progress.
      on_metrics: called with each line of the metrics; if it returns true, training stops there.

    Returns:
      What is left of it, and the signal that ended it early, or None.

    Raises:
      ConfigError: if the run does not fit into memory.
      NonFiniteError: if a loss or parameter is no longer finite.
    """
    with contextlib.ExitStack() as stack:
        progress, stop = _watched(stack, config, config.iterations, visible=visible)
        progress.phase("compiling", 0)
        state = training.init(config, jax.random.key(config.seed))
        keeper = InMemory()
        done = Loop(config, config.iterations, keeper, progress, on_metrics).run(state, 0.0, stop)
        return keeper, stop.signum if done < config.iterations else None


def _watched(
    stack: contextlib.ExitStack, config: TrainConfig, target: int, *, visible: bool
) -> tuple[TrainProgress, StopSignals]:
    """Return what shows the progress of a run, and what notes a signal to stop; both until `stack` ends."""
    progress = stack.enter_context(TrainProgress(target, visible=visible, names=config.task.progress_names))
    stop = StopSignals(lambda name: progress.note(f"{name}: stopping after this chunk; Ctrl-C stops at once"))
    return progress, stack.enter_context(stop)


@dataclasses.dataclass
class Loop:
    """One process's work on a run.

    Attributes:
      config: the run.
      target: iterations in all.
      keeper: of its metrics and states.
      progress: what the user sees.
      on_metrics: called with each line; if it returns true, training stops.
      fits: whether the run is known to fit into memory.
      warned: whether the user has been told of transitions that object-level RL could not keep.
      told_to_stop: whether `on_metrics` has returned true.
    """

    config: TrainConfig
    target: int
    keeper: Keeper
    progress: TrainProgress
    on_metrics: OnMetrics | None
    fits: bool = False
    warned: bool = False
    told_to_stop: bool = False

    def run(self, state: TrainState, wall_seconds: float, stop: StopSignals) -> int:
        """Train to the target; returns how many iterations are done.

        After each chunk come evaluation if it is due, the metrics lines, and a checkpoint if it is due.
        In this order the lines up to a checkpoint are kept before it is.

        Args:
          state: to go on from; donated.
          wall_seconds: that earlier processes spent on the run.
          stop: asks to stop early.
        """
        config, target = self.config, self.target
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
                self.keeper.save(state)
                saved = done
        if done != saved:
            self.keeper.save(state)
        return done

    def _log(self, state: TrainState, done: int, history: dict[str, np.ndarray]) -> None:
        """Write the lines of a chunk that began after `done` iterations, if all of it is finite."""
        config = self.config
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
        self.keeper.append(rows)
        for row in rows:
            if self.on_metrics is not None and self.on_metrics(row):
                self.told_to_stop = True
        if problem:
            raise NonFiniteError(f"training stopped: {problem}; {self.keeper.describe_latest()}")
        if history["dropped_transitions"].any() and not self.warned:
            self.progress.note(training.dropped_message(history["dropped_transitions"].mean()))
            self.warned = True
        self.progress.update(done + len(rows), rows[-1])


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
