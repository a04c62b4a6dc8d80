"""The commands of `rl3`, as dataclasses whose fields are the arguments."""

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from rl3_jax import plugins
from rl3_jax.errors import ConfigError, problems_of
from rl3_jax.object_rl import ABSTRACTIONS, LEARNERS
from rl3_jax.policies import CORES
from rl3_jax.presets import CHOSEN_BY_NAME, PRESETS, method_name, name_problems
from rl3_jax.run import hosts
from rl3_jax.run.arguments import (
    JsonFile,
    NumTasks,
    OnDevices,
    Seed,
    Shared,
    one_of,
    optional,
)
from rl3_jax.run.baselines import baseline_problems, evaluate_baselines
from rl3_jax.run.doctor import Doctor
from rl3_jax.run.evaluating import Evaluate
from rl3_jax.run.evaluation import (
    DEFAULT_NUM_TASKS,
    describe,
    task_set_problems,
)
from rl3_jax.run.export import Export
from rl3_jax.run.files import file_problems, write_json
from rl3_jax.run.folder import read_config_file
from rl3_jax.run.logs import LOGS
from rl3_jax.run.planning import plan, target_devices
from rl3_jax.run.program import is_from_outside, program_problems
from rl3_jax.run.push import Push
from rl3_jax.run.remarks import check
from rl3_jax.run.report import Compare, Report
from rl3_jax.run.runs import resume_seeds, train_problems, train_seeds
from rl3_jax.run.sweeps import SweepConfig, parse_values, sweep
from rl3_jax.run.tables import print_lists, print_plan, print_result, print_statistics, print_sweep
from rl3_jax.run.watch import Watch
from rl3_jax.tasks import FAMILIES, TaskFamily, make_family
from rl3_jax.training import TrainConfig
from rl3_jax.trial import METHODS


@dataclasses.dataclass(frozen=True)
class List(Shared):
    """List families, variations, presets, methods, policies, learners, abstractions and trained agents."""

    def run(self) -> None:
        """Print them."""
        print_lists()


@dataclasses.dataclass(frozen=True)
class Configured(Shared):
    """Arguments of every command that takes the configuration of a run, whose defaults are a preset's."""

    preset: Annotated[Positional[str], optional("PRESET", one_of(PRESETS))]
    settings: Annotated[TrainConfig, arg(name="")]
    method: Annotated[str, arg(metavar="M", help=one_of(METHODS))] = ""
    policy: Annotated[str, arg(metavar="P", help=one_of(CORES))] = ""
    learner: Annotated[str, arg(metavar="L", help=one_of(LEARNERS))] = ""
    abstraction: Annotated[str, arg(metavar="S", help=one_of(ABSTRACTIONS))] = ""
    config: Annotated[Path | None, optional("FILE", "a run's config.json, in place of PRESET")] = None
    num_seeds: Annotated[int, arg(metavar="N", help="runs in one program, with the seeds from --seed on")] = 1

    @property
    def name(self) -> str:
        """What a folder is named after, without the seed."""
        preset = self.preset or self.settings.env.name
        return f"{preset}-{method_name(self.settings)}-{self.settings.policy.core.core}"

    def naming_problems(self) -> list[str]:
        """Return a message for each name that is not valid, and if there are no or two configurations."""
        names = {name: getattr(self, name) or None for name in ("preset", *CHOSEN_BY_NAME)}
        found = name_problems(**names)
        if self.config is None:
            none = f"name a preset, or give --config FILE; presets: {', '.join(PRESETS)}"
            return found if self.preset else [*found, none]
        if self.preset:
            found.append(f"give either the preset {self.preset} or --config {self.config}, not both")
        return found + problems_of(read_config_file, self.config)


