"""Runs in processes of their own, to be killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from rl3_jax import Run

ROOT = Path(__file__).parents[2]


class Process:
    """`rl3` with some arguments, in a process of its own.

    Compiled programs are cached on disk between the processes of a test, which compile the same ones.
    """

    def __init__(self, *arguments, cache, environment=None):
        cached = {"JAX_COMPILATION_CACHE_DIR": str(cache), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rl3_jax", *map(str, arguments)],
            env=os.environ | cached | {"PYTHONPATH": str(ROOT)} | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def over(self):
        """Whether it has ended."""
        return self._process.poll() is not None

    def wait_until(self, condition, timeout=120.0):
        """Wait until a condition holds or the process is over."""
        end = time.monotonic() + timeout
        while not (self.over or condition()):
            assert time.monotonic() < end
            time.sleep(0.0005)

    def stop(self, signum=signal.SIGKILL):
        """Send a signal, unless the process is over."""
        if not self.over:
            self._process.send_signal(signum)

    def finish(self, timeout=120.0):
        """Wait for the end; returns the exit code and what was printed."""
        output, _ = self._process.communicate(timeout=timeout)
        return self._process.returncode, output


def resume_and_look(path, cache):
    """Resume a run until it is complete; returns it."""
    code, output = Process("resume", path, cache=cache).finish()
    assert code == 0, output
    return Run(path)
