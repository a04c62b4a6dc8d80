"""Stopping on SIGINT and SIGTERM: the first asks, a second SIGINT insists."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INSISTING_SECONDS = 0.3
"""A SIGINT sooner after the first is the same key press, sent to the process and again to its group."""


class Interrupted(KeyboardInterrupt):
    """Training was asked to stop by the signal `signum`.

    Its `run` is the `UnsavedRun` so far, of a run without a folder. Others have saved, and the message says
    how to resume.
    """

    def __init__(self, signum: int, message: str, run: Any = None):
        """Note the signal, the message and the run."""
        self.signum, self.run = signum, run
        super().__init__(message)


class StopSignals:
    """A context in which SIGINT or SIGTERM sets `signum`, and a second SIGINT ends the process at once.

    Python runs signal handlers between bytecodes, so none runs while a compiled chunk does. The
    interpreter's own handler writes the signal's number to a pipe right away, though, and a thread that
    reads it can answer. Outside the main thread signals are left alone.
    """

    def __init__(self, on_first: Callable[[str], None]):
        """Take what to call, in another thread, with the first signal's name."""
        self.signum: int | None = None
        self._on_first = on_first
        self._previous_handlers = {}

    def __enter__(self) -> "StopSignals":
        """Take over the signals."""
        if threading.current_thread() is not threading.main_thread():
            return self
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self._previous_fd = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        self._previous_handlers = {number: signal.signal(number, self._handle) for number in SIGNALS}
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Give the signals back."""
        if not self._previous_handlers:
            return
        for number, handler in self._previous_handlers.items():
            # None is a handler that Python does not know, and so cannot give back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self._write_end)
        self._watcher.join()
        os.close(self._read_end)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self.signum = signum

    def _watch(self) -> None:
        """Answer the first signal, and end the process on a second SIGINT, until the pipe is closed."""
        first = None
        while number := os.read(self._read_end, 1):
            signum, now = number[0], time.monotonic()
            if first is None and signum in SIGNALS:
                first = now
                self._on_first(signal.Signals(signum).name)
            elif signum == signal.SIGINT and first is not None and now - first > INSISTING_SECONDS:
                os._exit(128 + signum)
