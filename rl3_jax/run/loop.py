"""The host loop: compiled chunks, and between them what needs a host."""

import dataclasses
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from rl3_jax import training
from rl3_jax.errors import ConfigError, NonFiniteError
from rl3_jax.run import hosts, metrics
from rl3_jax.run.checkpoints import InMemory, OnDisk
from rl3_jax.run.machine import refuse_what_cannot_fit
from rl3_jax.run.metrics import Row
from rl3_jax.run.program import compile_chunk, is_from_outside
from rl3_jax.run.progress import TrainProgress
from rl3_jax.run.remarks import STUCK, Rise, about_learner, check
from rl3_jax.run.signals import Abandoned, StopSignals, answering
from rl3_jax.training import TrainConfig, TrainState
from rl3_jax.training.plan import evaluation_bytes

OnMetrics = Callable[[Row], object]

CHUNK_SECONDS = 1.0
"""How long a chunk should take: between chunks progress is shown and signals are answered."""


@dataclasses.dataclass
class Loop:
    """One process's work on R runs that share a program.

    Attributes:
      runs: which differ in their seeds and numbers alone.
      target: iterations in all.
      progress: what the user sees: of several runs the mean.
      stop: asks to stop early.
      on_metrics: called with each line; if it returns true, training stops.
      fits: whether the runs are known to fit into memory.
      warned: whether the user has been told of transitions that object-level RL could not keep.
      signum: the signal that stops training, once all processes know of it.
      told_to_stop: whether `on_metrics` has returned true.
    """

    runs: Sequence[OnDisk | InMemory]
    target: int
    progress: TrainProgress
    stop: StopSignals
    on_metrics: OnMetrics | None
    fits: bool = False
    warned: bool = False
    signum: int | None = None
    told_to_stop: bool = False

    @property
    def failures(self) -> list[str]:
        """Why runs have failed."""
        return [run.failure for run in self.runs if run.failure]

    def train(self, wall_seconds: float) -> int:
        """Train to the target; returns how many iterations are done in all runs that have not diverged.

        Runs that are behind catch up first. A run that diverges is not kept any longer, and the others go on.
        Earlier processes spent `wall_seconds` on the runs.

        Raises:
          NonFiniteError: at the end, if a run has diverged, unless a signal has stopped the others.
        """
        self._remark()
        started = time.perf_counter() - wall_seconds
        while True:
            self._agree_on_stopping()
            alive = [run for run in self.runs if not run.failure]
            done = [int(run.state.iteration) for run in alive]
            first = min(done, default=self.target)
            if first >= self.target or self.signum is not None or self.told_to_stop:
                break
            until = min((other for other in done if other > first), default=self.target)
            behind = [run for run, number in zip(alive, done, strict=True) if number == first]
            self._advance(behind, until, started)
        if self.failures and (self.signum is None or first >= self.target):
            raise NonFiniteError("; ".join(self.failures))
        return first

    def _remark(self) -> None:
        """Tell the user what random trials say of a task family of their own, before it is trained on."""
        config, begun = self.runs[0].config, any(int(run.state.iteration) for run in self.runs)
        if self.progress.visible and not begun and is_from_outside(config.task):
            self.progress.note(about_learner(config))
            self.progress.phase("trying random actions")
            try:
                remarks = answering(lambda: check(config))
            except Abandoned:
                return
            except ConfigError as error:
                remarks = error.problems
            for remark in remarks:
                self.progress.note(f"note: {remark}")
            self.progress.phase("compiling")

    def _agree_on_stopping(self) -> None:
        """Take note of a signal, or of what `on_metrics` has returned, in any process."""
        self.signum = hosts.largest(self.stop.signum or 0) or None
        self.told_to_stop = bool(hosts.largest(self.told_to_stop))

    def _advance(self, runs: Sequence[OnDisk | InMemory], until: int, started: float) -> None:
        """Train runs that are equally far until so many iterations are done, or as far as they come.

        After each chunk come evaluation if it is due, the metrics lines, a checkpoint if it is due, and then
        what logs are shown of the evaluation.
        In this order the lines up to a checkpoint are kept before it is.
        """
        config, hypers = runs[0].config, [training.hyper_of(run.config) for run in runs]
        try:
            program = compile_chunk(config, len(runs), runs[0].state.iteration.sharding)
        except Abandoned:
            return
        if not self.fits:
            # Beyond the states, which are held already; side by side a copy of them is taken besides.
            needed = program.num_bytes(arguments=program.threads is None) or 0
            with hosts.together():
                refuse_what_cannot_fit(config, {"program": needed, "evaluation": evaluation_bytes(config)})
        done = saved = int(runs[0].state.iteration)
        rise = Rise(self.target)
        seconds_each = float("inf")
        while done < until and self.signum is None and not self.told_to_stop:
            count = hosts.largest(chunk_length(config, done, until, seconds_each))
            chunk_started = time.perf_counter()
            states, histories = program.train(hypers, [run.state for run in runs], count)
            seconds_each = (time.perf_counter() - chunk_started) / count
            shared: dict[str, np.ndarray] = {"iteration": np.arange(done + 1, done + count + 1)}
            shared["steps"] = shared["iteration"] * config.steps_per_iteration
            ended_at = (chunk_started - started) + seconds_each * np.arange(1, count + 1)
            shared["wall_seconds"] = ended_at.round(3)
            pace = round(config.steps_per_iteration / seconds_each, 1)
            shared["steps_per_second"] = np.full(count, pace)
            done += count
            for run, state in zip(runs, states, strict=True):
                run.state = state
            evaluated = self._log(runs, done, [history | shared for history in histories])
            returns = np.mean([history["mean_return"] for history in histories], axis=0)
            if rise.is_missing(done, returns.tolist()):
                self.progress.note(f"note: {STUCK}")
            if done % config.checkpoint_every == 0 or done == until:
                _save(runs)
                saved = done
            last = self.target - done < config.evaluation.every
            for run, found in evaluated:
                self.progress.phase("drawing")
                run.show(found, last=last)
            self._agree_on_stopping()
            diverged = [run for run in runs if run.failure]
            if diverged and (program.threads is not None or len(diverged) == len(runs)):
                break  # the others go on in the same program; side by side they would need another
        if done != saved:
            _save(runs)

    def _log(
        self, runs: Sequence[OnDisk | InMemory], done: int, histories: Sequence[dict[str, np.ndarray]]
    ) -> list[tuple[OnDisk, dict[str, Any]]]:
        """Keep each run's lines of a chunk after which `done` iterations are done, as far as it is finite.

        Returns those that were evaluated and have logs, each with its entry of a result file.

        Raises:
          ConfigError: if a task was in a state that its family says it does not have; nothing is kept then.
        """
        _require_inside(runs, done, histories)
        last, evaluated = [], []
        for run, history in zip(runs, histories, strict=True):
            if run.failure:
                continue
            rows, problem = _rows(run.state, done, history)
            every = run.config.evaluation.every
            if not problem and every and done % every == 0 and (found := self._evaluate(run)):
                rows[-1] |= held_out_figures(found)
                if isinstance(run, OnDisk) and run.record.log:
                    evaluated.append((run, found))
            rows = [metrics.make_row(run.config, row) for row in rows]
            run.keep(rows)
            for row in rows:
                if self.on_metrics is not None and self.on_metrics(row):
                    self.told_to_stop = True
            if problem:
                run.failure = f"training stopped: {problem}; {run.describe_saved()}"
            else:
                last.append(rows[-1])
        dropped = np.mean([history["dropped_transitions"] for history in histories])
        if dropped > 0.0 and not self.warned:
            self.progress.note(training.dropped_message(float(dropped)))
            self.warned = True
        if last:
            self._show(runs, done, last)
        return evaluated

    def _evaluate(self, run: OnDisk | InMemory) -> dict[str, Any] | None:
        """Return what a run earns on its held-out tasks; training goes on if that cannot be told."""
        self.progress.phase("evaluating")
        try:
            return held_out_result(run.config, run.state)
        except ConfigError as error:
            warnings.warn(f"iteration {int(run.state.iteration)} was not evaluated: {error}", stacklevel=2)
            return None

    def _show(self, runs: Sequence[OnDisk | InMemory], done: int, lines: Sequence[Row]) -> None:
        """Show the newest lines of some runs; of the last iteration also what was not evaluated."""
        shown = metrics.mean_row(lines)
        shown["steps_per_second"] *= len(runs)  # of the whole program
        if done == self.target and "evaluation_return" not in shown and self.progress.visible:
            # It goes into no line: a longer run has none here, and the same lines otherwise.
            found = [each for run in runs if not run.failure and (each := self._evaluate(run))]
            shown |= metrics.mean_row([held_out_figures(each) for each in found]) if found else {}
        self.progress.update(done, shown)


