"""Held-out return after a given time of training, for each core: what throughput is for.

    taskset -c 0 python benchmarks/returns.py mdp-h100-quick --seconds 60 180 --json returns.json

For each core and time, the number of iterations is chosen from its speed, measured first, so that a run
with the preset's own schedules takes that long; compilation comes before and is told apart. A run then
trains from fresh parameters, and its agent is evaluated on held-out tasks with sampled actions. The
seconds that it took in the end are reported.
"""

import dataclasses
import itertools
import sys
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from common import core_variant, machine, markdown, override, processor_share, write
from throughput_programs import Training

from rl3_jax import CORES, ConfigError, TrainConfig, make_config
from rl3_jax.training import CHUNK_CAPACITY, Agent, evaluate

COLUMNS = {
    "preset": "preset",
    "method": "method",
    "policy": "policy",
    "shared_trunk": "shared trunk",
    "asked_seconds": "asked, s",
    "train_seconds": "training, s",
    "iterations": "iterations",
    "steps": "steps, M",
    "compile_seconds": "compile, s",
    "mean_return": "return",
    "standard_error": "±",
}
PROBE = 4
"""Iterations from which the speed is measured, after as many to warm up."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What to train, and how long.

    Attributes:
      preset: name of a preset.
      policies: cores, e.g. `gru` or `mingru:layers=2`; all of them if none is given.
      methods: `rl2`, `rl3`, `rl3-coarse`.
      seconds: times of training.
      set: changes of any field, e.g. `policy.shared_trunk=true`.
      num_tasks: held-out tasks.
      json: file for the results, instead of standard output.
    """

    preset: tyro.conf.Positional[str]
    policies: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("rl3",)
    seconds: tuple[float, ...] = (60.0,)
    set: tuple[str, ...] = ()
    num_tasks: int = 2000
    json: Path | None = None


def main() -> None:
    """Train and evaluate, print a table, and write JSON."""
    options = tyro.cli(Options, description=__doc__)
    cases = list(itertools.product(options.methods, options.policies or tuple(CORES)))
    configs = [configure(options, method, policy) for method, policy in cases]  # mistakes show at once
    results = []
    for (method, policy), config in zip(cases, configs, strict=True):
        each = seconds_each(config)
        for asked in options.seconds:
            iterations = max(1, round(asked / each))
            found = train(dataclasses.replace(config, iterations=iterations), options.num_tasks)
            names = {"preset": options.preset, "method": method, "policy": policy}
            shared = "yes" if config.policy.shared_trunk else "no"
            results.append(names | {"shared_trunk": shared, "asked_seconds": asked} | found)
            print(markdown(results[-1:], COLUMNS).splitlines()[-1], file=sys.stderr, flush=True)
    print(markdown(results, COLUMNS), file=sys.stderr)
    report = machine() | {"benchmark": "returns", "processor_share": processor_share()}
    asked_for = {"set": options.set, "held-out tasks": options.num_tasks}
    write(options.json, report | {"options": asked_for, "results": results})


def configure(options: Options, method: str, policy: str) -> TrainConfig:
    """Return a valid preset with that core and method, changed as asked."""
    try:
        config = _configure(options, method, policy)
        config.validate()
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    return config


def _configure(options: Options, method: str, policy: str) -> TrainConfig:
    """Return the configuration that is asked for."""
    config = make_config(options.preset, method=method)
    if policy != config.policy.core.core:  # or else as the preset has it
        config = dataclasses.replace(
            config, policy=dataclasses.replace(config.policy, core=core_variant(policy))
        )
    return reduce(override, options.set, config)


def seconds_each(config: TrainConfig) -> float:
    """Return the seconds of an iteration."""
    program = Training(config)
    program.seconds_of(PROBE)
    return program.seconds_of(PROBE) / PROBE


def train(config: TrainConfig, num_tasks: int) -> dict[str, Any]:
    """Return how long a run took, and what its agent reaches."""
    program = Training(config)
    left = config.iterations
    taken = 0.0
    while left:
        taken += program.seconds_of(min(left, CHUNK_CAPACITY))
        left -= min(left, CHUNK_CAPACITY)
    agent = Agent(params=program.state.learnt.params["actor"], policy=config.network)
    returns = evaluate(config.env, agent, num_tasks=num_tasks).sum(axis=1, dtype=np.float64)
    return {
        "train_seconds": round(taken, 1),
        "iterations": config.iterations,
        "steps": round(config.iterations * config.steps_per_iteration / 1e6, 2),
        "compile_seconds": round(program.trace_seconds + program.compile_seconds, 1),
        "mean_return": round(float(returns.mean()), 2),
        "standard_error": round(float(returns.std(ddof=1) / np.sqrt(num_tasks)), 2),
    }


if __name__ == "__main__":
    main()
