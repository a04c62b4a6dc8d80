"""What a user sees while something runs: a bar in a terminal, sparse lines elsewhere.

All of it goes to the error stream: the output may go to a file.
"""

import functools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    track,
)

from rl3_jax.run.metrics import Row

SECONDS_BETWEEN_LINES = 10.0


class TrainProgress:
    """The progress of one training run, from before its first compilation on."""

    def __init__(self, total: int, *, visible: bool, names: Sequence[str] = ()):
        """Prepare to show a run of `total` iterations; or nothing, if not visible.

        What has these names in a metrics line is shown besides the return and the pace.
        """
        self.visible = visible
        self._console = Console(stderr=True, quiet=not visible)
        self._total = total
        self._names = names
        self._live = visible and self._console.is_terminal
        self._last_line = float("-inf")
        self._start: tuple[float, int] | None = None
        self._held_out = ""
        self._phases: set[str] = set()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[figures]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._live,
        )
        self._task = self._bar.add_task("starting", total=total, figures="")

    def __enter__(self) -> "TrainProgress":
        """Show it."""
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the last state standing."""
        self._bar.stop()

    def phase(self, description: str, done: int | None = None) -> None:
        """Say what is being done now, and how far the run is; lines say it the first time only."""
        self._bar.update(self._task, description=description, completed=done)
        if not self._live and description not in self._phases:
            self.note(description)
        self._phases.add(description)

    def update(self, done: int, row: Row) -> None:
        """Show how far training is, from the newest metrics line."""
        if (held_out := row.get("evaluation_return")) is not None:
            self._held_out = f" (held-out {held_out:.1f} after {done})"
        parts = [f"return {row['mean_return']:.1f}{self._held_out}"]
        parts += [f"{name.replace('_', ' ')} {in_short(row[name])}" for name in self._names]
        figures = ", ".join([*parts, f"{row['steps_per_second']:,.0f} steps/s"])
        self._bar.update(self._task, description="training", completed=done, figures=figures)
        now = time.perf_counter()
        self._start = self._start or (now, done)
        started, done_then = self._start
        if self._live or (now - self._last_line < SECONDS_BETWEEN_LINES and done < self._total):
            return
        self._last_line = now
        pace = (done - done_then) / (now - started) if done > done_then else 0.0
        left = f", {(self._total - done) / pace:.0f} s left" if pace else ""
        self.note(f"iteration {done}/{self._total}, {figures}{left}")

    def note(self, text: str) -> None:
        """Print a line."""
        _print(self._console, text)

    def warn(self, text: str) -> None:
        """Print a line, also if nothing else is shown."""
        _print(Console(stderr=True) if self._console.quiet else self._console, text)


def _print(console: Console, text: str) -> None:
    """Print a line as it is."""
    console.print(text, soft_wrap=True, highlight=False, markup=False)


def in_short(number: float | None) -> str:
    """Return a number of a summary with few digits; what is undefined is shown as a dash."""
    if number is None:
        return "–"
    return f"{number:.2f}" if abs(number) < 1.0 else f"{number:.1f}"


def tracker(description: str, *, visible: bool) -> Callable[[Iterable[Any]], Iterable[Any]]:
    """Return what shows the progress of a loop."""
    console = Console(stderr=True)
    shown = visible and console.is_terminal
    return functools.partial(
        track, description=description, console=console, transient=True, disable=not shown
    )
