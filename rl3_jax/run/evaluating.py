"""`rl3 evaluate`: agents on held-out tasks, beside the baselines."""

import dataclasses
import functools
import sys
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from rl3_jax.errors import problems_of
from rl3_jax.run.agent import LoadedAgent, agent_of
from rl3_jax.run.arguments import AgentName, JsonFile, NumTasks, OfAgent, Seed, Shared, optional
from rl3_jax.run.baselines import add_baselines
from rl3_jax.run.evaluation import (
    DEFAULT_NUM_TASKS,
    evaluate_run,
    evaluation_problems,
    readable_variations,
    task_set_problems,
)
from rl3_jax.run.files import file_problems, write_json
from rl3_jax.run.tables import print_result

ALL = "all"
"""Stands for every variation of a family."""


@dataclasses.dataclass(frozen=True)
class Evaluate(Shared):
    """Evaluate agents on held-out tasks; a run's evaluation.json notes the result."""

    dirs: Annotated[Positional[tuple[Path, ...]], optional("DIR [DIR ...]", "run folders")] = ()
    agent: AgentName = None
    variation: Annotated[
        str | None, optional("V", "of the task family, or all; as trained, if not given")
    ] = None
    horizon: Annotated[int | None, optional("H", "trial length; as trained, if not given")] = None
    num_tasks: NumTasks = DEFAULT_NUM_TASKS
    seed: Seed = 0
    greedy: Annotated[bool, arg(help="take the likeliest action instead of a sample")] = False
    baselines: Annotated[bool, arg(help="set the family's baselines beside it, on the same tasks")] = True
    json: JsonFile = None

    @functools.cached_property
    def agents(self) -> list[OfAgent]:
        """Each agent, as a command takes it that takes one."""
        return [OfAgent(dir=path, agent=self.agent) for path in self.dirs or (None,)]

    def _asked(self, source: str | Path | LoadedAgent) -> list[dict[str, Any]]:
        """Return what to evaluate on, of each variation; where there is no agent, of one."""
        names: list[str | None] = [None if self.variation == ALL else self.variation]
        if self.variation == ALL and not problems_of(agent_of, source):
            names = [*readable_variations(agent_of(source))]
        rest = {name: getattr(self, name) for name in ("horizon", "num_tasks", "seed")}
        return [{"variation": name} | rest for name in names]

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        found = []
        for agent in self.agents:
            if unknown := agent.source_problems():
                horizon = 1 if self.horizon is None else self.horizon
                found += unknown + task_set_problems(horizon, self.num_tasks, self.seed)
                continue
            source = agent.source()
            found += [text for asked in self._asked(source) for text in evaluation_problems(source, **asked)]
        return list(dict.fromkeys(found)) + file_problems(self.json)

    def run(self) -> None:
        """Evaluate."""
        results = [result for agent in self.agents for result in self._evaluate(agent.source())]
        write_json(results if self.variation == ALL or len(self.dirs) > 1 else results[0], self.json)

    def _evaluate(self, source: str | Path | LoadedAgent) -> list[dict[str, Any]]:
        """Evaluate one agent, and print and return what it earned."""
        results, all_asked = [], self._asked(source)
        if len(self.dirs) > 1:
            print(f"{source}:")
        if self.variation == ALL:
            taken = [asked["variation"] for asked in all_asked]
            left = [name for name in agent_of(source).env.family.variations if name not in taken]
            if left:
                print("left out, as this agent cannot read what they show:", ", ".join(left), file=sys.stderr)
        for asked in all_asked:
            result = evaluate_run(source, **asked, greedy=self.greedy, progress=True)
            if self.baselines:
                result = add_baselines(source, result, progress=True)
            print_result(result)
            results.append(result)
        return results
