"""The agents of the page of results: trains what is missing, evaluates it, and keeps what they earned.

    python benchmarks/agents.py bandit-5-100 mdp-100        # settings, all their methods
    python benchmarks/agents.py mdp-100 --methods rl2 --seeds 3

The seeds of an agent are trained in one program, in run folders RUNS/SETTING/METHOD-CORE-seedK, and evaluated
on the tasks of `results/baselines` and where `OTHERWISE` says. Of a run folder its configuration, its
evaluations and those lines of metrics that have one are kept, as RESULTS/SETTING/METHOD-CORE-seedK, which
`rl3 report` takes as it takes runs. What is kept is not trained again, and a run that was stopped goes on
where it was.
"""

import dataclasses
import itertools
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import tyro
from common import lasting

import rl3_jax
from rl3_jax import TrainConfig, make_config
from rl3_jax.presets import vary


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is trained in one setting of the literature.

    Attributes:
      preset: that is varied.
      changes: other values of its fields, by dotted name, for all methods.
      methods: to compare, with further changes.
      steps: environment steps of each run, millions.
      seeds: of each method.
    """

    preset: str
    changes: dict[str, Any]
    methods: dict[str, dict[str, Any]]
    steps: float
    seeds: int = 5


SETTINGS: dict[str, Setting] = {
    "bandit-5-100": Setting("bandit-h100-quick", {}, {"rl2": {}, "rl3": {}}, steps=27.0),
    "bandit-10-100": Setting("bandit-h100-quick", {"task.num_arms": 10}, {"rl2": {}, "rl3": {}}, steps=27.0),
    "mdp-100": Setting("mdp-h100-quick", {}, {"rl2": {"policy": "gru"}, "rl3": {}}, steps=20.0),
}
"""By family, size and horizon, as the files of `results/baselines`."""
OTHERWISE: dict[str, list[dict[str, Any]]] = {
    "bandit": [{"variation": "ood"}],
    "mdp": [{"variation": "ood"}],
    "gridworld": [],
}
"""Trials other than those trained on in which an agent of a family is evaluated too."""
EVALUATIONS = 40
"""Points of a learning curve."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What to train.

    Attributes:
      settings: names of settings; all of them if none is given.
      methods: of these; all of a setting's if none is given.
      seeds: of each; as many as the setting says, if not given.
      num_tasks: held-out tasks, those of the baselines.
      runs: where the runs are.
      results: where it is kept what they earned.
    """

    settings: tyro.conf.Positional[tuple[str, ...]] = ()
    methods: tuple[str, ...] = ()
    seeds: int | None = None
    num_tasks: int = 4000
    runs: Path = Path("runs/results")
    results: Path = Path("results/agents")


def main() -> None:
    """Train and evaluate what is missing."""
    options = tyro.cli(Options, description=__doc__)
    names = options.settings or tuple(SETTINGS)
    if unknown := sorted(set(names) - set(SETTINGS)):
        raise SystemExit(f"unknown settings {', '.join(unknown)}; choose from: {', '.join(SETTINGS)}")
    known = {method for name in names for method in SETTINGS[name].methods}
    if unknown := sorted(set(options.methods) - known):
        raise SystemExit(f"unknown methods {', '.join(unknown)}; choose from: {', '.join(sorted(known))}")
    for name in names:
        for method in SETTINGS[name].methods:
            if not options.methods or method in options.methods:
                earn(options, name, method)


def configure(setting: Setting, method: str) -> TrainConfig:
    """Return the configuration of a method in a setting, evaluated `EVALUATIONS` times on the way."""
    config = vary(make_config(setting.preset, method=method), setting.changes | setting.methods[method])
    return lasting(config, setting.steps, EVALUATIONS)


def earn(options: Options, name: str, method: str) -> None:
    """Train the seeds of a method that are missing, evaluate them, and keep what they earned."""
    config = configure(SETTINGS[name], method)
    count = SETTINGS[name].seeds if options.seeds is None else options.seeds
    places = [Path(name) / f"{method}-{config.policy.core.core}-seed{seed}" for seed in range(count)]
    missing = [seed for seed, place in enumerate(places) if not (options.results / place).exists()]
    if missing:
        print(*(options.runs / places[seed] for seed in missing), file=sys.stderr, flush=True)
    started = [seed for seed in missing if (options.runs / places[seed] / "config.json").exists()]
    fresh = [seed for seed in missing if seed not in started]
    if started:
        rl3_jax.resume_seeds([options.runs / places[seed] for seed in started])
    for _, group in itertools.groupby(fresh, key=lambda seed: seed - fresh.index(seed)):
        seeds = list(group)  # consecutive, as those of one program are
        folders = [options.runs / places[seed] for seed in seeds]
        rl3_jax.train_seeds(dataclasses.replace(config, seed=seeds[0]), folders)
    for seed in missing:
        folder = options.runs / places[seed]
        for otherwise in ({}, *OTHERWISE[config.task.family]):
            rl3_jax.evaluate_run(folder, num_tasks=options.num_tasks, **otherwise)
        keep(folder, options.results / places[seed])


def keep(folder: Path, kept: Path) -> None:
    """Copy of a run folder what a report is made from."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    evaluated = [line for line in lines if "evaluation_return" in json.loads(line)]
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as place:  # so that what is there is whole
        whole = Path(place) / kept.name
        whole.mkdir()
        for name in ("config.json", "evaluation.json"):
            shutil.copy(folder / name, whole / name)
        (whole / "metrics.jsonl").write_text("".join(f"{line}\n" for line in evaluated))
        whole.rename(kept)


if __name__ == "__main__":
    main()
