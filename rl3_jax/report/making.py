"""How the rows of a page are made again: the commands, and what sets the configurations apart."""

import dataclasses
import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rl3_jax.baselines.registry import PRIOR
from rl3_jax.report.agents import BESIDE_ALGORITHM, SeededAgent
from rl3_jax.report.blocks import Animation, Commands, Details, Paragraph, Table
from rl3_jax.report.gather import Entry, Setting
from rl3_jax.tasks import FAMILIES, make_family
from rl3_jax.training import serialise

COSTS = ("agent", "seeds", "iterations", "steps, millions", "minutes of a seed")
BESIDE = (*BESIDE_ALGORITHM, "target_iterations")
NONE = "–"


@dataclasses.dataclass(frozen=True)
class Origin:
    """What a page tells of a run beside its results.

    Attributes:
      arguments: of `rl3 train` for its configuration, the seed aside.
      shipped: name and command of the agent that comes with the package, if it is the run's.
    """

    arguments: Sequence[str]
    shipped: tuple[str, str] | None = None


@dataclasses.dataclass(frozen=True)
class Making:
    """How what is reported is made again, and what it looks like.

    Attributes:
      origins: of each run, by its place.
      films: a GIF of a trial of an agent, by its name.
      common: arguments of all commands.
    """

    origins: Mapping[str, Origin]
    films: Mapping[str, bytes]
    common: Sequence[str] = ()

    def command(self, *arguments: Any) -> str:
        """Return a command as it is typed."""
        return shlex.join(["rl3", *map(str, arguments), *self.common])


def training_details(agents: Sequence[SeededAgent], making: Making) -> list[Details]:
    """Return how some agents were trained, and a trial of each whose run folder has an agent."""
    runs = [agent for agent in agents if agent.runs[0].config]
    if not runs:
        return []
    blocks: list[Paragraph | Table | Commands | Animation] = [_costs(runs)]
    if apart := _apart(runs):
        blocks.append(Table(apart, "Fields of the configuration in which they differ:", texts=True))
    for agent in runs:
        blocks += [Paragraph(f"{agent.name}:"), Commands(training_commands(agent, making))]
        blocks += _shipped(agent, making)
    found = [Details("How the agents were trained", blocks)]
    for name in [agent.name for agent in runs if agent.name in making.films]:
        title = f"A trial of {name}"
        found.append(Details(title, [Animation(title, making.films[name])]))
    return found


def setting_details(setting: Setting, making: Making) -> list[Details]:
    """Return the commands that make the rows of a setting again; nothing if they are not known."""
    lines = [line for entry in setting.agents for line in _evaluation_commands(entry, setting, making)]
    lines += _baseline_commands(setting, making)
    return [Details("Commands that make these rows again", [Commands(lines)])] if lines else []


def training_commands(agent: SeededAgent, making: Making) -> list[str]:
    """Return the commands that train all seeds of an agent again."""
    config, seeds = agent.runs[0].config, sorted(run.config["seed"] for run in agent.runs)
    asked = ["train", *making.origins[agent.runs[0].place].arguments]
    if len(seeds) > 1 and seeds == list(range(seeds[0], seeds[0] + len(seeds))):
        together = ["--seed", seeds[0], "--num-seeds", len(seeds), "--out", f"runs/{agent.name}"]
        lines = [making.command(*asked, *together)]
    else:
        lines = [making.command(*asked, "--seed", seed, "--out", _folder(agent, seed)) for seed in seeds]
    target = config["target_iterations"]
    if target != config["iterations"]:
        folders = [_folder(agent, seed) for seed in seeds]
        lines.append(making.command("resume", *folders, "--iterations", target))
    done = {result["iteration"] for run in agent.runs for result in run.results if "iteration" in result}
    lines += [f"# evaluated after {number} of {target} iterations" for number in sorted(done - {target})]
    return lines