@dataclasses.dataclass(frozen=True)
class Train(OnDevices, Configured):
    """Meta-train an agent, e.g. `rl3 train mdp-h100-quick --method rl2 --seed 1`.

    Every field of the configuration is an argument whose default is the preset's:
    see `rl3 train PRESET --help`. `rl3 list` describes the presets. Ctrl-C stops; `rl3 resume` goes on.
    """

    out: Annotated[
        Path | None,
        optional(
            "DIR", "run folder; default runs/PRESET-METHOD-POLICY-seedS; of several seeds the folder of these"
        ),
    ] = None
    overwrite: Annotated[bool, arg(help="replace the run that is in the run folder")] = False
    log: Annotated[
        UseAppendAction[tuple[str, ...]],
        optional("LOGGER", one_of(LOGS) + "; beside metrics.jsonl, and again for another"),
    ] = ()

    @property
    def folders(self) -> list[Path]:
        """The run folder of each seed."""
        seeds = [f"seed{self.settings.seed + place}" for place in range(self.num_seeds)]
        if self.out is None:
            return [Path("runs") / f"{self.name}-{seed}" for seed in seeds]
        return [self.out] if self.num_seeds == 1 else [self.out / seed for seed in seeds]

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        how = {name: getattr(self, name) for name in ("num_seeds", "overwrite", "log", "devices")}
        return self.naming_problems() + train_problems(self.settings, self.folders, **how)

    def run(self) -> None:
        """Train."""
        how = {name: getattr(self, name) for name in ("overwrite", "log", "devices")}
        train_seeds(self.settings, self.folders, **how)
        if not hosts.is_first():
            return
        folders = " ".join(map(str, self.folders))
        if self.num_seeds == 1:
            print(f"the agent is in {folders}; next: rl3 evaluate {folders}{plugins.option()}")
        else:
            print(f"the agents are in {folders}; evaluate each, then: rl3 report {folders}")


@dataclasses.dataclass(frozen=True)
class Plan(Train):
    """Say what `rl3 train` with the same arguments would take: memory, and time from a short probe.

    Nothing is written, but for --json. With --target the program is compiled for an accelerator that need
    not be there, and nothing is run.
    """

    target: Annotated[str | None, optional("T", "h100, h100:8, tpu-v5e:2x4 or the like")] = None
    json: JsonFile = None

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid; where the run would go does not matter."""
        found = self.naming_problems() + file_problems(self.json)
        if not hosts.alone():
            found.append("rl3 plan takes one process; --target says what many devices do, e.g. h100:8")
        if self.target is None:
            how = {name: getattr(self, name) for name in ("num_seeds", "log", "devices")}
            return found + train_problems(self.settings, [], **how)
        if found := found + problems_of(target_devices, self.target):
            return found
        return program_problems(self.settings, self.num_seeds, self.devices, target_devices(self.target))

    def run(self) -> None:
        """Plan."""
        how = {name: getattr(self, name) for name in ("num_seeds", "devices", "target")}
        found = plan(self.settings, **how, progress=True)
        print_plan(found)
        write_json(found, self.json)


@dataclasses.dataclass(frozen=True)
class Sweep(Configured):
    """Train candidates that differ in some fields, and compare them on held-out tasks.

    E.g. `rl3 sweep mdp-h100-quick --vary ppo.learning_rate=1e-3,3e-3 ppo.clip=0.1,0.2`, or, of ranges,
    `--vary ppo.learning_rate=1e-4..1e-2 --samples 16 --halvings 2`. The same command again goes on.
    """

    vary: Annotated[
        tuple[str, ...], optional("FIELD=V,V ...", "values of each field, or FIELD=LOW..HIGH to draw from")
    ] = ()
    samples: Annotated[int | None, optional("N", "candidates to draw; all combinations, if not given")] = None
    halvings: Annotated[int, arg(metavar="K", help="give up the worse half so often on the way")] = 0
    num_tasks: NumTasks = DEFAULT_NUM_TASKS
    out: Annotated[
        Path | None, optional("DIR", "folder of the sweep; default runs/PRESET-METHOD-POLICY-sweep")
    ] = None

    @property
    def folder(self) -> Path:
        """The folder of the sweep."""
        return self.out or Path("runs") / f"{self.name}-sweep"

    def _asked(self) -> SweepConfig:
        """Return the sweep; raises a `ConfigError` if values cannot be read, or a field is named twice."""
        sizes = {name: getattr(self, name) for name in ("num_seeds", "samples", "halvings", "num_tasks")}
        values = [parse_values(text) for text in self.vary]
        if len(dict(values)) < len(values):
            raise ConfigError("--vary names a field twice; give all its values at once: FIELD=VALUE,VALUE")
        return SweepConfig(self.settings, dict(values), **sizes)

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        found = self.naming_problems() + problems_of(self._asked)
        return found or self._asked().problems(self.folder)

    def run(self) -> None:
        """Sweep."""
        print_sweep(sweep(self._asked(), self.folder), self.folder)


@dataclasses.dataclass(frozen=True)
class Resume(OnDevices):
    """Go on with a run that was stopped, or extend one; with several seeds' runs in one program."""

    dirs: Annotated[Positional[tuple[Path, ...]], optional("DIR [DIR ...]", "run folders")]
    iterations: Annotated[int | None, optional("N", "in all; as last asked for, if not given")] = None

    def run(self) -> None:
        """Train on."""
        resume_seeds(self.dirs, self.iterations, devices=self.devices)


