"""What training programs do on accelerators that are not there: kernels, branches, collectives, memory.

    JAX_PLATFORMS=cpu python benchmarks/accelerators.py --targets h100 --json accelerators.json

Programs are compiled for the target, not run (extras `cuda-plan` and `tpu-plan`). A *step* is one step of all
trials of a device, a *minibatch* one gradient step. Branches and open loops depend on data: a GPU waits for
the host at each. *If launches were all* estimates the speed of a program whose kernels take
`--launch-microseconds` each, however little they do; all epochs are counted, with the actor.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import tyro
from common import machine, markdown, override, write

from rl3_jax import PRESETS, ConfigError, make_config, plan

COLUMNS = {
    "target": "target",
    "preset": "preset",
    "method": "method",
    "policy": "policy",
    "trials": "trials",
    "step_kernels": "kernels a step",
    "step_branches": "branches a step",
    "minibatch_kernels": "kernels a minibatch",
    "minibatch_branches": "branches a minibatch",
    "minibatch_collectives": "collectives a minibatch",
    "step_mflops": "step, MFLOP",
    "step_mb": "step, MB",
    "minibatch_mflops": "minibatch, MFLOP",
    "minibatch_mb": "minibatch, MB",
    "program_mib": "program, MiB",
    "launched_steps_per_second": "if launches were all, M steps/s",
    "compile_seconds": "compile, s",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to compile, and for what.

    Attributes:
      presets: names of presets; the quick ones if none is given.
      targets: as for `rl3 plan --target`.
      policies: cores; the preset's own if none is given.
      methods: `rl2`, `rl3`, `rl3-coarse`.
      set: fields to change, e.g. `ppo.trials=4096`.
      launch_microseconds: that a launch takes, for the bound.
      json: file for the results.
    """

    presets: tyro.conf.Positional[tuple[str, ...]] = ()
    targets: tuple[str, ...] = ("h100",)
    policies: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("rl3",)
    set: tuple[str, ...] = ()
    launch_microseconds: float = 3.0
    json: Path | None = None


def main() -> None:
    """Compile, print a table, and write JSON."""
    options = tyro.cli(Options, description=__doc__)
    presets = options.presets or tuple(name for name in PRESETS if name.endswith("-quick"))
    results = [
        measure(options, target, preset, method, policy)
        for target in options.targets
        for preset in presets
        for method in options.methods
        for policy in options.policies or (None,)
    ]
    print(markdown(results, COLUMNS))
    if options.json is not None:
        asked = dataclasses.asdict(options)
        del asked["json"]
        write(options.json, machine() | {"benchmark": "accelerators", "options": asked, "results": results})


def measure(options: Options, target: str, preset: str, method: str, policy: str | None) -> dict[str, Any]:
    """Return the figures of one program."""
    print(f"compiling {preset} for {target}", file=sys.stderr, flush=True)
    try:
        config = make_config(preset, method=method, policy=policy)
        for assignment in options.set:
            config = override(config, assignment)
        found = plan(config, target=target)
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    result = {"target": target, "preset": preset, "method": method, "policy": config.policy.core.core}
    result |= {"trials": config.ppo.trials, "compile_seconds": found["seconds"]["compile"]}
    result["program_mib"] = round(found["bytes"]["program"] / 2**20, 1)
    for name, loop in (("step", "rollout_step"), ("minibatch", "gradient_step")):
        if loop not in found["costs"]:
            continue
        cost = found["costs"][loop]
        result[f"{name}_kernels"] = cost["kernels"]
        result[f"{name}_branches"] = cost["conditionals"] + cost["open_loops"]
        result[f"{name}_collectives"] = cost["collectives"]
        result[f"{name}_mflops"] = round(cost["flops"] / 1e6, 2)
        result[f"{name}_mb"] = round(cost["bytes"] / 1e6, 2)
    if "step_kernels" in result and "minibatch_kernels" in result:
        updates = config.ppo.epochs * config.ppo.num_minibatches
        launches = config.horizon * result["step_kernels"] + updates * result["minibatch_kernels"]
        seconds = launches * options.launch_microseconds / 1e6
        result["launched_steps_per_second"] = round(config.steps_per_iteration / seconds / 1e6, 2)
    return result


if __name__ == "__main__":
    main()
