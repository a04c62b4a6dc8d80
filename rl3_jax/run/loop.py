"""The host loop: compiled chunks, and between them what needs a host."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from rl3_jax import training
from rl3_jax.errors import NonFiniteError
from rl3_jax.run import machine, metrics
from rl3_jax.run.agent import save_agent
from rl3_jax.run.checkpoints import Checkpoints
from rl3_jax.run.folder import RunFolder, RunRecord
from rl3_jax.run.machine import program_bytes, refuse_what_cannot_fit
from rl3_jax.run.metrics import Row
from rl3_jax.run.progress import TrainProgress
from rl3_jax.run.signals import Interrupted, StopSignals
from rl3_jax.training import TrainConfig, TrainState
from rl3_jax.training.plan import abstract_state, evaluation_bytes

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
    """Go on with a run from its newest checkpoint, or from the start, to its target, as `resume` does.

    Call it under the folder's lock.

    Args:
      folder: of the run.
      record: what is to be run; `config.json` gets its target once the checkpoint has been read.
      visible: whether to show progress.
      on_metrics: as in `train`.
      fits: whether `plan` has found that the run fits into memory, which is then not asked again.
    """
    config, target = record.config, record.target_iterations
    folder.remove_leftovers()
    with contextlib.ExitStack() as stack:
        progress, stop = stack.enter_context(watched(config, target, visible=visible))
        checkpoints = stack.enter_context(contextlib.closing(Checkpoints(folder.checkpoints, config)))
        done = checkpoints.latest or 0
        progress.phase("compiling" if done < target else "restoring", done)
        state = checkpoints.restore() if done else training.init(config, jax.random.key(config.seed))
        rows = metrics.truncate(folder.metrics, done)
        if record != folder.read():
            folder.write(record)
        if done < target and (changes := machine.changed_versions(record.versions)):
            progress.note(
                f"versions changed since the run started ({', '.join(changes)}):"
                " the result may not be the same bit for bit"
            )

        def keep_agent(state: TrainState) -> None:
            save_agent(folder.agent, config, state.learnt.params["actor"], int(state.iteration))

        if done:
            keep_agent(state)  # a kill may have come between checkpoint and agent
        if done >= target:
            progress.note(f"{folder.path} is complete: {done} iterations; --iterations N extends it")
            return
        log = stack.enter_context(metrics.open_logger(folder, record, done))

        def keep(rows: list[Row]) -> None:
            metrics.append(folder.metrics, rows)
            for row in rows:
                log(row)

        def save(state: TrainState) -> None:
            checkpoints.save(state)
            keep_agent(state)

        loop = Loop(config, target, keep, save, checkpoints.describe_latest, progress, stop, on_metrics, fits)
        done = loop.run(state, rows[-1]["wall_seconds"] if rows else 0.0)
        if stop.signum is not None and done < target:
            where = f"after iteration {done} of {target}; everything is saved"
            raise Interrupted(
                stop.signum,
                f"stopped {where if done else 'before the first iteration'}."
                f" Go on with: rl3 resume {folder.path}",
            )


@contextlib.contextmanager
def watched(
    config: TrainConfig, target: int, *, visible: bool
) -> Iterator[tuple[TrainProgress, StopSignals]]:
    """Show the progress of a run, and note a signal to stop."""
    with TrainProgress(target, visible=visible, names=config.task.progress_names) as progress:
        stop = StopSignals(
            lambda name: progress.note(f"{name}: stopping after this chunk; Ctrl-C stops at once")
        )
        with stop:
            yield progress, stop


@dataclasses.dataclass
class Loop:
    """One process's work on a run.

    Attributes:
      config: the run.
      target: iterations in all.
      keep: takes lines of metrics.
      save: takes a state, which is donated afterwards unless it is the run's last.
      describe_saved: returns where the newest state is, in words.
      progress: what the user sees.
      stop: asks to stop early.
      on_metrics: called with each line; if it returns true, training stops.
      fits: whether the run is known to fit into memory.
      warned: whether the user has been told of transitions that object-level RL could not keep.
      told_to_stop: whether `on_metrics` has returned true.
    """

    config: TrainConfig
    target: int
    keep: Callable[[list[Row]], object]
    save: Callable[[TrainState], object]
    describe_saved: Callable[[], str]
    progress: TrainProgress
    stop: StopSignals
    on_metrics: OnMetrics | None
    fits: bool = False
    warned: bool = False
    told_to_stop: bool = False

    def run(self, state: TrainState, wall_seconds: float) -> int:
        """Train to the target; returns how many iterations are done.

        After each chunk come evaluation if it is due, the metrics lines, and a checkpoint if it is due.
        In this order the lines up to a checkpoint are kept before it is.

        Args:
          state: to go on from; donated.
          wall_seconds: that earlier processes spent on the run.
        """
        config, target = self.config, self.target
        started = time.perf_counter() - wall_seconds
        done = saved = int(state.iteration)
        program, hyper = compile_chunk(config, state.iteration.sharding), training.hyper_of(config)
        if not self.fits:
            # Beyond the state, which is held already.
            needed = program_bytes(program, arguments=False) or 0
            refuse_what_cannot_fit(config, {"program": needed, "evaluation": evaluation_bytes(config)})
        seconds_each = float("inf")
        while done < target and self.stop.signum is None and not self.told_to_stop:
            count = chunk_length(config, done, target, seconds_each)
            chunk_started = time.perf_counter()
            state, history = program(hyper, state, np.int32(count))
            history = {name: np.asarray(values[:count]) for name, values in history.items()}
            seconds_each = (time.perf_counter() - chunk_started) / count
            ended_at = (chunk_started - started) + seconds_each * np.arange(1, count + 1)
            history["iteration"] = np.arange(done + 1, done + count + 1)
            history["steps"] = history["iteration"] * config.steps_per_iteration
            history["wall_seconds"] = ended_at.round(3)
            history["steps_per_second"] = np.full(count, round(config.steps_per_iteration / seconds_each, 1))
            done += count
            self._log(state, done, history)
            if done % config.checkpoint_every == 0 or done == target:
                self.save(state)
                saved = done
        if done != saved:
            self.save(state)
        return done

    def _log(self, state: TrainState, done: int, history: dict[str, np.ndarray]) -> None:
        """Keep the lines of a chunk after which `done` iterations are done, if all of it is finite."""
        config, problem = self.config, ""
        rows: list[Row] = []
        for numbers in zip(*history.values(), strict=True):
            values: Row = dict(zip(history, numbers, strict=True))
            if problem := metrics.non_finite(values):
                problem += f" in iteration {values['iteration']}"
                break
            rows.append(values)
        if not problem and not params_finite(state):
            problem = f"the parameters after iteration {done} are not finite"
        if not problem and config.evaluation.every and done % config.evaluation.every == 0:
            self.progress.phase("evaluating")
            rows[-1] |= held_out_figures(config, state)
        rows = [metrics.make_row(config, row) for row in rows]
        self.keep(rows)
        for row in rows:
            if self.on_metrics is not None and self.on_metrics(row):
                self.told_to_stop = True
        if problem:
            raise NonFiniteError(f"training stopped: {problem}; {self.describe_saved()}")
        if history["dropped_transitions"].any() and not self.warned:
            self.progress.note(training.dropped_message(history["dropped_transitions"].mean()))
            self.warned = True
        self.progress.update(done, rows[-1])


def chunk_length(config: TrainConfig, done: int, target: int, seconds_each: float) -> int:
    """Return how many iterations to run next: about `CHUNK_SECONDS`, not across what is due between chunks.

    An iteration took `seconds_each` lately; infinite until one was measured.
    """
    lengths = [int(CHUNK_SECONDS / seconds_each), training.CHUNK_CAPACITY, target - done]
    lengths += [every - done % every for every in (config.checkpoint_every, config.evaluation.every) if every]
    return max(1, min(lengths))


def compile_chunk(config: TrainConfig, sharding: Any = None) -> jax.stages.Compiled:
    """Return the compiled `train_steps` for a state that lies there, or else where JAX puts it."""
    return _compile(training.program_of(config), sharding or jax.numpy.zeros(()).sharding)


@functools.lru_cache(maxsize=8)
def _compile(config: TrainConfig, sharding: jax.sharding.Sharding) -> jax.stages.Compiled:
    """Compile for a state that lies there; kept for further runs in this process."""
    state = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), abstract_state(config)
    )
    return training.lower_steps(config, state).compile()


def params_finite(state: TrainState) -> bool:
    """Whether all parameters are finite."""
    return bool(_all_finite(state.learnt.params))


@jax.jit
def _all_finite(params: PyTree) -> jax.Array:
    """Return whether each number is finite; all that is copied to the host."""
    return jax.numpy.stack([jax.numpy.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()


def held_out_figures(config: TrainConfig, state: TrainState) -> dict[str, float | None]:
    """Return the means over the held-out tasks: of the return and of the family's summary, by field."""
    hyper = config.evaluation
    trials = training.evaluate_trials(
        config.env, training.agent_of(config, state), num_tasks=hyper.num_tasks, seed=hyper.seed
    )
    found = training.summarise("agent", trials)
    means = {"return": found["mean_return"]} | {
        name: numbers["mean"] for name, numbers in found["summary"].items()
    }
    return {f"evaluation_{name}": mean for name, mean in means.items()}