def _require_inside(
    runs: Sequence[OnDisk | InMemory], done: int, histories: Sequence[dict[str, np.ndarray]]
) -> None:
    """Raise a `ConfigError` if a task was in a state that its family says it does not have."""
    outside = max(float(history["steps_outside"].max()) for history in histories)
    if outside > 0.0:
        saved = "; ".join(run.describe_saved() for run in runs)
        message = training.outside_message(runs[0].config.task, outside)
        raise ConfigError(f"training stopped before iteration {done} was kept: {message}. {saved}")


def _rows(state: TrainState, done: int, columns: dict[str, np.ndarray]) -> tuple[list[Row], str]:
    """Return the content of a run's lines, and what is not finite in it, or nothing."""
    rows, problem = [], ""
    for numbers in zip(*columns.values(), strict=True):
        values: Row = dict(zip(columns, numbers, strict=True))
        if problem := metrics.non_finite(values):
            problem += f" in iteration {values['iteration']}"
            break
        rows.append(values)
    if not problem and not params_finite(state):
        problem = f"the parameters after iteration {done} are not finite"
    return rows, problem


def _save(runs: Sequence[OnDisk | InMemory]) -> None:
    """Save the state of each run that has not diverged."""
    for run in runs:
        if not run.failure:
            run.save()


def chunk_length(config: TrainConfig, done: int, target: int, seconds_each: float) -> int:
    """Return how many iterations to run next: about `CHUNK_SECONDS`, not across what is due between chunks.

    An iteration took `seconds_each` lately; infinite until one was measured.
    """
    lengths = [int(CHUNK_SECONDS / seconds_each), training.CHUNK_CAPACITY, target - done]
    lengths += [every - done % every for every in (config.checkpoint_every, config.evaluation.every) if every]
    return max(1, min(lengths))


def params_finite(state: TrainState) -> bool:
    """Whether all parameters are finite."""
    return all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(jax.device_get(state.learnt.params)))


def held_out_result(config: TrainConfig, state: TrainState) -> dict[str, Any]:
    """Return the entry of a result file (design, section 8) on the held-out tasks of training."""
    hyper, agent = config.evaluation, hosts.own(training.agent_of(config, state))
    trials = training.evaluate_trials(config.env, agent, num_tasks=hyper.num_tasks, seed=hyper.seed)
    return training.summarise("agent", trials)


def held_out_figures(found: dict[str, Any]) -> dict[str, float | None]:
    """Return the means over the held-out tasks: of the return and of the family's summary, by field."""
    summary = {f"evaluation_{name}": numbers["mean"] for name, numbers in found["summary"].items()}
    return {"evaluation_return": found["mean_return"]} | summary
