"""Whole training of presets: compile time, steps per second, where the time goes, and peak memory.

    taskset -c 0 python benchmarks/throughput.py mdp-h100-quick --methods rl2 rl3 --policies gru mingru

For each preset, core, method and horizon: seconds to trace and compile; environment steps per second of
whole iterations; and the shares of an iteration. `rollout_share` is the time of collecting trials, compiled
apart, over that of the whole; `update_share` is the rest. `object_rl_share` compares the whole with a
program whose action values and counts are frozen at zero, so that observation and networks keep their
size. The programs of a preset take turns, and ratios are medians over the rounds. The actor's KL stop is
off, so that each iteration does all its epochs, whatever it learns.
"""

import dataclasses
import itertools
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Iterable
from functools import partial, reduce
from pathlib import Path
from typing import Any

import jax
import tyro
from common import (
    core_variant,
    in_turn,
    machine,
    markdown,
    median_ratio,
    override,
    peak_memory_mib,
    processor_share,
    write,
)
from throughput_programs import Collecting, Training

from rl3_jax import PRESETS, ConfigError, TrainConfig, make_config
from rl3_jax.object_rl import NoLearner
from rl3_jax.training import CHUNK_CAPACITY

KEYS = ("preset", "policy", "method", "horizon")
COLUMNS = {
    **{key: key for key in KEYS},
    "steps_per_second": "steps/s",
    "ratio_to_rl2": "× rl2",
    "ratio_to_shortest": "× shortest H",
    "rollout_share": "rollout",
    "object_rl_share": "object-level RL",
    "update_share": "update",
    "trace_seconds": "trace, s",
    "compile_seconds": "compile, s",
    "peak_memory_mib": "peak memory, MiB",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure, and how.

    Attributes:
      presets: names of presets; if none is given, all but the long ones, whose programs are the quick ones'.
      methods: `rl2`, `rl3`, `rl3-coarse`.
      policies: cores instead of the preset's own, e.g. `markov` or `mingru:layers=2`.
      horizons: trial lengths instead of the preset's own.
      set: changes of any field, e.g. `ppo.trials=64` or `policy.shared_trunk=true`.
      repeats: timed runs of each program.
      seconds: length that a timed run aims at.
      shares: whether to measure the shares of an iteration.
      peak_memory: also train each configuration for one iteration in a process of its own, and tell the
        largest resident memory that it had.
      json: file for the results, instead of standard output.
    """

    presets: tyro.conf.Positional[tuple[str, ...]] = ()
    methods: tuple[str, ...] = ("rl3",)
    policies: tuple[str, ...] = ()
    horizons: tuple[int, ...] = ()
    set: tuple[str, ...] = ()
    repeats: int = 5
    seconds: float = 2.0
    shares: bool = True
    peak_memory: bool = False
    json: Path | None = None


@dataclasses.dataclass(frozen=True)
class Case:
    """One configuration by the names that make it; its text is understood by `configure`."""

    preset: str
    policy: str | None
    method: str
    horizon: int | None
    set: tuple[str, ...]


def main() -> None:
    """Measure, print a table, and write JSON."""
    if sys.argv[1:2] == ["--peak-memory-of"]:
        return train_once(Case(**json.loads(sys.argv[2])))
    options = tyro.cli(Options, description=__doc__)
    results = []
    for preset in options.presets or tuple(name for name in PRESETS if not name.endswith("-long")):
        cases = [
            Case(preset, policy, method, horizon, options.set)
            for policy, method, horizon in itertools.product(
                options.policies or (None,), options.methods, options.horizons or (None,)
            )
        ]
        results += measure(cases, options)
        print(markdown(results[-len(cases) :], COLUMNS), file=sys.stderr, flush=True)
    report = machine() | {"benchmark": "throughput", "processor_share": processor_share()}
    write(options.json, report | {"options": {"set": options.set}, "results": results})


def configure(case: Case) -> TrainConfig:
    """Return the configuration of a case, valid, with the KL stop off."""
    try:
        config = _configure(case)
        config.validate()
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    return dataclasses.replace(config, ppo=dataclasses.replace(config.ppo, kl_limit=math.inf))


def _configure(case: Case) -> TrainConfig:
    """Return the configuration of a case, as asked for."""
    config = make_config(case.preset, method=case.method)
    if case.policy is not None:
        policy = dataclasses.replace(config.policy, core=core_variant(case.policy))
        config = dataclasses.replace(config, policy=policy)
    if case.horizon is not None:
        config = dataclasses.replace(config, horizon=case.horizon)
    return reduce(override, case.set, config)


def measure(cases: list[Case], options: Options) -> list[dict[str, Any]]:
    """Return the figures of configurations that take turns."""
    configs = [configure(case) for case in cases]
    programs = {}
    for index, config in enumerate(configs):
        programs[index, "whole"] = Training(config)
        if options.shares:
            programs[index, "rollout"] = Collecting(config)
        if options.shares and config.features.uses_object_rl:
            programs[index, "frozen"] = Training(dataclasses.replace(config, learner=NoLearner()))
    iterations = {}
    for index in range(len(cases)):
        first = programs[index, "whole"].seconds_of(1)
        iterations[index] = min(max(1, round(options.seconds / first)), CHUNK_CAPACITY)
    turns = {key: partial(program.run, iterations[key[0]]) for key, program in programs.items()}
    in_turn(turns, 1)
    times = {
        key: [x / iterations[key[0]] for x in seconds]
        for key, seconds in in_turn(turns, options.repeats).items()
    }
    results = [
        figures(case, config, index, programs[index, "whole"], times)
        for index, (case, config) in enumerate(zip(cases, configs, strict=True))
    ]
    compare(results, times, configs)
    if options.peak_memory:
        for case, result in zip(cases, results, strict=True):
            result["peak_memory_mib"] = peak_memory_of(case)
    return results


def figures(
    case: Case, config: TrainConfig, index: int, whole: Training, times: dict[tuple[int, str], list[float]]
) -> dict[str, Any]:
    """Return the figures of one configuration."""
    own = times[index, "whole"]
    seconds = statistics.median(own)
    result = {
        "preset": case.preset,
        "policy": case.policy or config.policy.core.core,
        "method": case.method,
        "horizon": config.horizon,
        "steps_per_iteration": config.steps_per_iteration,
        "trace_seconds": round(whole.trace_seconds, 3),
        "compile_seconds": round(whole.compile_seconds, 3),
        "seconds_per_iteration": round(seconds, 4),
        "steps_per_second": round(config.steps_per_iteration / seconds),
    }
    if (index, "rollout") in times:
        rollout = median_ratio(times[index, "rollout"], own)
        result |= {"rollout_share": round(rollout, 4), "update_share": round(1.0 - rollout, 4)}
    if (index, "frozen") in times:
        result["object_rl_share"] = round(1.0 - median_ratio(times[index, "frozen"], own), 4)
    return result


def compare(
    results: list[dict[str, Any]], times: dict[tuple[int, str], list[float]], configs: list[TrainConfig]
) -> None:
    """Add each result's throughput over that of RL², and of the shortest horizon, other things equal."""
    per_step = [
        [x / config.steps_per_iteration for x in times[index, "whole"]]
        for index, config in enumerate(configs)
    ]
    for index, result in enumerate(results):
        like = partial(matching, results, result)
        for other in like(("preset", "policy", "horizon")):
            if results[other]["method"] == "rl2":
                result["ratio_to_rl2"] = round(median_ratio(per_step[other], per_step[index]), 3)
        shortest = min(like(("preset", "policy", "method")), key=lambda other: results[other]["horizon"])
        if len(list(like(("preset", "policy", "method")))) > 1:
            ratio = median_ratio(per_step[shortest], per_step[index])
            result["ratio_to_shortest"] = round(ratio, 3)


def matching(results: list[dict[str, Any]], result: dict[str, Any], keys: Iterable[str]) -> list[int]:
    """Return the places of the results that agree with one in some keys."""
    return [index for index, x in enumerate(results) if all(x[key] == result[key] for key in keys)]


def peak_memory_of(case: Case) -> float:
    """Return the peak resident memory of training one configuration for an iteration, MiB."""
    command = [sys.executable, __file__, "--peak-memory-of", json.dumps(dataclasses.asdict(case))]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def train_once(case: Case) -> None:
    """Train for an iteration, and print the peak resident memory."""
    jax.block_until_ready(Training(configure(case)).run(1))
    print(peak_memory_mib())


if __name__ == "__main__":
    main()
