"""Stopping on SIGINT and SIGTERM: the first asks, a second SIGINT insists."""

import concurrent.futures
import contextlib
import contextvars
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, ClassVar, TypeVar

from rich.console import Console

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INSISTING_SECONDS = 0.3
"""A SIGINT sooner after the first is the same key press, sent to the process and again to its group."""
GRACE_SECONDS = 1.0
"""How long a command that has nothing to save may take to end by itself."""
POLLING_SECONDS = 0.1
COMPUTING = "computing"
"""Name of the threads of `answering`."""

Result = TypeVar("Result")


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop by the signal `signum`.

    Its `run` is the `UnsavedRun` so far, of a run without a folder. Others have saved, and the message says
    how to resume.
    """

    def __init__(self, signum: int, message: str, run: Any = None):
        """Note the signal, the message and the run."""
        self.signum, self.run = signum, run
        super().__init__(message)


class Abandoned(Exception):
    """A signal came while something was computed that nobody needs any longer."""


class StopSignals:
    """A context in which SIGINT or SIGTERM sets `signum`, and a second SIGINT ends the process at once.

    Python runs signal handlers between bytecodes, so none runs while a compiled chunk does. The
    interpreter's own handler writes the signal's number to a pipe right away, though, and a thread that
    reads it can answer. Outside the main thread signals are left alone.
    """

    active: ClassVar["StopSignals | None"] = None
    """The context that the main thread is in."""

    def __init__(self, on_first: Callable[[str], None]):
        """Take what to call, in another thread, with the first signal's name."""
        self.signum: int | None = None
        self._on_first = on_first
        self._previous_handlers = {}

    def __enter__(self) -> "StopSignals":
        """Take over the signals."""
        if threading.current_thread() is not threading.main_thread():
            return self
        self._first: float | None = None
        self._watching = _watching(self._answer)
        self._watching.__enter__()
        self._previous_handlers = {number: signal.signal(number, self._handle) for number in SIGNALS}
        self._outer, StopSignals.active = StopSignals.active, self
        return self

    def __exit__(self, *error: object) -> None:
        """Give the signals back."""
        if not self._previous_handlers:
            return
        StopSignals.active = self._outer
        for number, handler in self._previous_handlers.items():
            # None is a handler that Python does not know, and so cannot give back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._watching.__exit__(None, None, None)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self.signum = signum

    def _answer(self, signum: int) -> None:
        """Answer the first signal, and end the process on a second SIGINT."""
        now = time.monotonic()
        if self._first is None and signum in SIGNALS:
            self._first = now
            self._on_first(signal.Signals(signum).name)
        elif signum == signal.SIGINT and self._first is not None and now - self._first > INSISTING_SECONDS:
            _insist(signum)


def _insist(signum: int) -> None:
    """End the process at once."""
    Console(stderr=True).show_cursor()  # which a bar of progress hides
    os._exit(128 + signum)


@contextlib.contextmanager
def _watching(answer: Callable[[int], None]) -> Iterator[None]:
    """A context in which another thread answers each signal that Python handles, as soon as it comes."""
    read_end, write_end = os.pipe()
    if hasattr(os, "set_blocking"):  # which Windows lacks before Python 3.12
        os.set_blocking(write_end, False)
    previous = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)

    def watch() -> None:
        while number := os.read(read_end, 1):
            answer(number[0])

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous)
        os.close(write_end)
        watcher.join()
        os.close(read_end)


def answering(compute: Callable[[], Result]) -> Result:
    """Return what is computed in another thread, while this one answers signals: in C++, it could not.

    Raises:
      Abandoned: once there is a signal to stop; the other thread may still compute.
    """
    if threading.current_thread() is not threading.main_thread():
        return compute()
    future, context = concurrent.futures.Future(), contextvars.copy_context()

    def work() -> None:
        try:
            future.set_result(context.run(compute))
        except BaseException as error:  # whatever it is, it is raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=work, name=COMPUTING).start()
    while not concurrent.futures.wait([future], timeout=POLLING_SECONDS).done:
        if StopSignals.active is not None and StopSignals.active.signum is not None:
            raise Abandoned
    return future.result()


def end_process(code: int) -> None:
    """End the process if something abandoned is still computed: the usual end would wait for it."""
    if any(thread.name == COMPUTING for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


@contextlib.contextmanager
def ending_soon() -> Iterator[None]:
    """A context in which SIGINT ends the process within `GRACE_SECONDS`, also amid compiled code.

    It is for commands that have nothing to save, and write whole files only.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    left = threading.Event()

    def answer(signum: int) -> None:
        if signum == signal.SIGINT and not left.wait(GRACE_SECONDS):
            _insist(signum)

    with _watching(answer):
        try:
            yield
        finally:
            left.set()
