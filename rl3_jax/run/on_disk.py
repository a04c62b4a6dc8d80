"""Runs that have folders: from the newest checkpoint, or the start, to their target."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import jax

from rl3_jax import plugins
from rl3_jax.run import hosts, machine
from rl3_jax.run.checkpoints import OnDisk
from rl3_jax.run.folder import RunFolder, RunRecord
from rl3_jax.run.logs.pictures import SHARE
from rl3_jax.run.loop import Loop, OnMetrics
from rl3_jax.run.machine import refuse_what_cannot_fit
from rl3_jax.run.program import device_problems, placement
from rl3_jax.run.progress import TrainProgress
from rl3_jax.run.signals import Interrupted, StopSignals
from rl3_jax.training import TrainConfig
from rl3_jax.training.plan import least_bytes


def train_to_target(
    runs: Sequence[tuple[RunFolder, RunRecord]],
    *,
    visible: bool,
    on_metrics: OnMetrics | None = None,
    fits: bool = False,
    devices: int | None = None,
) -> int | None:
    """Go on with runs that share a program, each from its newest checkpoint or from the start.

    Call it under the folders' locks. Returns the signal that came too late to stop it, if one did.

    Args:
      runs: each with what is to be run; `config.json` gets its target once the checkpoint has been read.
      visible: whether to show progress.
      on_metrics: as in `train`.
      fits: whether `plan` has found that the runs fit into memory, which is then not asked again.
      devices: how many share the trials; as many as last or as can, if not given.
    """
    target, config = runs[0][1].target_iterations, runs[0][1].config
    with hosts.ending_together(), contextlib.ExitStack() as stack:
        progress, stop = stack.enter_context(watched(config, target, visible=visible and hosts.is_first()))
        kept = [OnDisk(folder, record, stack) for folder, record in runs]
        hosts.require_same([(one.record.to_dict(), one.latest) for one in kept])
        done = min(one.latest for one in kept)
        progress.phase("compiling" if done < target else "restoring", done)
        begun = [one.record for one in kept if one.latest]
        if devices is None and begun and not device_problems(config, begun[0].device["count"]):
            devices = begun[0].device["count"]
        where = placement(config, devices, num_runs=len(runs))
        used = machine.device(where.device_set)
        if not fits:
            with hosts.together():
                refuse_what_cannot_fit(config, {"state": least_bytes(config)})
        for message in [message for one in kept for message in one.restore(where)]:
            progress.note(message)
        done = min(int(one.state.iteration) for one in kept)
        with hosts.together():
            for one in kept:
                one.note(used)
        paths = " ".join(str(folder.path) for folder, _ in runs)
        if done >= target:
            progress.note(f"{paths} is complete: {done} iterations; --iterations N extends it")
            return stop.signum
        if devices is None and len(runs) == 1 and used["count"] < (there := len(jax.devices())):
            size = config.ppo.minibatch_trials
            progress.note(
                f"{used['count']} of {there} devices: more do not divide ppo.minibatch_trials ({size})"
            )
        _note_changes(progress, begun, used)
        with hosts.together():
            for one in kept:
                one.open_logs(share=SHARE / len(kept), warn=progress.warn)
        loop = Loop(kept, target, progress, stop, on_metrics, fits)
        try:
            done = loop.train(max(one.wall_seconds for one in kept))
        except OSError as error:
            saved = "; ".join(one.describe_saved() for one in kept)
            raise OSError(f"{error}; {saved}. Go on with: rl3 resume {paths}{plugins.option()}") from error
        if loop.signum is not None and done < target:
            when = f"after iteration {done} of {target}; everything is saved"
            stopped = f"stopped {when if done else 'before the first iteration'}"
            message = "; ".join([*loop.failures, stopped])
            raise Interrupted(loop.signum, f"{message}. Go on with: rl3 resume {paths}{plugins.option()}")
        return stop.signum


def _note_changes(progress: TrainProgress, begun: Sequence[RunRecord], used: dict[str, Any]) -> None:
    """Say what may give runs that go on another result than without the interruption."""
    changes = [x for record in begun for x in machine.changed_versions(record.versions)]
    changes += [
        f"devices {machine.described(record.device)} -> {machine.described(used)}"
        for record in begun
        if record.device != used
    ]
    if changes:
        progress.note(
            f"changed since the run started: {', '.join(dict.fromkeys(changes))};"
            " the result may not be the same bit for bit"
        )


@contextlib.contextmanager
def watched(
    config: TrainConfig, target: int, *, visible: bool
) -> Iterator[tuple[TrainProgress, StopSignals]]:
    """Show the progress of a run, and note a signal to stop."""
    with (
        TrainProgress(target, visible=visible, names=config.task.progress_names) as progress,
        StopSignals(
            lambda name: progress.note(f"{name}: stopping once all is saved; Ctrl-C stops at once")
        ) as stop,
    ):
        yield progress, stop
