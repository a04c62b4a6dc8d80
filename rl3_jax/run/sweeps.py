"""Sweeps: candidates that differ in some fields, trained together and compared on held-out tasks."""

import contextlib
import dataclasses
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from rl3_jax.errors import ConfigError, NonFiniteError, problems_of
from rl3_jax.presets import vary
from rl3_jax.report import statistics
from rl3_jax.run.agent import load_agent
from rl3_jax.run.evaluation import DEFAULT_NUM_TASKS, evaluate_run, task_set_problems
from rl3_jax.run.files import read_json, write_json
from rl3_jax.run.folder import RunFolder, creation_problems, is_run, new_runs, newest_iteration
from rl3_jax.run.on_disk import train_to_target
from rl3_jax.run.program_cache import compile_cache
from rl3_jax.run.runs import shared_by_a_program, train_problems
from rl3_jax.run.signals import Interrupted
from rl3_jax.training import TrainConfig, serialise

CHOICE_SEED = 1
"""Names the held-out tasks that candidates are compared on. The best is evaluated on those of seed 0 at the
end, which took no part in the choice: the best of many is otherwise overrated."""
NOT_VARIED = {
    "seed": "num_seeds trains several seeds of each candidate",
    "iterations": "candidates are compared after equally many",
    "task": "candidates are compared on the same tasks",
    "horizon": "candidates are compared on the same trials",
    "evaluation": "it does not change what is learnt",
    "checkpoint_every": "it does not change what is learnt",
}
"""Fields that candidates have in common, and why."""
DIGITS = 6
"""Significant digits of a number drawn from a range: the name of its candidate tells it exactly."""
LONGEST_NAME = 255
"""Bytes that the name of a folder may have on common file systems."""


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers to draw from: uniformly in their logarithm if both ends are positive, else uniformly.

    Between ends that are whole numbers, `int`, only such are drawn.
    """

    low: float
    high: float

    def draw(self, generator: np.random.Generator) -> int | float:
        """Return a number."""
        if self.low > 0.0:
            number = math.exp(generator.uniform(math.log(self.low), math.log(self.high)))
        else:
            number = generator.uniform(self.low, self.high)
        if isinstance(self.low, int) and isinstance(self.high, int):
            return round(number)
        return min(max(float(f"{number:.{DIGITS}g}"), self.low), self.high)


Values = Sequence[Any] | Range


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A configuration that a sweep tries: the fields that are its own, and all of it with the first seed."""

    fields: Mapping[str, Any]
    config: TrainConfig

    @property
    def name(self) -> str:
        """What is its own, as the command line has it; names its folder."""
        return ",".join(f"{field}={value}" for field, value in self.fields.items())

    def runs(self, out: Path, num_seeds: int) -> list[tuple[Path, TrainConfig]]:
        """Return the run folder and the configuration of each seed."""
        configs = [
            dataclasses.replace(self.config, seed=self.config.seed + place) for place in range(num_seeds)
        ]
        return [(out / self.name / f"seed{config.seed}", config) for config in configs]


def parse_values(text: str) -> tuple[str, Values]:
    """Return field and values of `FIELD=VALUE,VALUE,…` or `FIELD=LOW..HIGH`, or raise a `ConfigError`."""
    field, equals, values = text.partition("=")
    if not (field and equals and values):
        raise ConfigError(f"--vary {text!r} is not of the form FIELD=VALUE,VALUE or FIELD=LOW..HIGH")
    field = field.replace("-", "_")
    low, dots, high = values.partition("..")
    if not dots:
        return field, [_value(value) for value in values.split(",")]
    ends = _value(low), _value(high)
    if not all(type(end) in (int, float) for end in ends):
        raise ConfigError(f"--vary {text!r}: the ends of a range are numbers, as in 1e-4..1e-2")
    return field, Range(*ends)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _draw(choices: Values, generator: np.random.Generator) -> Any:
    if isinstance(choices, Range):
        return choices.draw(generator)
    return choices[int(generator.integers(len(choices)))]


