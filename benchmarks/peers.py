"""Training throughput beside that of other trainers, on the same task with the same sizes, on one core.

    python benchmarks/peers.py --torch-python ~/torch/bin/python --json peers.json

Contestants: `rl3_jax:CORE`, this project with each core; `jax`, a plain JAX trainer; `torch`, a PyTorch loop;
`purejaxrl`, a checkout of PureJaxRL. Each runs in a process of its own, all pinned to one core, and they
train in turn, some iterations each round. Steps per second are environment steps of whole iterations,
rollout and update. As whoever learns nothing has no claim to speed, the returns at the end are told as
well. The ceiling is what a large matrix product reaches here; the share counts those of the GRU's network.
"""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import tyro
from common import machine, markdown, median_ratio, write
from peers_setting import Setting

from rl3_jax import CORES

WORKER = Path(__file__).with_name("peers_worker.py")
BASE = "jax"
"""The contestant that the others are compared with."""
SAME_NETWORK = ("jax", "torch", "rl3_jax:gru")
"""Contestants whose matrix products are those that the setting counts."""
COLUMNS = {
    "contestant": "contestant",
    "steps_per_second": "steps/s",
    f"ratio_to_{BASE}": f"× {BASE}",
    "ratio_to_torch": "× torch",
    "share_of_ceiling": "of the ceiling",
    "start_seconds": "compile, s",
    "first_return": "return at first",
    "last_return": "return at last",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Who takes part, and how long.

    Attributes:
      contestants: who takes part; all of them if none is given. `rl3_jax:gru:block=64` sets a core's field.
      rounds: how often each has its turn.
      iterations: that each trains in a round; the first round is preceded by one of one iteration, untimed.
      setting: the task and the sizes.
      core: the processor core that all run on; the last that this process may use if none is given, and -1
        for no pinning.
      torch_python: an interpreter with PyTorch and NumPy, if this one has none.
      purejaxrl: a checkout of PureJaxRL.
      json: file for the results.
    """

    contestants: tyro.conf.Positional[tuple[str, ...]] = ()
    rounds: int = 5
    iterations: int = 8
    setting: Setting = Setting()
    core: int | None = None
    torch_python: Annotated[str, tyro.conf.arg(name="torch-python")] = sys.executable
    purejaxrl: Path | None = None
    json: Path | None = None


def main() -> None:
    """Measure, print a table, and write JSON."""
    options = tyro.cli(Options, description=__doc__)
    if options.setting.tasks % options.setting.minibatches:
        raise SystemExit("setting.minibatches does not divide setting.tasks")
    pinned = pin(options.core)
    workers = start(options)
    try:
        report = compete(workers, options)
    finally:
        for worker in workers:
            worker.stop()
    report = machine() | {"benchmark": "peers", "pinned_to_core": pinned} | report
    print(markdown(report["results"], COLUMNS))
    if options.json is not None:
        write(options.json, report)


def pin(core: int | None) -> int | None:
    """Let this process and those it starts run on one core; returns which."""
    if not pins(core):
        return None
    core = max(os.sched_getaffinity(0)) if core is None else core
    os.sched_setaffinity(0, {core})
    return core


def pins(core: int | None) -> bool:
    """Return whether the processes are to run on one core."""
    return core != -1 and hasattr(os, "sched_setaffinity")


def start(options: Options) -> list["Worker"]:
    """Start who takes part, and tell of those who cannot."""
    everyone = [*(f"rl3_jax:{name}" for name in CORES), BASE, "torch", "purejaxrl"]
    workers = []
    for name in options.contestants or everyone:
        if ":".join(name.split(":")[:2]) not in everyone:
            raise SystemExit(f"unknown contestant {name!r}; choose from: {', '.join(everyone)}")
        if name == "purejaxrl" and options.purejaxrl is None:
            print("purejaxrl does not take part: name a checkout with --purejaxrl", file=sys.stderr)
            continue
        worker = Worker(name, options)
        if worker.missing:
            print(f"{name} does not take part: {worker.missing}", file=sys.stderr)
        else:
            workers.append(worker)
    return workers


def compete(workers: list["Worker"], options: Options) -> dict[str, Any]:
    """Return the figures of all."""
    times: dict[str, list[float]] = {worker.name: [] for worker in workers}
    seconds = busy = 0.0
    for worker in workers:
        worker.ask("1")
    for _ in range(options.rounds):
        for worker in workers:
            answer = worker.ask(str(options.iterations))
            times[worker.name].append(answer["seconds"])
            seconds, busy = seconds + answer["seconds"], busy + answer["processor_seconds"]
    steps = options.setting.steps * options.iterations
    gflops = ceiling(options)
    results = []
    for worker in workers:
        own, returns = times[worker.name], worker.ask("")["returns"]
        speeds = [steps / seconds for seconds in own]
        result = {"contestant": worker.name} | worker.ready
        result |= {
            "steps_per_second": round(speed := statistics.median(speeds)),
            "each_round": [round(speed) for speed in speeds],
            "first_return": round(returns[0], 2),
            "last_return": round(statistics.mean(returns[-options.iterations :]), 2),
        }
        if worker.name in SAME_NETWORK:
            result["share_of_ceiling"] = round(speed * options.setting.operations / gflops / 1e9, 3)
        for peer in (BASE, "torch"):
            if peer in times:
                result[f"ratio_to_{peer}"] = round(median_ratio(times[peer], own), 3)
        results.append(result)
    return {
        "setting": dataclasses.asdict(options.setting),
        "matmul_gflops": gflops,
        "processor_share": round(busy / seconds, 3),
        "iterations": 1 + options.rounds * options.iterations,
        "results": results,
    }


def ceiling(options: Options) -> float:
    """Return what a large matrix product reaches with the contestants' threads, 10⁹ operations a second.

    In a process of its own: this one's JAX has threads from before it was pinned, which that does not bind.
    """
    command = [sys.executable, "-c", "import common; print(common.matmul_gflops())"]
    done = subprocess.run(
        command,
        cwd=WORKER.parent,
        env=environment(options),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(done.stdout)


def environment(options: Options) -> dict[str, str]:
    """Return a contestant's environment: the user's own, with one thread where there is one core."""
    threads = {"OMP_NUM_THREADS": "1"} if pins(options.core) else {}
    preallocate = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}  # several processes share a GPU's memory
    return dict(os.environ) | threads | preallocate


class Worker:
    """A contestant's process."""

    def __init__(self, name: str, options: Options):
        """Start it, and wait until it has compiled."""
        self.name = name
        python = options.torch_python if name == "torch" else sys.executable
        self.process = subprocess.Popen(
            [python, str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(options),
        )
        self.ready = self.ask(
            json.dumps(
                {
                    "name": name,
                    "setting": dataclasses.asdict(options.setting),
                    "checkout": str(options.purejaxrl),
                    "iterations": options.iterations,
                    "total": 1 + options.rounds * options.iterations,
                }
            )
        )
        self.missing: str = self.ready.get("missing", "")

    def ask(self, line: str) -> dict[str, Any]:
        """Return the answer to a line."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.name} stopped; its message is above")
        return json.loads(answer)

    def stop(self) -> None:
        """End it."""
        self.process.communicate()


if __name__ == "__main__":
    main()
