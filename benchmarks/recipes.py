"""What each part of the gridworld recipe is worth: the preset with one thing changed, all else equal.

    taskset -c 0 python benchmarks/recipes.py --figure docs/variants.png
    python benchmarks/recipes.py --variants recipe adam --seeds 0 1 2    # some of them

Each variant is trained once a seed, in the run folder `OUT/PRESET/METHOD/STEPSM/VARIANT-SEED`, and evaluated
on the same held-out tasks, which are others than those of reported results. What it earned goes to a file of
its own under RESULTS, which is what the table and the figure are made from: a run that has one is not trained
again, and a run that was stopped goes on where it was, so the command may be given again at any time.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import tyro
from common import lasting, markdown

import rl3_jax
from rl3_jax import TrainConfig, make_config

VARIANTS: dict[str, dict[str, Any]] = {
    "recipe": {},
    "pairs never tried lead anywhere": {"learner": {"untried": "uniform", "smoothing": 0.01}},
    "2 sweeps": {"learner": {"max_sweeps": 2}},
    "8 sweeps": {"learner": {"max_sweeps": 8}},
    "no squashing": {
        "features": {"squash": "none", "value_scale": 20.0, "count_scale": 5.0, "reward_scale": 10.0}
    },
    "coordinates alone": {"features": {"position": "coordinates"}},
    "two networks": {"policy": {"shared_trunk": False}, "ppo": {"critic_coefficient": 0.5}},
    "1 input layer": {"policy": {"input_layers": []}},
    "relu and layer norm": {"policy": {"activation": "relu", "layer_norm": True}},
    "mingru, 1 layer": {"policy": {"core": {"layers": 1}}},
    "mingru, 3 layers": {"policy": {"core": {"layers": 3}}},
    "gru": {"policy": {"core": {"core": "gru"}}},
    "no product read-out": {"policy": {"read_out": "core"}},
    "adam": {"ppo": {"optimiser": "adam"}},
    "width 128": {"policy": {"width": 128, "input_layers": [128]}, "ppo": {"learning_rate": 2e-3}},
    "no novelty bonus": {"ppo": {"novelty_bonus": 0.0}},
    "novelty bonus 3": {"ppo": {"novelty_bonus": 3.0}},
    "novelty bonus 20": {"ppo": {"novelty_bonus": 20.0}},
    "novelty bonus for 0.9 of the run": {"ppo": {"novelty_share": 0.9}},
    "learning rate 1.5e-3": {"ppo": {"learning_rate": 1.5e-3}},
    "learning rate 6e-3": {"ppo": {"learning_rate": 6e-3}},
    "learning rate held for half": {"ppo": {"learning_rate_hold": 0.5}},
    "critic not scaled": {"ppo": {"critic_scale": "none"}},
    "2 epochs": {"ppo": {"epochs": 2}},
    "λ 0.8": {"ppo": {"gae_lambda": 0.8}},
    "λ 0.95": {"ppo": {"gae_lambda": 0.95}},
    "discount 0.997": {"ppo": {"discount": 0.997}},
    "entropy bonus 0.06": {"ppo": {"entropy_bonus": 0.06}},
    "64 trials": {"ppo": {"trials": 64, "minibatch_trials": 16}},
    "256 trials": {"ppo": {"trials": 256, "minibatch_trials": 64}},
}
"""Changes of the preset by name, each of one thing; scales and learning rates go with what they belong to."""
TASKS_SEED = 777
"""Names the held-out tasks, which are others than those on which results are reported: here one chooses."""
DASHES = ("-", "--", ":")
SUMMARY = ("found", "goals", "dangers")
COLUMNS = {
    "variant": "variant",
    "return": "return",
    "error": "±",
    "each": "of each seed",
    "found": "found",
    "goals": "goals",
    "dangers": "dangers",
    "seconds": "training, s",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to train.

    Attributes:
      preset: that is varied.
      method: that is trained.
      variants: names of variants; all of them if none is given.
      seeds: of training.
      steps: environment steps of each run, millions.
      num_tasks: held-out tasks.
      out: where the runs are.
      results: where it is kept what they earned.
      figure: file for the learning curves; none is drawn without it.
    """

    preset: str = "gridworld-11x11-quick"
    method: str = "rl3"
    variants: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1)
    steps: float = 16.0
    num_tasks: int = 2000
    out: Path = Path("runs/recipes")
    results: Path = Path("results/recipes")
    figure: Path | None = None


