"""What each part of the gridworld recipe is worth: the preset with one thing changed, all else equal.

    taskset -c 0 python benchmarks/recipes.py --figure docs/variants.png
    python benchmarks/recipes.py --variants recipe adam --seeds 0 1 2    # some of them

Each variant is trained once a seed in a run folder of its own, `OUT/VARIANT-SEED`, and evaluated on the same
held-out tasks, which are others than those of reported results. A run that was stopped goes on where it was,
and one that is complete is not trained again, so the command may be given again at any time. The table and
the figure are made from what the folders hold.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import tyro
from common import markdown

import rl3_jax
from rl3_jax import Run, TrainConfig, make_config
from rl3_jax.run.evaluation import read_evaluation
from rl3_jax.run.folder import RunFolder

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
COLUMNS = {
    "variant": "variant",
    "seeds": "seeds",
    "steps": "steps, M",
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
      variants: names of variants; all of them if none is given.
      seeds: of training.
      steps: environment steps of each run, millions.
      num_tasks: held-out tasks.
      out: where the runs are.
      figure: file for the learning curves; none is drawn without it.
    """

    preset: str = "gridworld-11x11-quick"
    variants: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0, 1)
    steps: float = 16.0
    num_tasks: int = 2000
    out: Path = Path("runs/recipes")
    figure: Path | None = None


def main() -> None:
    """Train what is missing, print the table and draw the figure."""
    options = tyro.cli(Options, description=__doc__)
    names = options.variants or tuple(VARIANTS)
    if unknown := sorted(set(names) - set(VARIANTS)):
        raise SystemExit(f"unknown variants {', '.join(unknown)}; choose from: {', '.join(VARIANTS)}")
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for seed in options.seeds:
        for name in names:
            results[name].append(result(options, name, seed)["results"][0])
    print(markdown([row(options, name, results[name]) for name in names], COLUMNS))
    if options.figure is not None:
        draw(options, names)


def folder(options: Options, name: str, seed: int) -> Path:
    """Return where a run is."""
    return options.out / f"{name.replace(' ', '-').replace(',', '')}-{seed}"


def configure(options: Options, name: str, seed: int) -> TrainConfig:
    """Return a variant of the preset that takes the steps asked for, evaluated ten times on the way."""
    config = make_config(options.preset, seed=seed, **VARIANTS[name])
    iterations = max(1, round(options.steps * 1e6 / config.steps_per_iteration))
    evaluation = dataclasses.replace(config.evaluation, every=max(1, iterations // 10), seed=TASKS_SEED)
    return dataclasses.replace(config, iterations=iterations, evaluation=evaluation)


def result(options: Options, name: str, seed: int) -> dict[str, Any]:
    """Return what a variant earns on held-out tasks, after training what is missing of it."""
    path = folder(options, name, seed)
    print(path, file=sys.stderr, flush=True)
    if (path / "config.json").exists():
        run = rl3_jax.resume(path)
    else:
        run = rl3_jax.train(configure(options, name, seed), path)
    asked = (options.num_tasks, TASKS_SEED)
    for entry in read_evaluation(RunFolder(path)):
        if (entry["num_tasks"], entry["eval_seed"]) == asked:
            return entry
    return run.evaluate(num_tasks=options.num_tasks, seed=TASKS_SEED)


def row(options: Options, name: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of a variant over its seeds; ± is the standard error over tasks."""
    runs = [Run(folder(options, name, seed)) for seed in options.seeds]
    returns = np.array([result["returns"] for result in results]).mean(axis=0)
    summary = {
        key: float(np.mean([result["summary"][key]["mean"] for result in results]))
        for key in ("found", "goals", "dangers")
    }
    return {
        "variant": name,
        "seeds": len(runs),
        "steps": runs[0].metrics[-1]["steps"] / 1e6,
        "return": float(returns.mean()),
        "error": float(returns.std(ddof=1) / np.sqrt(len(returns))),
        "each": ", ".join(f"{result['mean_return']:.0f}" for result in results),
        "seconds": float(np.mean([run.metrics[-1]["wall_seconds"] for run in runs])),
    } | summary


def draw(options: Options, names: tuple[str, ...]) -> None:
    """Draw the held-out return and the share of trials with a goal over training, a line a variant."""
    figure, panels = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    for axes, key in zip(panels, ("evaluation_return", "evaluation_found"), strict=True):
        for name in names:
            curves = [
                [
                    (line["steps"] / 1e6, line[key])
                    for line in Run(folder(options, name, seed)).metrics
                    if key in line
                ]
                for seed in options.seeds
            ]
            steps, values = np.moveaxis(np.array(curves), 2, 0)
            axes.plot(steps[0], values.mean(axis=0), label=name)
        axes.set(xlabel="environment steps, millions", ylabel=key.removeprefix("evaluation_"))
    panels[1].legend(fontsize="small")
    assert options.figure is not None
    figure.savefig(options.figure, dpi=120)


if __name__ == "__main__":
    main()
