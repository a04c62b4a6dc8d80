"""Microseconds a step and task of each sequence core: forward, gradient and acting, and the memory they take.

    taskset -c 0 python benchmarks/cores.py --json cores.json     # on one core

A core stands in a whole policy (input layer, core, head). `forward` and `gradient` go through whole trials
of a batch of tasks, `gradient` with the value and all weights' gradients; `acting` steps through the trials
as rollouts do, each step of all tasks at once. Programs of one horizon run in turn. Activation memory is
what the compiled gradient says it needs besides arguments and results; a program that needs more than
`--memory-limit` is not run.
"""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import tyro
from common import (
    core_variant,
    in_turn,
    machine,
    markdown,
    median_ratio,
    num_parameters,
    processor_share,
    seconds,
    write,
)

from rl3_jax import CORES, PolicyConfig
from rl3_jax.constraints import problems
from rl3_jax.policies import Categorical, Policy

BASE = "gru"
"""The core that the others are compared with."""
ACTIONS, OBSERVATION = 5, 20
KINDS = ("forward", "gradient", "acting")
TURN_SECONDS = 0.1
"""A short program is repeated within its turn for about this long."""
COLUMNS = {
    "horizon": "H",
    "core": "core",
    **{f"{kind}_us": f"{kind}, µs" for kind in KINDS},
    **{f"{kind}_ratio": f"{kind}, × {BASE}" for kind in KINDS},
    "activation_mib": "activations, MiB",
    "carry_bytes": "carry, bytes",
    "compile_seconds": "compile, s",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure, and how.

    Attributes:
      cores: names of cores, or variants like `mingru:layers=2`; all cores if none is given.
      horizons: trial lengths.
      tasks: trials at once.
      width: units of the input layer and of the core.
      compute: type of the matrix products' operands.
      rounds: turns of each program.
      memory_limit: MiB of activations above which a program is not run.
      json: file for the results.
    """

    cores: tyro.conf.Positional[tuple[str, ...]] = ()
    horizons: tuple[int, ...] = (128, 512, 2048, 4096)
    tasks: int = 32
    width: int = 64
    compute: Literal["float32", "bfloat16"] = "float32"
    rounds: int = 5
    memory_limit: float = 4096.0
    json: Path | None = None


def main() -> None:
    """Measure, print a table, and write JSON."""
    options = tyro.cli(Options, description=__doc__)
    results = []
    for horizon in options.horizons:
        results += measure(options, horizon)
    print(markdown(results, COLUMNS))
    if options.json is not None:
        asked = dataclasses.asdict(options)
        del asked["json"]
        report = machine() | {"benchmark": "cores", "processor_share": processor_share()}
        write(options.json, report | {"options": asked, "results": results})


def measure(options: Options, horizon: int) -> list[dict[str, Any]]:
    """Return the figures of all cores at one horizon."""
    results, programs = [], {}
    for name in options.cores or tuple(CORES):
        result, compiled = prepare(options, name, horizon)
        results.append(result)
        programs |= {(name, kind): run for kind, run in compiled.items()}
    repeats = {key: max(1, round(TURN_SECONDS / seconds(run))) for key, run in programs.items()}
    turns = {key: partial(repeat, run, repeats[key]) for key, run in programs.items()}
    times = in_turn(turns, options.rounds)
    for result in results:
        for kind in KINDS:
            key, base = (result["core"], kind), (BASE, kind)
            if key not in times:
                continue
            own = [x / repeats[key] for x in times[key]]
            result[f"{kind}_us"] = round(statistics.median(own) / (options.tasks * horizon) * 1e6, 4)
            if base in times:
                result[f"{kind}_ratio"] = round(
                    median_ratio(own, [x / repeats[base] for x in times[base]]), 3
                )
    return results


def prepare(options: Options, name: str, horizon: int) -> tuple[dict[str, Any], dict[str, Callable[[], Any]]]:
    """Return what is known of a core before it runs, and its compiled programs that fit the memory."""
    print(f"compiling {name}, H = {horizon}", file=sys.stderr, flush=True)
    config = PolicyConfig(core=core_variant(name), width=options.width, compute=options.compute)
    if found := problems(config, "policy") or config.core.spec_problems(config.spec(horizon)):
        raise SystemExit("\n".join(found))
    policy = Policy(config, OBSERVATION, Categorical(ACTIONS), horizon)
    params = policy.init(jax.random.key(0))["actor"]
    observations = jax.random.normal(jax.random.key(1), (options.tasks, horizon, OBSERVATION))
    start = time.perf_counter()
    compiled = {
        kind: jax.jit(partial(program, policy)).lower(params, observations).compile()
        for kind, program in zip(KINDS, (forward, gradient, act), strict=True)
    }
    result = {
        "horizon": horizon,
        "core": name,
        "parameters": num_parameters(params),
        "carry_bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(policy.initial_carry())),
        "compile_seconds": round(time.perf_counter() - start, 2),
    }
    runs = {}
    for kind, program in compiled.items():
        analysis = program.memory_analysis()
        mib = analysis.temp_size_in_bytes / 2**20 if analysis is not None else 0.0
        if kind == "gradient":
            result["activation_mib"] = round(mib, 3)
        if mib <= options.memory_limit:
            runs[kind] = partial(program, params, observations)
        else:
            print(f"{name}, H = {horizon}: {kind} needs {mib:.0f} MiB; not run", file=sys.stderr)
    return result, runs


def repeat(run: Callable[[], Any], times: int) -> None:
    """Run a program some times, each until its result is there."""
    for _ in range(times):
        jax.block_until_ready(run())


def forward(policy: Policy, params: Any, observations: jax.Array) -> jax.Array:
    """Return the outputs at all steps."""
    carries = policy.initial_carries(observations.shape[0])
    return policy.unroll({"actor": params}, carries, observations)[1][0]


def gradient(policy: Policy, params: Any, observations: jax.Array) -> Any:
    """Return a loss that all outputs enter, and its gradient."""
    return jax.value_and_grad(lambda params: (forward(policy, params, observations) ** 2).mean())(params)


def act(policy: Policy, params: Any, observations: jax.Array) -> jax.Array:
    """Return the outputs at all steps, stepping through each trial."""

    def trial(observations):
        def step(carry, observation):
            return policy.step({"actor": params}, carry, observation)[:2]

        return jax.lax.scan(step, policy.initial_carry(), observations)[1]

    return jax.vmap(trial)(observations)


if __name__ == "__main__":
    main()
