"""Training on XLand-MiniGrid beside the suite's own trainer: environment steps per second, taking turns.

    git clone https://github.com/dunnolab/xland-minigrid
    pip install 'rl3-jax[xland]' distrax pyrallis wandb orbax-checkpoint
    python benchmarks/xland.py --xland xland-minigrid/training --json xland.json

Both train a GRU of the same width with the same number of tasks, drawn from the same benchmark, for the same
horizon, each with its own network about the GRU and its own PPO: XLand's updates after every 32 steps, once
over its data, ours after a whole trial, twice over its data; minibatches have as many tasks. XLand evaluates
within each call of its trainer; here that is one episode of one task.

From Python 3.11 on, the defaults of `RolloutStats` in XLand's `training/utils.py` have to become
`struct.field(default_factory=lambda: jnp.asarray(0))` and the like: dataclasses refuse arrays there.
"""

import dataclasses
import importlib
import statistics
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import tyro
from common import in_turn, machine, markdown, median_ratio, num_parameters, processor_share, write
from throughput_programs import Program, Training

from rl3_jax import TrainConfig, make_config, make_family

PRESET = "xland-h486-quick"
XLAND = "XLand's own"
COLUMNS = {
    "trainer": "trainer",
    "steps_per_second": "steps/s",
    "ratio": "× XLand's own",
    "compile_seconds": "compile, s",
    "parameters": "parameters",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to compare.

    Attributes:
      xland: the folder `training` of a checkout of XLand-MiniGrid; without it its trainer takes no part.
      trials: tasks at a time.
      horizon: steps of a trial, a multiple of the 32 after which XLand's trainer updates.
      width: units of the GRU, and of the layers of XLand's heads.
      benchmark: XLand's file of rulesets, by name or path; without it ours are drawn afresh.
      repeats: timed runs of each trainer, of one iteration over all tasks and steps.
      json: file for the results, instead of standard output.
    """

    xland: Path | None = None
    trials: int = 128
    horizon: int = 512
    width: int = 64
    benchmark: str = "trivial-21k"
    repeats: int = 5
    json: Path | None = None


class XLandTraining(Program):
    """XLand's own trainer of meta-tasks, one call of which trains on every task for a whole trial."""

    def __init__(self, options: Options, folder: Path):
        """Compile the trainer in a folder."""
        if not (folder / "train_meta_task.py").exists():
            raise SystemExit(f"{folder} has no train_meta_task.py; name XLand's folder `training`")
        sys.path.insert(0, str(folder))
        trainer: Any = importlib.import_module("train_meta_task")
        config = trainer.TrainConfig(
            benchmark_id=options.benchmark,
            rnn_hidden_dim=options.width,
            head_hidden_dim=options.width,
            num_envs=options.trials,
            num_steps_per_env=options.horizon,
            num_minibatches=options.trials // configure(options, "rl2").ppo.minibatch_trials,
            total_timesteps=options.trials * options.horizon,
            eval_num_envs=1,
            eval_num_episodes=1,
        )
        key, env, params, benchmark, core_state, state = trainer.make_states(config)
        self.parameters = num_parameters(state.params)
        self.key, self.state, self.core_state = jax.tree.map(
            lambda x: jnp.asarray(x)[None], (key, state, core_state)
        )
        train = trainer.make_train(env, params, benchmark, config)
        self.compile(lambda: train.lower(self.key, self.state, self.core_state))

    def run(self, iterations: int) -> Any:
        """Train; the learning rate starts anew with each call, which takes no time."""
        found = {}
        for _ in range(iterations):
            found = self.compiled(self.key, self.state, self.core_state)
            self.state = found["state"]
        return found["loss_info"]


def main() -> None:
    """Measure, print a table, and write JSON."""
    options = tyro.cli(Options, description=__doc__)
    programs: dict[str, Any] = {}
    if options.xland is None:
        print(f"{XLAND} does not take part: name its folder with --xland", file=sys.stderr)
    else:
        programs[XLAND] = XLandTraining(options, options.xland)
    for method in ("rl2", "rl3"):
        program: Any = Training(configure(options, method))
        program.parameters = num_parameters(program.state.learnt.params)
        programs[f"rl3_jax, {method}"] = program
    rows = compare(programs, options)
    print(markdown(rows, COLUMNS), file=sys.stderr)
    report = machine() | {"benchmark": "xland", "processor_share": processor_share()}
    setting = {field: str(value) for field, value in dataclasses.asdict(options).items() if field != "xland"}
    write(options.json, report | {"setting": setting, "results": rows})


def compare(programs: dict[str, Any], options: Options) -> list[dict[str, Any]]:
    """Return how fast each program trains, of runs in turn."""
    turns = {name: lambda program=program: program.run(1) for name, program in programs.items()}
    in_turn(turns, 1)
    times = in_turn(turns, options.repeats)
    rows, steps = [], options.trials * options.horizon
    for name, program in programs.items():
        rows.append(
            {
                "trainer": name,
                "steps_per_second": round(steps / statistics.median(times[name])),
                "ratio": round(median_ratio(times[XLAND], times[name]), 2) if XLAND in times else None,
                "compile_seconds": round(program.trace_seconds + program.compile_seconds, 1),
                "parameters": program.parameters,
            }
        )
    return rows


def configure(options: Options, method: str) -> TrainConfig:
    """Return the preset with the sizes of the comparison."""
    return make_config(
        PRESET,
        method=method,
        task=make_family("xland", benchmark=options.benchmark),
        horizon=options.horizon,
        policy={"width": options.width},
        ppo={"trials": options.trials},
        evaluation={"every": 0},
    )


if __name__ == "__main__":
    main()
