"""Makes file operations of small runs fail, each in turn and in each way; prints how many it hit.

    LD_PRELOAD=injector.so python -m tests.faults.drive injector.so EVERY

Every so manyth operation is made to fail. Whatever happens, a command says what is wrong in a message and
with an exit code, and once the disk is well again the work ends as if nothing had been.
"""

import contextlib
import ctypes
import dataclasses
import errno
import io
import json
import shutil
import sys
import tempfile
import traceback
from pathlib import Path

from rl3_jax import Run
from rl3_jax.cli import main
from rl3_jax.run.folder import checkpoint_files, is_run
from rl3_jax.training.serialise import to_dict
from tests.run import tiny

FAULTS = {
    **{name: (getattr(errno, name), 0, 0) for name in ("ENOSPC", "EDQUOT", "EIO", "EINTR")},
    "short write": (0, 1, 0),
    "SIGKILL": (errno.EIO, 0, 1),
}
"""By name: the error, whether a write is cut short, and whether nothing reaches the disk from then on."""
NEVER = 10**9
"""The number of an operation that no work comes to."""
SHOWN = 3
"""Of each work and fault, so many that went wrong are printed."""


class Injector:
    """The library that was preloaded."""

    def __init__(self, library, folder):
        self._library, self.folder = ctypes.CDLL(library), folder

    @contextlib.contextmanager
    def failing(self, number, fault):
        """Make the operation of this number fail; yields a list that in the end has how many there were."""
        counted = []
        self._library.arm(str(self.folder).encode(), number, *FAULTS[fault])
        try:
            yield counted
        finally:
            counted.append(self._library.disarm())


def rl3(*arguments):
    """The exit code of a command, and what it said."""
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()):
        try:
            code = main([*map(str, arguments)])
        except SystemExit as stop:  # of an argument that cannot be read
            code = stop.code
    return code, said.getvalue()


@dataclasses.dataclass
class Training:
    """A run, from its start or from a checkpoint after `done` iterations; done again, it is resumed."""

    finished: Path
    folder: Path
    done: int = 0

    def prepare(self):
        """Put there what there is before."""
        if self.done:
            shutil.copytree(self.finished, self.folder)
            for path in checkpoint_files(self.folder / "checkpoints"):
                if int(path.stem) > self.done:
                    path.unlink()

    def run(self):
        """Train; the exit code, and what was said."""
        if is_run(self.folder):
            return rl3("resume", self.folder)
        return rl3("train", "--config", self.finished.parent / "tiny.json", "--out", self.folder)

    def check(self):
        """The run is the one that nothing disturbed."""
        tiny.assert_same_outcome(Run(self.finished), Run(self.folder))


@dataclasses.dataclass
class Looking:
    """A command that looks at a run."""

    finished: Path
    folder: Path
    command: str
    wanted: dict = dataclasses.field(default_factory=dict)

    def prepare(self):
        """Put the run there."""
        shutil.copytree(self.finished, self.folder)

    def run(self):
        """Look at it; the exit code, and what was said."""
        options = {"evaluate": ("--num-tasks", 8), "compare": ("--out", self.folder)}[self.command]
        return rl3(self.command, self.folder, *options)

    def check(self):
        """What is kept of it is what was kept the first time, when nothing disturbed."""
        for name in ("evaluation.json", *(["comparison.md"] if self.command == "compare" else [])):
            text = (self.folder / name).read_text()
            assert text == self.wanted.setdefault(name, text)


def disturbed(work, injector, number, fault):
    """Do some work with a fault in it, and then without; what was wrong, and how many operations it had."""
    shutil.rmtree(injector.folder)
    injector.folder.mkdir()
    work.prepare()
    try:
        with injector.failing(number, fault) as counted:
            code, said = work.run()
        if code not in (0, 1, 2) or (code and "error: " not in said):
            return f"exit code {code}: {said}", counted[0]
        code, said = work.run()
        if code:
            return f"done again: exit code {code}: {said}", counted[0]
        work.check()
    except Exception:
        return traceback.format_exc(), counted[0]
    return "", counted[0]


def drive(library, every):
    """Disturb all work; returns how often something was wrong."""
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        home, injector = Path(place), Injector(library, Path(place) / "arena")
        injector.folder.mkdir()
        (home / "tiny.json").write_text(json.dumps(to_dict(tiny.CONFIG)))
        finished = home / "finished"
        assert rl3("train", "--config", home / "tiny.json", "--out", finished)[0] == 0
        works = {
            "train": Training(finished, injector.folder / "run"),
            "resume": Training(finished, injector.folder / "run", done=8),
            "evaluate": Looking(finished, injector.folder / "run", "evaluate"),
            "compare": Looking(finished, injector.folder / "run", "compare"),
        }
        for name, work in works.items():
            problem, total = disturbed(work, injector, NEVER, "EIO")
            assert not problem, problem
            for fault in FAULTS:
                found = []
                for number in range(1, total + 1, every):
                    problem, _ = disturbed(work, injector, number, fault)
                    if problem:
                        found.append(f"{name}, {fault} at {number} of {total}: {problem}")
                print(
                    f"{name}, {fault}: {len(range(1, total + 1, every))} tried, {len(found)} wrong",
                    flush=True,
                )
                for problem in found[:SHOWN]:
                    print(problem)
                wrong += len(found)
    return wrong


if __name__ == "__main__":
    sys.exit(drive(sys.argv[1], int(sys.argv[2])) > 0)