def _evaluation_commands(entry: Entry, setting: Setting, making: Making) -> list[str]:
    """Return the commands that evaluate an agent's seeds again, as `training_commands` leaves them."""
    if entry.agent is None or not entry.agent.runs[0].config:
        return []
    header, config = setting.header, entry.agent.runs[0].config
    asked = ["--num-tasks", header["num_tasks"], "--seed", header["eval_seed"]]
    if header["variation"] != config["task"]["variation"]:
        asked += ["--variation", header["variation"]]
    if header["horizon"] != config["horizon"]:
        asked += ["--horizon", header["horizon"]]
    if entry.name != entry.agent.name:
        asked.append("--greedy")
    seeds = [run.config["seed"] for run in entry.agent.runs]
    return [making.command("evaluate", _folder(entry.agent, seed), *asked) for seed in seeds]


def _baseline_commands(setting: Setting, making: Making) -> list[str]:
    """Return the commands that evaluate the baselines again; none where `rl3 evaluate` alone makes them."""
    header = setting.header
    task, fields = header["task"], {"variation": header["variation"]}
    fields |= {name: task[name] for name in ("num_arms",) if name in task}
    if not setting.baselines or header["family"] not in FAMILIES:
        return []
    made = serialise.to_dict(make_family(header["family"], **fields))
    if made | task != made:
        return []
    asked = ["baselines", header["family"]]
    asked += [text for name, value in fields.items() for text in (f"--{name.replace('_', '-')}", value)]
    asked += ["--horizon", header["horizon"], "--num-tasks", header["num_tasks"]]
    asked += ["--seed", header["eval_seed"]]
    priors = dict.fromkeys(entry.name.partition(PRIOR)[2].rstrip(")") for entry in setting.baselines)
    return [making.command(*asked, *(("--prior-reward", prior) if prior else ())) for prior in priors]


def _folder(agent: SeededAgent, seed: int) -> str:
    """Return where the commands train a seed of an agent; the name of a single run often has the seed."""
    return f"runs/{agent.name}" if len(agent.runs) == 1 else f"runs/{agent.name}/seed{seed}"


def _shipped(agent: SeededAgent, making: Making) -> list[Paragraph | Commands]:
    """Return which seeds of an agent come with the package, and how they were made and are looked at."""
    found: list[Paragraph | Commands] = []
    for run in agent.runs:
        shipped = making.origins[run.place].shipped
        if shipped is not None:
            name, command = shipped
            text = (
                f"Its seed {run.config['seed']} comes with rl3_jax as {name}. The first line made all seeds."
            )
            shown = [making.command(verb, "--agent", name) for verb in ("evaluate", "watch")]
            found += [Paragraph(text), Commands([command, *shown])]
    return found


def _costs(agents: Sequence[SeededAgent]) -> Table:
    """Return what the training of some agents took; of several seeds the means."""
    rows: list[Sequence[str]] = [COSTS]
    for agent in agents:
        last = [run.metrics[-1] for run in agent.runs]
        steps, seconds = (np.mean([line[name] for line in last]) for name in ("steps", "wall_seconds"))
        target = str(agent.runs[0].config["target_iterations"])
        rows.append((agent.name, str(len(last)), target, f"{steps / 1e6:.2f}", f"{seconds / 60:.1f}"))
    return Table(rows)


def _apart(agents: Sequence[SeededAgent]) -> list[list[str]]:
    """Return a row for each field of the configurations in which some agents differ, below a heading."""
    configs = [
        serialise.flat({name: x for name, x in agent.runs[0].config.items() if name not in BESIDE})
        for agent in agents
    ]
    fields = dict.fromkeys(field for config in configs for field in config)
    rows = [[f"`{field}`", *(_shown(config.get(field, NONE)) for config in configs)] for field in fields]
    differing = [row for row in rows if len(set(row[1:])) > 1]
    return [["field", *(agent.name for agent in agents)], *differing] if differing else []


def _shown(value: Any) -> str:
    """Return a value of a configuration as it is read best."""
    return value if isinstance(value, str) else json.dumps(value)
