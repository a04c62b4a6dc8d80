"""The commands of `rl3`, as dataclasses whose fields are the arguments."""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from rl3_jax.object_rl import LEARNERS
from rl3_jax.policies import CORES
from rl3_jax.presets import PRESETS, method_name, name_problems
from rl3_jax.run.arguments import (
    JsonFile,
    NumTasks,
    RunDir,
    Seed,
    Shared,
    json_problems,
    one_of,
    optional,
    write_json,
)
from rl3_jax.run.evaluation import (
    DEFAULT_NUM_TASKS,
    add_baselines,
    evaluate_run,
    evaluation_problems,
    variations,
)
from rl3_jax.run.family_commands import Baselines, Describe
from rl3_jax.run.folder import config_file_problems
from rl3_jax.run.loggers import LOGGERS
from rl3_jax.run.plan import plan
from rl3_jax.run.report import Report, compare, compare_problems
from rl3_jax.run.tables import print_lists, print_plan, print_result
from rl3_jax.run.train import resume, resume_problems, train, train_problems
from rl3_jax.run.watch import Watch
from rl3_jax.training import TrainConfig
from rl3_jax.trial import METHODS

ALL = "all"
"""Stands for every variation of a family."""


@dataclasses.dataclass(frozen=True)
class List(Shared):
    """List families, variations, presets, methods, policies and learners."""

    def run(self) -> None:
        """Print them."""
        print_lists()


@dataclasses.dataclass(frozen=True)
class Train(Shared):
    """Meta-train an agent, e.g. `rl3 train mdp-h100-quick --method rl2 --seed 1`.

    Every field of the configuration is an argument whose default is the preset's:
    see `rl3 train PRESET --help`. `rl3 list` describes the presets. Ctrl-C stops; `rl3 resume` goes on.
    """

    preset: Annotated[Positional[str], optional("PRESET", one_of(PRESETS))]
    settings: Annotated[TrainConfig, arg(name="")]
    method: Annotated[str, arg(metavar="M", help=one_of(METHODS))] = ""
    policy: Annotated[str, arg(metavar="P", help=one_of(CORES))] = ""
    learner: Annotated[str, arg(metavar="L", help=one_of(LEARNERS))] = ""
    config: Annotated[Path | None, optional("FILE", "a run's config.json, in place of PRESET")] = None
    out: Annotated[Path | None, optional("DIR", "run folder; default runs/PRESET-METHOD-POLICY-seedN")] = None
    overwrite: Annotated[bool, arg(help="replace the run that is in the run folder")] = False
    log: Annotated[str | None, optional("LOGGER", one_of(LOGGERS) + "; beside metrics.jsonl")] = None

    @property
    def folder(self) -> Path:
        """The run folder."""
        preset = self.preset or self.settings.env.name
        policy = self.settings.policy.core.core
        name = f"{preset}-{method_name(self.settings)}-{policy}-seed{self.settings.seed}"
        return self.out or Path("runs") / name

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        return self._naming_problems() + train_problems(
            self.settings, self.folder, overwrite=self.overwrite, log=self.log
        )

    def _naming_problems(self) -> list[str]:
        """Return a message for each name that is not valid, and if there are no or two configurations."""
        names = {"preset": self.preset, "method": self.method, "policy": self.policy, "learner": self.learner}
        found = name_problems(**{what: name or None for what, name in names.items()})
        if not self.preset and self.config is None:
            found.append(f"name a preset, or give --config FILE; presets: {', '.join(PRESETS)}")
        if self.preset and self.config is not None:
            found.append(f"give either the preset {self.preset} or --config {self.config}, not both")
        return found if self.config is None else found + config_file_problems(self.config)

    def run(self) -> None:
        """Train."""
        train(self.settings, self.folder, overwrite=self.overwrite, log=self.log)
        print(f"the agent is in {self.folder}; next: rl3 evaluate {self.folder}")


@dataclasses.dataclass(frozen=True)
class Plan(Train):
    """Say what `rl3 train` with the same arguments would take: memory, and time from a short probe.

    Nothing is written, but for --json.
    """

    json: JsonFile = None

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid; where the run would go does not matter."""
        found = self._naming_problems()
        found += train_problems(self.settings, None, overwrite=False, log=self.log)
        return found + json_problems(self.json)

    def run(self) -> None:
        """Plan."""
        found = plan(self.settings, progress=True)
        print_plan(found)
        write_json(found, self.json)


@dataclasses.dataclass(frozen=True)
class Resume(Shared):
    """Go on with a run that was stopped, or extend one."""

    dir: RunDir
    iterations: Annotated[int | None, optional("N", "in all; as last asked for, if not given")] = None

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        return resume_problems(self.dir, self.iterations)

    def run(self) -> None:
        """Train on."""
        resume(self.dir, self.iterations)


@dataclasses.dataclass(frozen=True)
class Evaluate(Shared):
    """Evaluate a run's agent on held-out tasks, and note the result in its evaluation.json."""

    dir: RunDir
    variation: Annotated[
        str | None, optional("V", "of the task family, or all; as trained, if not given")
    ] = None
    horizon: Annotated[int | None, optional("H", "trial length; as trained, if not given")] = None
    num_tasks: NumTasks = DEFAULT_NUM_TASKS
    seed: Seed = 0
    greedy: Annotated[bool, arg(help="take the likeliest action instead of a sample")] = False
    baselines: Annotated[bool, arg(help="set the family's baselines beside it, on the same tasks")] = True
    json: JsonFile = None

    @property
    def _asked(self) -> list[dict[str, Any]]:
        """The trials to evaluate on, of each variation."""
        names: Sequence[str | None] = (self.variation,)
        if self.variation == ALL:
            names = variations(self.dir)[0]
        rest = {name: getattr(self, name) for name in ("horizon", "num_tasks", "seed")}
        return [{"variation": name} | rest for name in names]

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        found = [problem for asked in self._asked for problem in evaluation_problems(self.dir, **asked)]
        return list(dict.fromkeys(found)) + json_problems(self.json)

    def run(self) -> None:
        """Evaluate."""
        results = []
        if self.variation == ALL and (left_out := variations(self.dir)[1]):
            print(
                f"left out, as this agent cannot read what they show: {', '.join(left_out)}", file=sys.stderr
            )
        for asked in self._asked:
            result = evaluate_run(self.dir, **asked, greedy=self.greedy, progress=True)
            if self.baselines:
                result = add_baselines(self.dir, result, progress=True)
            print_result(result)
            results.append(result)
        write_json(results if self.variation == ALL else results[0], self.json)


@dataclasses.dataclass(frozen=True)
class Compare(Shared):
    """Set runs beside each other and beside the baselines: one figure and one table."""

    dirs: Annotated[Positional[tuple[Path, ...]], optional("DIR [DIR ...]", "run folders")]
    out: Annotated[Path, arg(metavar="DIR", help="folder for the figure and the table")] = Path("comparison")

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        return compare_problems(list(self.dirs), self.out)

    def run(self) -> None:
        """Compare."""
        figure, table = compare(list(self.dirs), self.out, progress=True)
        print(table.read_text())
        print(f"written: {figure} and {table}")


COMMANDS = {
    "list": List,
    "train": Train,
    "plan": Plan,
    "resume": Resume,
    "evaluate": Evaluate,
    "baselines": Baselines,
    "compare": Compare,
    "describe": Describe,
    "report": Report,
    "watch": Watch,
}


Command = List | Train | Plan | Resume | Evaluate | Baselines | Compare | Describe | Report | Watch