def _folder_problems(path: Path, config: TrainConfig) -> list[str]:
    """Return a message if a run can neither start nor go on in a folder."""
    if not is_run(path):
        return creation_problems(path, overwrite=False)
    if unreadable := problems_of(RunFolder(path).read):
        return unreadable
    same = RunFolder(path).read().config == config
    return [] if same else [f"{path} holds a run of another configuration; choose another --out"]


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """What a sweep tries.

    Attributes:
      config: what candidates have in common.
      values: of each field to vary, by its dotted name (`ppo.learning_rate`), or of `method`, `policy` and
        `learner`; a list, or a `Range` to draw from.
      num_seeds: of each candidate, from the seed of `config` on.
      samples: how many candidates are drawn at random; all combinations, if not given.
      halvings: how often the worse half is given up.
      num_tasks: held-out tasks.
    """

    config: TrainConfig
    values: Mapping[str, Values]
    num_seeds: int = 1
    samples: int | None = None
    halvings: int = 0
    num_tasks: int = DEFAULT_NUM_TASKS

    def problems(self, out: Path) -> list[str]:
        """Return a message for each reason why the sweep can neither start nor go on in a folder."""
        found = train_problems(self.config, [], num_seeds=self.num_seeds)
        found += task_set_problems(self.config.horizon, self.num_tasks, CHOICE_SEED)
        if found := found or self._number_problems() or problems_of(self.candidates):
            return found
        candidates = self.candidates()
        if any(len(candidate.name.encode()) > LONGEST_NAME for candidate in candidates):
            return [f"candidates' folders would have names of over {LONGEST_NAME} bytes; vary fewer fields"]
        if _file(out).exists():
            earlier, now = read_json(_file(out)), self.to_dict()
            if not isinstance(earlier, dict):
                return [f"{_file(out)} is not what `rl3 sweep` writes; choose another --out"]
            if other := serialise.differences({name: earlier.get(name) for name in now}, now):
                return [f"{out} holds another sweep: {'; '.join(other)}; choose another --out"]
        runs = [run for candidate in candidates for run in candidate.runs(out, self.num_seeds)]
        return [problem for path, config in runs for problem in _folder_problems(path, config)]

    def _number_problems(self) -> list[str]:
        """Return a message for each field or number that makes no sense."""
        found = [] if self.values else ["nothing is varied; give --vary FIELD=VALUE,VALUE"]
        for field, choices in self.values.items():
            if reason := NOT_VARIED.get(field.partition(".")[0]):
                found.append(f"{field} cannot be varied: {reason}")
            if not isinstance(choices, Range) and not choices:
                found.append(f"{field} has no values")
            if isinstance(choices, Range) and self.samples is None:
                found.append(f"{field} has a range; say with --samples N how many candidates to draw")
            if isinstance(choices, Range) and not choices.low < choices.high:
                found.append(
                    f"the range of {field} is {choices.low}..{choices.high}; the low end comes first"
                )
        if self.samples is not None and self.samples < 1:
            found.append(f"samples is {self.samples}; at least 1 candidate is drawn")
        if not 0 <= self.halvings <= math.log2(self.config.iterations):
            found.append(
                f"halvings is {self.halvings}; {self.config.iterations} iterations cannot be halved so"
            )
        return found

    def candidates(self) -> list[Candidate]:
        """Return each combination of the values, or some drawn at random; equal ones once.

        Raises a `ConfigError` that lists every value that is not valid.
        """
        values = dict(sorted(self.values.items()))
        if self.samples is None:
            lists = [choices for choices in values.values() if not isinstance(choices, Range)]
            combinations = list(itertools.product(*lists))
        else:
            generator = np.random.default_rng(self.config.seed)
            combinations = [tuple(_draw(x, generator) for x in values.values()) for _ in range(self.samples)]
        found: dict[TrainConfig, Candidate] = {}
        problems = []
        for combination in combinations:
            fields = dict(zip(values, combination, strict=True))
            try:
                config = vary(self.config, fields)
                found.setdefault(config, Candidate(fields, config))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(list(dict.fromkeys(problems)))
        return list(found.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the sweep as JSON values."""
        plain = {
            field: dataclasses.asdict(choices) if isinstance(choices, Range) else list(choices)
            for field, choices in self.values.items()
        }
        sizes = {name: getattr(self, name) for name in ("num_seeds", "samples", "halvings", "num_tasks")}
        return {"config": serialise.to_dict(self.config), "values": plain} | sizes


@compile_cache()
def sweep(config: SweepConfig, out: str | Path, *, progress: bool = True) -> dict[str, Any]:
    """Train candidates and compare them on held-out tasks.

    Candidates that differ in numbers alone (`Hyper`) share a program and are trained together, as several
    seeds are. With halvings, all are trained for iterations/2^halvings first, then the better half for twice
    as long, and so on (successive halving, Jamieson and Talwalkar 2016). The same call again goes on with a
    sweep that was stopped. The folder gets `sweep.json`, whose content is returned (design, section 8), and
    the run folders `CANDIDATE/seedN/`.

    Raises:
      ConfigError: listing every problem, and nothing is written; or if a run does not fit into memory.
      NonFiniteError: if all candidates diverged.
      Interrupted: on SIGINT or SIGTERM, after saving.
    """
    out = Path(out)
    if problems := config.problems(out):
        raise ConfigError(problems)
    found = read_json(_file(out)) if _file(out).exists() else config.to_dict() | {"rungs": []}
    candidates = {candidate.name: candidate for candidate in config.candidates()}
    for rung in range(config.halvings + 1):
        if rung == len(found["rungs"]):
            until = math.ceil(config.config.iterations / 2 ** (config.halvings - rung))
            entries = _compare(config, list(candidates.values()), out, until, progress)
            num_kept = 1 if rung == config.halvings else math.ceil(len(entries) / 2)
            for place, entry in enumerate(entries):
                entry["kept"] = place < num_kept and not entry["diverged"]
            found["rungs"].append({"iterations": until, "candidates": entries})
            write_json(found, _file(out))
        kept = [entry["name"] for entry in found["rungs"][rung]["candidates"] if entry["kept"]]
        candidates = {name: candidates[name] for name in kept}
        if not candidates:
            raise NonFiniteError(f"all candidates diverged, see {_file(out)}; lower the learning rates")
    if "best" not in found:
        ((name, best),) = candidates.items()
        folders = [path for path, _ in best.runs(out, config.num_seeds)]
        results = [evaluate_run(path, num_tasks=config.num_tasks, progress=progress) for path in folders]
        found["best"] = {"name": name, "folders": [path.name for path in folders], **_mean(results)}
        write_json(found, _file(out))
    return found


def _file(out: Path) -> Path:
    return out / "sweep.json"


def _compare(
    config: SweepConfig, candidates: Sequence[Candidate], out: Path, until: int, progress: bool
) -> list[dict[str, Any]]:
    """Return what candidates earn after so many iterations, the best first and those that diverged last."""
    runs = [candidate.runs(out, config.num_seeds) for candidate in candidates]
    _train([run for of_one in runs for run in of_one], until, progress)
    entries = []
    for candidate, of_one in zip(candidates, runs, strict=True):
        entry = {"name": candidate.name, "fields": dict(candidate.fields)}
        entry["diverged"] = any(_unfinished(path, until) for path, _ in of_one)
        if not entry["diverged"]:
            asked = {"num_tasks": config.num_tasks, "seed": CHOICE_SEED, "progress": progress}
            entry |= _mean([evaluate_run(load_agent(path), **asked) for path, _ in of_one])
        entries.append(entry)
    return sorted(entries, key=lambda entry: -entry.get("mean_return", -math.inf))


def _unfinished(path: Path, until: int) -> bool:
    """Whether a run, or its agent, is of fewer iterations; the run has diverged, if training has ended."""
    if newest_iteration(path / "checkpoints") < until or problems_of(load_agent, path):
        return True
    return load_agent(path).iteration < until  # a kill may have come between checkpoint and agent


def _train(runs: Sequence[tuple[Path, TrainConfig]], until: int, progress: bool) -> None:
    """Train each run for so many iterations in all, or until it diverges; those together that can be."""
    groups: dict[Any, list[tuple[Path, TrainConfig]]] = {}
    for path, config in runs:
        if _unfinished(path, until):
            groups.setdefault(shared_by_a_program(config), []).append((path, config))
    for place, group in enumerate(groups.values()):
        if progress:
            what = f"program {place + 1} of {len(groups)}: {len(group)} runs until iteration {until}"
            Console(stderr=True).print(what, highlight=False)
        signum = None
        try:
            with contextlib.suppress(NonFiniteError):
                signum = _go_on(group, until, progress)
        except Interrupted as stop:
            signum = stop.signum
        if signum is not None:
            raise Interrupted(signum, "stopped; everything is saved. Go on with the same command")


def _go_on(runs: Sequence[tuple[Path, TrainConfig]], until: int, progress: bool) -> int | None:
    """Train runs that share a program, each in its folder; returns what `train_to_target` does."""
    there = [RunFolder(path) for path, _ in runs if is_run(path)]
    new = [(path, config) for path, config in runs if not is_run(path)]
    with contextlib.ExitStack() as stack:
        for folder in there:
            stack.enter_context(folder.lock())
        folders = there + stack.enter_context(new_runs(new, log=None, overwrite=False))
        members = [(x, dataclasses.replace(x.read(), target_iterations=until)) for x in folders]
        return train_to_target(members, visible=progress)


def _mean(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean over the seeds and tasks of result files, and how surely it is known."""
    found = statistics.mean(np.asarray([result["results"][0]["returns"] for result in results], dtype=float))
    interval = [found.low, found.high]
    return {"mean_return": found.value, "standard_error": found.standard_error, "interval": interval}