@dataclasses.dataclass(frozen=True)
class OfFamily(Shared):
    """Arguments of every command that takes a task family."""

    family: Annotated[Positional[str], arg(metavar="FAMILY", help=one_of(FAMILIES))]
    variation: Annotated[str | None, optional("V", "of the task family; its base, if not given")] = None
    num_arms: Annotated[int | None, optional("K", "of a bandit; 5 if not given")] = None

    def make(self) -> TaskFamily:
        """Return the family; raises a `ConfigError` if there is none like that."""
        fields = {"variation": self.variation, "num_arms": self.num_arms}
        return make_family(self.family, **{name: x for name, x in fields.items() if x is not None})


@dataclasses.dataclass(frozen=True)
class Baselines(OfFamily):
    """Evaluate the baselines of a task family on held-out tasks."""

    horizon: Annotated[int | None, optional("H", "trial length; the family's usual one, if not given")] = None
    names: Annotated[tuple[str, ...], optional("NAME ...", "of the baselines; all, if not given")] = ()
    prior_reward: Annotated[
        float | None,
        optional("M", "mean reward that baselines of random MDPs believe in beforehand; only those run"),
    ] = None
    num_tasks: NumTasks = DEFAULT_NUM_TASKS
    seed: Seed = 0
    json: JsonFile = None

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        horizon = 1 if self.horizon is None else self.horizon
        found = problems_of(self.make) + task_set_problems(horizon, self.num_tasks, self.seed)
        if not found:
            family, length = self._trials()
            found = baseline_problems(family, length, self.names, self.prior_reward)
        return found + file_problems(self.json)

    def _trials(self) -> tuple[TaskFamily, int]:
        family = self.make()
        return family, family.trial_length if self.horizon is None else self.horizon

    def run(self) -> None:
        """Evaluate."""
        asked = {name: getattr(self, name) for name in ("num_tasks", "seed", "names", "prior_reward")}
        result = evaluate_baselines(*self._trials(), **asked, progress=True)
        print_result(result)
        write_json(result, self.json)


@dataclasses.dataclass(frozen=True)
class Describe(OfFamily):
    """Say what characterises the tasks of a family: statistics of many, with standard errors.

    Of a family of your own, notes tell what speaks against training on it as it is, from trials of random
    actions and of object-level RL alone.
    """

    num_tasks: Annotated[int, arg(metavar="N", help="tasks drawn, those counted that the family rejects")] = (
        DEFAULT_NUM_TASKS
    )
    seed: Annotated[int, arg(metavar="S", help="names the set of tasks")] = 0
    json: JsonFile = None

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        found = problems_of(self.make) + task_set_problems(1, self.num_tasks, self.seed)
        return found + file_problems(self.json)

    def run(self) -> None:
        """Describe."""
        family = self.make()
        description = describe(family, num_tasks=self.num_tasks, seed=self.seed, progress=True)
        print_statistics(description)
        write_json(description, self.json)
        if is_from_outside(family):
            print("trying random actions", file=sys.stderr)
            for remark in check(family):
                print(f"note: {remark}")


COMMANDS: dict[str, type[Shared]] = {
    kind.__name__.lower(): kind
    for kind in (
        *(List, Train, Plan, Sweep, Resume, Evaluate),
        *(Baselines, Compare, Describe, Report, Watch, Export, Push, Doctor),
    )
}
"""By name, in the order of the help."""
