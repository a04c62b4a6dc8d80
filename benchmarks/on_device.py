"""How fast this machine's accelerator trains, in a few minutes: the rows that matter most come first.

    python benchmarks/on_device.py --seconds 240 --json on_device.json
    JAX_PLATFORMS=cpu python benchmarks/on_device.py --tasks 64 --rows bandit-gru mdp-markov    # a rehearsal

Each row compiles the program of whole training, rollout and update, and times it for a few seconds. JSON is
written after each row, so that what is measured stays if the time is up; no row is begun after `--seconds`.
Then the two fastest are measured with 256 to 65 536 tasks. *Of ceiling* is the rate of arithmetic in matrix
products, counted from the compiled program with all epochs, over that of one large float32 product there.
*Kernel's error* is how far the gradient that a GRU's own kernel yields is from that of XLA's loop.
"""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from common import machine, markdown, matmul_gflops, write

from rl3_jax import ConfigError, TrainConfig, make_config, plan
from rl3_jax.policies import suited
from rl3_jax.presets import vary
from rl3_jax.run.planning import names_kept
from rl3_jax.run.program import compile_chunk, placement
from rl3_jax.training.hlo import training_costs


@dataclasses.dataclass(frozen=True)
class Row:
    """One program: a preset with some fields changed, for so many tasks and seeds."""

    preset: str
    tasks: int
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)
    seeds: int = 1


