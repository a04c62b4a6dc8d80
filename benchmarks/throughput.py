"""Training throughput of each preset, with compile and run time apart, as JSON.

    taskset -c 0 python benchmarks/throughput.py > throughput.json     # on one core

For each preset: seconds to trace and compile, environment steps per second of whole iterations
(rollout, object-level RL, update), and the part of an iteration that object-level RL takes. That part
compares the full program with one whose action values and counts are frozen at zero, so that
observation and networks keep their size; the two run in turn, and the median of the ratios is given.
The actor's KL stop is off, so that each iteration does all its epochs, whatever it learns.
"""

import dataclasses
import json
import math
import os
import platform
import statistics
import sys
import time
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import tyro

from rl3_jax import PRESETS, TrainConfig, make_config
from rl3_jax.object_rl import ActionValues, TableSpec, Transition
from rl3_jax.training import CHUNK_CAPACITY, init, train_chunk


@dataclasses.dataclass(frozen=True)
class Options:
    """Which presets to measure, and how.

    Attributes:
      presets: names of presets; all of them if none is given.
      method: `rl2` or `rl3`.
      policy: sequence core instead of the preset's own, e.g. `markov`.
      repeats: timed runs of each program.
      seconds: length that a timed run aims at.
    """

    presets: tyro.conf.Positional[tuple[str, ...]] = ()
    method: str = "rl3"
    policy: str | None = None
    repeats: int = 5
    seconds: float = 2.0


def main() -> None:
    """Measure, and print JSON."""
    options = tyro.cli(Options, description=__doc__)
    results = []
    for preset in options.presets or tuple(PRESETS):
        config = make_config(preset, method=options.method, policy=options.policy)
        config = dataclasses.replace(config, ppo=dataclasses.replace(config.ppo, kl_limit=math.inf))
        result = {"preset": preset, "method": options.method, "policy": config.policy.core.core}
        results.append(result | measure(config, options))
        print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    device = jax.devices()[0]
    report = {
        "device": f"{device.platform}: {device.device_kind}",
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "results": results,
    }
    print(json.dumps(report, indent=2))


def measure(config: TrainConfig, options: Options) -> dict[str, Any]:
    """Return the figures of one configuration."""
    programs = [Program(config)]
    if config.features.uses_object_rl:
        programs.append(Program(dataclasses.replace(config, learner=FrozenAtZero())))
    full = programs[0]
    iterations = min(max(1, round(options.seconds / full.run(1))), CHUNK_CAPACITY)
    for program in programs:
        program.run(iterations)
    times = [[program.run(iterations) for program in programs] for _ in range(options.repeats)]
    seconds = statistics.median(full_time for full_time, *_ in times) / iterations
    result = {
        "steps_per_iteration": config.steps_per_iteration,
        "trace_seconds": round(full.trace_seconds, 3),
        "compile_seconds": round(full.compile_seconds, 3),
        "seconds_per_iteration": round(seconds, 4),
        "steps_per_second": round(config.steps_per_iteration / seconds),
    }
    if len(programs) == 2:
        share = statistics.median(1.0 - frozen / whole for whole, frozen in times)
        result["object_rl_share"] = round(share, 4)
    return result


class Program:
    """Compiled training of one configuration, and its state."""

    def __init__(self, config: TrainConfig):
        """Trace and compile, with the seconds of each."""
        self.state = init(config, jax.random.key(config.seed))
        start = time.perf_counter()
        lowered = train_chunk.lower(config, self.state, jnp.int32(1))
        self.trace_seconds = time.perf_counter() - start
        start = time.perf_counter()
        self.compiled = lowered.compile()
        self.compile_seconds = time.perf_counter() - start

    def run(self, iterations: int) -> float:
        """Return the seconds that some iterations take."""
        start = time.perf_counter()
        self.state, metrics = self.compiled(self.state, jnp.int32(iterations))
        jax.block_until_ready(metrics)
        return time.perf_counter() - start


@dataclasses.dataclass(frozen=True)
class FrozenAtZero:
    """Object-level RL that learns nothing: values and counts are 0."""

    learner: ClassVar[str] = "frozen-at-zero"

    def problems(self) -> list[str]:
        """Return no problems."""
        return []

    def table_problems(self, spec: TableSpec) -> list[str]:
        """Return no problems."""
        del spec
        return []

    def init(self, spec: TableSpec) -> tuple[()]:
        """Return the empty state."""
        del spec
        return ()

    def update(self, spec: TableSpec, state: tuple[()], transition: Transition) -> tuple[()]:
        """Return the empty state."""
        del spec, transition
        return state

    def values(self, spec: TableSpec, state: tuple[()], s: jax.Array) -> ActionValues:
        """Return zeros."""
        del state, s
        return ActionValues(q=jnp.zeros(spec.num_actions), counts=jnp.zeros(spec.num_actions))

    def dropped(self, spec: TableSpec, state: tuple[()]) -> jax.Array:
        """Return 0."""
        del spec, state
        return jnp.int32(0)


if __name__ == "__main__":
    main()
