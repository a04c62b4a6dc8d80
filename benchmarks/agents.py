"""The agents of the page of results: trains what is missing, evaluates it, and keeps what they earned.

    python benchmarks/agents.py bandit-5-100 mdp-100        # settings, all their methods
    python benchmarks/agents.py mdp-100 --methods rl2 --seeds 3
    python benchmarks/agents.py mdp-100 --ablations                # what each part of it is worth

The seeds of an agent are trained in one program, in run folders RUNS/agents/SETTING/METHOD-CORE-seedK, and
evaluated on the tasks of `results/baselines`, and out of distribution (`otherwise`). Of a run folder its
configuration, its evaluations and those lines of metrics that have one are kept, as
RESULTS/agents/SETTING/METHOD-CORE-seedK, which `rl3 report` takes as it takes runs. The first seed's agent
ships with the package, as AGENTS/SETTING-METHOD: the agent itself, `card.json` (design, section 8) and a
README of what is in it. What is kept is not trained again, and a run that was stopped goes on where it was;
either is refused if it is of another configuration.
Ablations are in folders `ablations` instead of `agents`, evaluated on the baselines' tasks alone, and none
ships.
"""

import dataclasses
import hashlib
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro
from common import lasting

import rl3_jax
from rl3_jax import TrainConfig, make_config
from rl3_jax.presets import vary
from rl3_jax.run import cards, metrics
from rl3_jax.run.evaluation import readable_variations
from rl3_jax.run.folder import read_config_file
from rl3_jax.trial import METHODS


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is trained in one setting of the literature.

    Attributes:
      preset: that is varied.
      changes: other values of its fields, by dotted name, for all methods.
      methods: to compare, with further changes. What is no name of a method is RL³, changed.
      steps: environment steps of each run, millions.
      seeds: of each method.
      longer: published trial lengths in which its agents are evaluated, too.
    """

    preset: str
    changes: dict[str, Any]
    methods: dict[str, dict[str, Any]]
    steps: float
    seeds: int = 5
    longer: tuple[int, ...] = ()


DEEP = {"learner.max_sweeps": 30, "learner.discount": 1.0}
"""Planning that looks as far as three episodes: the longer the trial, the more it is worth."""
RECALLING = {
    "features.previous_state": True,
    "policy.core": {"core": "linear-attention", "layers": 1, "heads": 1, "feed_forward": 64},
    "ppo.optimiser": "muon",
    "ppo.learning_rate": 3e-3,
}
"""A memory that looks up what happened in a state; RL² on MDPs learns little without."""
EXCHANGEABLE = {
    "policy.exchangeable_actions": True,
    "policy.width": 32,
    "features.count_encoding": "inverse-root",
}
"""Actions alike, and counts that stay in bounds: soon learnt, and as good in longer trials."""
MDP_METHODS = {"rl2": RECALLING, "rl3": EXCHANGEABLE}
MDP = DEEP | {"ppo.mean_rewards": True}


def trials_of(horizon: int, trials: int) -> dict[str, Any]:
    """Return changes by which an iteration has so many trials of so many steps, in four minibatches.

    The longer trials are, the fewer an iteration has: as many iterations as with short ones for the same
    steps. Bandits do not learn enough in fewer.
    """
    return {"horizon": horizon, "ppo.trials": trials, "ppo.minibatch_trials": trials // 4}


LONG_TRIALS = trials_of(500, 32)
BANDIT_METHODS = {"rl2": {}, "rl3": {"policy": "markov"}}
GRIDWORLD_METHODS = {"rl2": {}, "rl3": {}, "rl3-coarse": {}}

SETTINGS: dict[str, Setting] = {
    "bandit-5-100": Setting("bandit-h100-quick", {}, BANDIT_METHODS, steps=20.0),
    "bandit-10-100": Setting("bandit-h100-quick", {"task.num_arms": 10}, BANDIT_METHODS, steps=20.0),
    "bandit-50-100": Setting(
        "bandit-h100-quick",
        {"task.num_arms": 50},
        {"rl3": BANDIT_METHODS["rl3"]},
        steps=10.0,
        seeds=3,
        longer=(500,),
    ),
    "bandit-5-500": Setting("bandit-h100-quick", LONG_TRIALS, BANDIT_METHODS, steps=25.0),
    "bandit-10-500": Setting(
        "bandit-h100-quick", {"task.num_arms": 10} | LONG_TRIALS, BANDIT_METHODS, steps=25.0
    ),
    "mdp-100": Setting("mdp-h100-quick", MDP, MDP_METHODS, steps=15.0),
    "mdp-250": Setting("mdp-h100-quick", MDP | trials_of(250, 64), MDP_METHODS, steps=20.0),
    "mdp-500": Setting("mdp-h100-quick", MDP | LONG_TRIALS, MDP_METHODS, steps=20.0),
    "mdp-750": Setting(
        "mdp-h100-quick", MDP | trials_of(750, 24), {"rl3": EXCHANGEABLE}, steps=20.0, seeds=3
    ),
    "mdp-1000": Setting(
        "mdp-h100-quick", MDP | trials_of(1000, 16), {"rl3": EXCHANGEABLE}, steps=20.0, seeds=3
    ),
    "gridworld-11x11-250": Setting("gridworld-11x11-quick", {}, GRIDWORLD_METHODS, steps=48.0, seeds=3),
    "gridworld-13x13-350": Setting("gridworld-13x13-quick", {}, GRIDWORLD_METHODS, steps=47.0, seeds=3),
}
"""By family, size and horizon, as the files of `results/baselines`."""
NO_PRIOR = {"learner.prior_count": 0.0, "learner.prior_reward": 0.0}
IN_BOTH = {
    "values-only": {"features.counts": False},
    "counts-only": {"features.value": False, "features.advantages": False},
    "standard-errors": NO_PRIOR | {"features.standard_errors": True},
    "scaled-counts": {"features.count_encoding": "scaled"},
    "no-prior": NO_PRIOR,
    "own-networks": {"policy.exchangeable_actions": False, "policy.width": 64},
    "drawn-rewards": {"ppo.mean_rewards": False},
}
"""Parts that are left out or added, one at a time; standard errors, which have no prior, to `no-prior`."""
ABLATIONS: dict[str, Setting] = {
    "bandit-5-100": Setting(
        "bandit-h100-quick",
        {"policy": "markov"},
        {"rl3": {}, **IN_BOTH} | {"rl3-memory": {"policy": "mingru"}, "rl2": {"policy": "mingru"}},
        steps=5.0,
        seeds=3,
    ),
    "mdp-100": Setting(
        "mdp-h100-quick",
        MDP | EXCHANGEABLE,
        {"rl3": {}, **IN_BOTH}
        | {f"sweeps-{number}": {"learner.max_sweeps": number} for number in (1, 3, 10)}
        | {"q-learning": {"learner": "q-learning", "learner.discount": 1.0}}
        | {"rl3-memory": {"policy": "mingru"}}
        | {"rl2-mingru": {"method": "rl2", "policy": "mingru", "features.previous_state": True}},
        steps=2.0,
        seeds=3,
    ),
}
"""What parts of a recipe are worth after a short training, by the setting that it is for."""
LONGER = (2, 10)
"""Trials so many times as long as those trained on are out of distribution, too."""
LONG = 500
"""Trials with more steps are evaluated on a fourth of the tasks, as the baselines are."""
EVALUATIONS = 40
"""Points of a learning curve."""
CHECKED = 200
"""Held-out tasks whose returns a card has one by one, to check that an agent still earns them."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What to train.

    Attributes:
      settings: names of settings; all of them if none is given.
      methods: of these; all of a setting's if none is given.
      seeds: of each; as many as the setting says, if not given.
      ablations: whether to train what tells the worth of parts, in place of the agents.
      num_tasks: held-out tasks, those of the baselines; a fourth of them where trials are long.
      runs: where the runs are.
      results: where it is kept what they earned.
      agents: where the agents go that ship with the package.
    """

    settings: tyro.conf.Positional[tuple[str, ...]] = ()
    methods: tuple[str, ...] = ()
    seeds: int | None = None
    ablations: bool = False
    num_tasks: int = 4000
    runs: Path = Path("runs")
    results: Path = Path("results")
    agents: Path = Path("rl3_jax/agents")

    @property
    def known(self) -> dict[str, Setting]:
        """The settings to choose from."""
        return ABLATIONS if self.ablations else SETTINGS


def main() -> None:
    """Train and evaluate what is missing."""
    options = tyro.cli(Options, description=__doc__)
    names = options.settings or tuple(options.known)
    if unknown := sorted(set(names) - set(options.known)):
        raise SystemExit(f"unknown settings {', '.join(unknown)}; choose from: {', '.join(options.known)}")
    known = {method for name in names for method in options.known[name].methods}
    if unknown := sorted(set(options.methods) - known):
        raise SystemExit(f"unknown methods {', '.join(unknown)}; choose from: {', '.join(sorted(known))}")
    for name in names:
        for method in options.known[name].methods:
            if not options.methods or method in options.methods:
                earn(options, name, method)


def configure(setting: Setting, method: str) -> TrainConfig:
    """Return the configuration of a method in a setting, evaluated `EVALUATIONS` times on the way."""
    named = method if method in METHODS else None
    config = vary(vary(make_config(setting.preset, method=named), setting.changes), setting.methods[method])
    return lasting(config, setting.steps, EVALUATIONS)


def earn(options: Options, name: str, method: str) -> None:
    """Train the seeds of a method that are missing, evaluate them, and keep what they earned."""
    setting = options.known[name]
    config = configure(setting, method)
    count = setting.seeds if options.seeds is None else options.seeds
    kind = Path("ablations" if options.ablations else "agents") / name
    places = [kind / f"{method}-{config.policy.core.core}-seed{seed}" for seed in range(count)]
    for seed, place in enumerate(places):
        for folder in (options.results / place, options.runs / place):
            refuse_another(folder, dataclasses.replace(config, seed=seed))
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
        for asked in ({}, *(() if options.ablations else otherwise(setting, folder))):
            long = asked.get("horizon", config.horizon) > LONG
            rl3_jax.evaluate_run(folder, num_tasks=options.num_tasks // (4 if long else 1), **asked)
        if seed == 0 and not options.ablations:
            ship(
                folder,
                options.agents / f"{name}-{method}",
                f"python benchmarks/agents.py {name} --methods {method}",
            )
        keep(folder, options.results / places[seed])


def refuse_another(folder: Path, config: TrainConfig) -> None:
    """Stop if a folder holds what was trained with another configuration."""
    file = folder / "config.json"
    if file.exists() and read_config_file(file) != config:
        raise SystemExit(f"{folder} is of another configuration than that of now; move it, or delete it")


def otherwise(setting: Setting, folder: Path) -> list[dict[str, Any]]:
    """Return the trials, other than those trained on, in which the agent of a run is evaluated too.

    They are those of other variations, and longer ones: also those that its setting names, and those of other
    settings with the same tasks, so that the agent stands beside what was trained there.
    """
    agent = rl3_jax.load_agent(folder)
    env = agent.env
    others = [name for name in readable_variations(agent) if name != env.family.variation]
    longer = {number * env.horizon for number in LONGER} | {*setting.longer}
    for other in SETTINGS.values():
        config = vary(make_config(other.preset), other.changes)
        if config.task == env.family and config.horizon > env.horizon:
            longer.add(config.horizon)
    horizons = sorted(longer) if agent.policy.config.core.constant_carry else []
    return [{"variation": name} for name in others] + [{"horizon": horizon} for horizon in horizons]


def keep(folder: Path, kept: Path) -> None:
    """Copy of a run folder what a report is made from."""
    lines = with_evaluation(metrics.read(folder / "metrics.jsonl"))
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent) as place:  # so that what is there is whole
        whole = Path(place) / kept.name
        whole.mkdir()
        for name in ("config.json", "evaluation.json"):
            shutil.copy(folder / name, whole / name)
        (whole / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        whole.rename(kept)


def with_evaluation(lines: Sequence[metrics.Row]) -> list[metrics.Row]:
    """Return those lines of metrics that have an evaluation on held-out tasks."""
    return [line for line in lines if "evaluation_return" in line]


def ship(folder: Path, place: Path, command: str) -> None:
    """Copy the agent of a run, and write of it what a user wants to know."""
    returns = rl3_jax.evaluate_run(rl3_jax.load_agent(folder), num_tasks=CHECKED)["results"][0]["returns"]
    measured = {"processor": processor(), "returns": returns}
    card = {"command": command} | cards.card_of_run(folder) | measured
    shutil.copytree(folder / "agent", place, dirs_exist_ok=True)
    (place / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    (place / "README.md").write_text(cards.describe(place.name, place.name, card))


def processor() -> str:
    """Return what processor this is, which decides how sums are rounded: its name, what it can do, cores."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    said: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        said.setdefault(name.strip(), value.strip())
    can = hashlib.sha256(said.get("flags", "").encode()).hexdigest()[:8]
    return f"{said.get('model name', 'unknown')}, {can}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