ROWS = {
    "gridworld-mingru": Row("gridworld-11x11-quick", 4096),
    "bandit-gru": Row("bandit-h100-quick", 4096, {"policy": "gru"}),
    "bandit-gru-kernel": Row("bandit-h100-quick", 4096, {"policy": "gru", "policy.core.gradient": "kernel"}),
    "bandit-mingru": Row("bandit-h100-quick", 16384),
    "paper-transformer": Row("mdp-h100", 1024),
    "paper-transformer-bf16": Row("mdp-h100", 1024, {"policy.compute": "bfloat16"}),
    "mdp-markov": Row("mdp-h100-quick", 16384),
    "mdp-markov-16-seeds": Row("mdp-h100-quick", 16384, seeds=16),
    "gridworld-mingru-many": Row("gridworld-11x11-quick", 16384),
}
"""By name, the most wanted first."""
CEILING_SIZE = {"cpu": 1024}
"""Of the matrix product that is the ceiling, by backend; 8192 on accelerators."""
SIZES = (256, 1024, 4096, 16384, 65536)
COLUMNS = {
    "row": "row",
    "tasks": "tasks",
    "seeds": "seeds",
    "steps_per_second": "steps/s",
    "of_ceiling": "of ceiling",
    "compile_seconds": "compile, s",
    "step_kernels": "kernels a step",
    "minibatch_kernels": "kernels a minibatch",
    "program_mib": "program, MiB",
    "kernel_error": "kernel's error",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
      seconds: after which no row is begun.
      rows: names of rows; all if none is given.
      tasks: instead of each row's own, for a rehearsal on a CPU.
      json: file for the results.
    """

    seconds: float = 240.0
    rows: tuple[str, ...] = ()
    tasks: int | None = None
    json: Path = Path("on_device.json")


def main() -> None:
    """Measure row by row, and print the table at the end."""
    options = tyro.cli(Options, description=__doc__)
    end = time.monotonic() + options.seconds
    if unknown := sorted(set(options.rows) - set(ROWS)):
        raise SystemExit(f"unknown rows {', '.join(unknown)}; choose from: {', '.join(ROWS)}")
    ceiling = matmul_gflops(CEILING_SIZE.get(jax.default_backend(), 8192))
    results: list[dict[str, Any]] = []
    report = machine() | {"benchmark": "on_device", "matmul_gflops": ceiling, "results": results}
    for name in options.rows or ROWS:
        add(results, name, options.tasks, ceiling, end)
        write(options.json, report)
    if not options.rows and options.tasks is None:
        fastest = sorted(results, key=lambda found: -found.get("steps_per_second", 0.0))[:2]
        for name, tasks in ((found["row"], tasks) for tasks in SIZES for found in fastest):
            if tasks != ROWS[name].tasks:
                add(results, name, tasks, ceiling, end)
                write(options.json, report)
    print(markdown(results, COLUMNS), file=sys.stderr)


def add(results: list[dict[str, Any]], name: str, tasks: int | None, ceiling: float, end: float) -> None:
    """Add the figures of a row, unless the time is up; of one that cannot run the reason."""
    row = ROWS[name] if tasks is None else dataclasses.replace(ROWS[name], tasks=tasks)
    if time.monotonic() >= end:
        return
    print(f"{name}, {row.tasks} tasks", file=sys.stderr, flush=True)
    try:
        found = measure(row, ceiling)
    except (ConfigError, jax.errors.JaxRuntimeError) as error:  # as a rule too little memory
        found = {"problem": str(error).partition("\n")[0]}
    results.append({"row": name, "tasks": row.tasks, "seeds": row.seeds} | found)


def configure(row: Row) -> TrainConfig:
    """Return the configuration of a row; minibatches keep their number."""
    config = make_config(row.preset)
    minibatch = row.tasks // config.ppo.num_minibatches
    return vary(config, row.fields | {"ppo.trials": row.tasks, "ppo.minibatch_trials": minibatch})


def measure(row: Row, ceiling: float) -> dict[str, Any]:
    """Return the figures of a row."""
    config = configure(row)
    with names_kept():
        found = plan(config, num_seeds=row.seeds)
        compiled = compile_chunk(config, row.seeds, placement(config, num_runs=row.seeds)).compiled
    costs = training_costs(compiled.as_text() or "")
    figures = {
        "steps_per_second": round(found["steps_per_second"], 1),
        "compile_seconds": found["seconds"]["compile"],
        "program_mib": round((found["bytes"]["program"] or 0) / 2**20, 1),
    }
    for name, loop in (("step", "rollout_step"), ("minibatch", "gradient_step")):
        figures |= {f"{name}_kernels": costs[loop]["kernels"]} if loop in costs else {}
    if costs.keys() == {"rollout_step", "gradient_step"}:
        updates = config.ppo.epochs * config.ppo.num_minibatches
        flops = config.horizon * costs["rollout_step"]["flops"] + updates * costs["gradient_step"]["flops"]
        runs = row.seeds if jax.default_backend() == "cpu" else 1  # in turn, or in one program
        per_second = runs * flops / found["seconds"]["iteration"]
        figures["of_ceiling"] = round(per_second / 1e9 / ceiling, 4)
    if getattr(config.policy.core, "gradient", None) == "kernel":
        figures["kernel_error"] = kernel_error(config, row.tasks)
    return figures


def kernel_error(config: TrainConfig, tasks: int) -> float:
    """Return the largest difference of the gradients with kernel and with loop, over the largest entry."""
    spec = config.policy.spec(config.horizon)
    keys = jax.random.split(jax.random.key(0))
    carry, inputs = (
        jnp.zeros((tasks, spec.width)),
        jax.random.normal(keys[0], (tasks, spec.horizon, spec.width)),
    )
    params = config.policy.core.module(spec).init(keys[1], carry, inputs)

    def gradient(core):
        module: Any = suited(core, jax.default_backend()).module(spec)
        return jax.jit(jax.grad(lambda *arrays: (module.apply(*arrays)[1] ** 2).sum(), (0, 1, 2)))

    with_loop = vary(config, {"policy.core.gradient": "recomputed"})
    found, expected = (
        jax.tree.leaves(gradient(each.policy.core)(params, carry, inputs)) for each in (config, with_loop)
    )
    return max(float(abs(x - y).max() / abs(y).max()) for x, y in zip(found, expected, strict=True))


if __name__ == "__main__":
    main()