def main() -> None:
    """Train what is missing, print the table and draw the figure."""
    options = tyro.cli(Options, description=__doc__)
    names = options.variants or tuple(VARIANTS)
    if unknown := sorted(set(names) - set(VARIANTS)):
        raise SystemExit(f"unknown variants {', '.join(unknown)}; choose from: {', '.join(VARIANTS)}")
    results = {name: [result(options, name, seed) for seed in options.seeds] for name in names}
    print(markdown([row(name, results[name]) for name in names], COLUMNS))
    if options.figure is not None:
        draw(options.figure, results)


def place(options: Options, name: str, seed: int) -> Path:
    """Return where a run is below the folder of runs, and its result below that of results."""
    run = f"{name.replace(' ', '-').replace(',', '')}-{seed}"
    return Path(options.preset) / options.method / f"{options.steps:g}M" / run


def configure(options: Options, name: str, seed: int) -> TrainConfig:
    """Return a variant of the preset that takes the steps asked for, evaluated ten times on the way."""
    config = make_config(options.preset, method=options.method, seed=seed, **VARIANTS[name])
    return lasting(config, options.steps, evaluations=10, seed=TASKS_SEED)


def result(options: Options, name: str, seed: int) -> dict[str, Any]:
    """Return what a variant earns on held-out tasks, after training what is missing of it."""
    path = place(options, name, seed)
    kept = options.results / path.parent / f"{path.name}.json"
    asked = {"num_tasks": options.num_tasks, "tasks_seed": TASKS_SEED}
    if kept.exists() and asked.items() <= (earned := json.loads(kept.read_text())).items():
        return earned
    print(path, file=sys.stderr, flush=True)
    folder = options.out / path
    if (folder / "config.json").exists():
        run = rl3_jax.resume(folder)
    else:
        run = rl3_jax.train(configure(options, name, seed), folder)
    evaluation = run.evaluate(num_tasks=options.num_tasks, seed=TASKS_SEED)
    agent = evaluation["results"][0]
    earned = {
        "variant": name,
        "seed": seed,
        "return": agent["mean_return"],
        "error": agent["standard_error"],
        "seconds": run.metrics[-1]["wall_seconds"],
        "curve": [
            [line["steps"], line["evaluation_return"], line["evaluation_found"]]
            for line in run.metrics
            if "evaluation_return" in line
        ],
    } | {key: agent["summary"][key]["mean"] for key in SUMMARY}
    earned |= asked
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text(json.dumps(earned, indent=1) + "\n")
    return earned


def row(name: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of a variant over its seeds; ± is the standard error over tasks of one seed."""
    means = {
        key: float(np.mean([result[key] for result in results]))
        for key in ("return", "error", "seconds", *SUMMARY)
    }
    return means | {"variant": name, "each": ", ".join(f"{result['return']:.0f}" for result in results)}


def draw(file: Path, results: dict[str, list[dict[str, Any]]]) -> None:
    """Draw the held-out return and the share of trials with a goal over training, a line a variant."""
    figure, panels = plt.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
    for index, (name, runs) in enumerate(results.items()):
        steps, *curves = np.mean([run["curve"] for run in runs], axis=0).T
        for axes, curve in zip(panels, curves, strict=True):
            axes.plot(steps / 1e6, curve, DASHES[index // 10 % len(DASHES)], label=name)  # ten colours
    for axes, label in zip(panels, ("held-out return", "found"), strict=True):
        axes.set(xlabel="environment steps, millions", ylabel=label)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center", fontsize="small")
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
