"""Where output goes, and what happens where it cannot be written."""

import contextlib
import os
import sys
from collections.abc import Callable

from rich.console import Console


def open_streams() -> None:
    """Open to nowhere those standard streams that were closed when the process was started, as by `>&-`."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115


def printing(run: Callable[[], int]) -> int:
    """Return the exit code of what prints: also 1 where a disk fails, and 141 where nobody reads any more."""
    try:
        try:
            return run()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _give_up_stdout()  # as after `| head`
        return 141  # 128 + SIGPIPE, as of other programs
    except OSError as error:
        _give_up_stdout()
        where = f": {error.filename}" if error.filename else ""
        tell(f"{error.strerror or error}{where}")
        return 1


def _give_up_stdout() -> None:
    """If what has been printed cannot be written, send it nowhere: Python's own last flush would complain."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(text: str, *, error: bool = True) -> None:
    """Print a message for the user; if that cannot be written either, the exit code has to do."""
    console = Console(stderr=True)
    with contextlib.suppress(OSError):
        if error:
            console.print("[red]error:[/red]", end=" ")
        console.print(text, markup=False, highlight=False, soft_wrap=True)
