"""One contestant of `peers.py` in a process of its own, since libraries disturb each other in one.

Reads a job as one line of JSON, then a number of iterations a line, and answers each with one line. An
empty line asks for the returns.
"""

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from peers_setting import Contestant, Setting


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is not an answer
    job = json.loads(sys.stdin.readline())
    try:
        make = trainer(job)
    except ImportError as error:
        print(json.dumps({"missing": missing(job["name"], error)}), file=answers, flush=True)
        return
    start = time.perf_counter()
    contestant = make()
    ready = {"versions": contestant.versions, "device": contestant.device}
    print(json.dumps(ready | {"start_seconds": round(since(start), 2)}), file=answers, flush=True)
    for line in sys.stdin:
        start, busy = time.perf_counter(), time.process_time()
        if line.strip():
            contestant.run(int(line))
            answer = {"seconds": since(start), "processor_seconds": time.process_time() - busy}
        else:
            answer = {"returns": contestant.returns()}
        print(json.dumps(answer), file=answers, flush=True)


def since(start: float) -> float:
    """Return the seconds since a moment."""
    return time.perf_counter() - start


def trainer(job: dict[str, Any]) -> Callable[[], Contestant]:
    """Return what makes the contestant that a job names, with all it needs imported."""
    setting, name = Setting(**job["setting"]), job["name"]
    if name == "jax":
        from peers_jax import PlainJax

        return partial(PlainJax, setting)
    if name == "torch":
        from peers_torch import PyTorch

        return partial(PyTorch, setting)
    if name == "purejaxrl":
        from peers_purejaxrl import PureJaxRL

        return partial(PureJaxRL, setting, Path(job["checkout"]), job["iterations"], job["total"])
    from peers_own import Own

    return partial(Own, setting, name.partition(":")[2])


def missing(name: str, error: ImportError) -> str:
    """Return what to tell the user about a library that is not installed."""
    if name == "torch" and importlib.util.find_spec("torch") is None:
        return (
            "PyTorch is not installed for this interpreter: pip install torch numpy"
            " --index-url https://download.pytorch.org/whl/cpu, or name one that has it with --torch-python"
        )
    return f"{error}"


if __name__ == "__main__":
    main()
