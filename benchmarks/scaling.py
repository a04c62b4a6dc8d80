"""How training scales with tasks, seeds, devices and processes: whole commands, as a user would type them.

    python benchmarks/scaling.py --json scaling.json --figure scaling.png
    taskset -c 0 python benchmarks/scaling.py --axes tasks seeds --preset bandit-h100-quick

Each row is one `rl3 train` in processes of its own, without evaluations, first with an empty cache of
compiled programs (*cold*) and then again (*warm*). The rows of an axis take turns, and figures are medians
over the rounds. Steps per second are those of `metrics.jsonl`, of all runs and devices together; *memory* is
the largest resident memory, of all processes together. On a CPU, devices and processes are made of its cores,
with one thread each, also if there are more of them than cores. *Of one by one* is the time of R seeds in one
program over that of R commands one after another, of which the first is cold and the others are warm.
"""

import dataclasses
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import matplotlib.pyplot as plt
import tyro
from common import machine, markdown, write

from rl3_jax import ConfigError, make_config
from rl3_jax.run import metrics
from rl3_jax.run.folder import RunFolder
from rl3_jax.startup import one_device_a_core

COLUMNS = {
    "axis": "of",
    "number": "number",
    "steps_per_second": "steps/s",
    "speedup": "× first",
    "cold_seconds": "cold, s",
    "warm_seconds": "warm, s",
    "of_one_by_one": "of one by one",
    "memory_mib": "memory, MiB",
}
AXES = ("tasks", "seeds", "devices", "processes")
PEAK_MIB = 2**20 if sys.platform == "darwin" else 2**10
"""By what the operating system's figure of a peak is divided: macOS counts bytes, Linux KiB."""
ROOT = Path(__file__).parents[1]


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
      preset: that is trained.
      axes: some of `tasks`, `seeds`, `devices`, `processes`.
      tasks: trials of an iteration; minibatches keep their number.
      seeds: runs in one program.
      devices: that share the trials of one run.
      processes: of one device each.
      steps: environment steps of a run, millions; at least 4 iterations.
      rounds: how often each command is run cold and warm.
      json: file for the results, instead of standard output.
      figure: file for the figure; none is drawn without it.
    """

    preset: str = "mdp-h100-quick"
    axes: tuple[str, ...] = AXES
    tasks: tuple[int, ...] = (128, 256, 512, 1024, 2048, 4096, 8192)
    seeds: tuple[int, ...] = (1, 2, 4, 8)
    devices: tuple[int, ...] = (1, 2, 4, 8)
    processes: tuple[int, ...] = (1, 2, 4)
    steps: float = 3.2
    rounds: int = 3
    json: Path | None = None
    figure: Path | None = None


def main() -> None:
    """Run the commands, print the table, write JSON and draw the figure."""
    options = tyro.cli(Options, description=__doc__)
    if unknown := set(options.axes) - set(AXES):
        raise SystemExit(f"unknown axes {', '.join(sorted(unknown))}; choose from: {', '.join(AXES)}")
    results = [row for axis in options.axes for row in measure(options, axis)]
    print(markdown(results, COLUMNS), file=sys.stderr)
    asked = {name: value for name, value in vars(options).items() if name not in ("json", "figure")}
    write(options.json, machine() | {"benchmark": "scaling", "options": asked, "results": results})
    if options.figure is not None:
        draw(options.figure, results)


def measure(options: Options, axis: str) -> list[dict[str, Any]]:
    """Return the figures of an axis, a row for each number."""
    numbers = getattr(options, axis)
    found: dict[int, list[dict[str, float]]] = {number: [] for number in numbers}
    for _ in range(options.rounds):
        for number in numbers:
            print(f"{axis}: {number}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory() as folder:
                cold, warm = (train(options, axis, number, Path(folder)) for _ in range(2))
            found[number].append(warm | {"cold_seconds": cold["seconds"], "warm_seconds": warm["seconds"]})
    rows = []
    for number, rounds in found.items():
        medians = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        del medians["seconds"]
        rows.append({"axis": axis, "number": number} | medians)
    for row in rows:
        row["speedup"] = row["steps_per_second"] / rows[0]["steps_per_second"]
        if axis == "seeds" and numbers[0] == 1:
            one_by_one = rows[0]["cold_seconds"] + (row["number"] - 1) * rows[0]["warm_seconds"]
            row["of_one_by_one"] = row["cold_seconds"] / one_by_one
    return rows


def arguments(options: Options, axis: str, number: int) -> list[str]:
    """Return the arguments of `rl3 train` with a number of tasks, seeds or devices."""
    try:
        config = make_config(options.preset)
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    trials = number if axis == "tasks" else config.ppo.trials
    iterations = max(4, round(options.steps * 1e6 / (trials * config.horizon)))
    line = [options.preset, "--iterations", iterations, "--evaluation.every", 0]
    line += ["--ppo.trials", trials, "--ppo.minibatch-trials", trials // config.ppo.num_minibatches]
    line += {"seeds": ["--num-seeds", number], "devices": ["--devices", number]}.get(axis, [])
    return list(map(str, line))


def train(options: Options, axis: str, number: int, folder: Path) -> dict[str, float]:
    """Run a command, in several processes if that is the axis; returns its figures."""
    out = folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "rl3_jax", "train", *arguments(options, axis, number), "--out", str(out)]
    joining: list[list[str]] = [[]]
    if axis == "processes" and number > 1:
        where = ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", str(number), "--process-id"]
        joining = [[*where, str(place)] for place in range(number)]
    environment = os.environ | {"XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    environment |= devices_of(axis, number)
    log = folder / "log"
    started = time.perf_counter()
    with log.open("w") as text:
        processes = [
            subprocess.Popen([*command, *more], env=environment, stdout=text, stderr=text) for more in joining
        ]
        ended = [os.wait4(process.pid, 0) for process in processes]
    seconds = time.perf_counter() - started
    if any(status for _, status, _ in ended):
        raise SystemExit(log.read_text())
    runs = [out] if RunFolder(out).config.exists() else sorted(out.iterdir())
    paces = [[row["steps_per_second"] for row in metrics.read(RunFolder(run).metrics)] for run in runs]
    return {
        "steps_per_second": sum(map(statistics.median, paces)),
        "seconds": seconds,
        "memory_mib": sum(usage.ru_maxrss for *_, usage in ended) / PEAK_MIB,
    }


def devices_of(axis: str, number: int) -> dict[str, str]:
    """Return what makes so many devices of a CPU for a process, of one thread each."""
    if axis not in ("devices", "processes") or jax.default_backend() != "cpu":
        return {}
    environment = {"XLA_FLAGS": os.environ.get("XLA_FLAGS", "")}
    one_device_a_core(environment)
    return environment | {"JAX_NUM_CPU_DEVICES": str(number if axis == "devices" else 1)}


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def draw(file: Path, results: list[dict[str, Any]]) -> None:
    """Draw the speed over the number for each axis, and the memory over the number of tasks."""
    axes = list(dict.fromkeys(row["axis"] for row in results))
    panels = [(axis, "steps_per_second", "steps per second") for axis in axes]
    panels += [("tasks", "memory_mib", "memory, MiB")] if "tasks" in axes else []
    size = (3.2 * len(panels), 3.2)
    figure, places = plt.subplots(1, len(panels), figsize=size, layout="constrained", squeeze=False)
    for place, (axis, figures, label) in zip(places[0], panels, strict=True):
        rows = [row for row in results if row["axis"] == axis]
        numbers = [row["number"] for row in rows]
        place.plot(numbers, [row[figures] for row in rows], "o-")
        if figures == "steps_per_second":
            place.set_xscale("log", base=2)
            place.set_xticks(numbers, numbers, rotation=45)
            place.minorticks_off()
        place.set(xlabel=axis, ylabel=label)
        place.set_ylim(bottom=0.0)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
