"""`rl3 evaluate`: agents on held-out tasks, beside the baselines."""

import dataclasses
import functools
import sys
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from rl3_jax.errors import problems_of
from rl3_jax.run.agent import LoadedAgent
from rl3_jax.run.arguments import AgentName, JsonFile, NumTasks, OfAgent, Seed, Shared, optional
from rl3_jax.run.baselines import add_baselines
from rl3_jax.run.evaluation import (
    DEFAULT_NUM_TASKS,
    check_notes,
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

    def _asked(self, agent: LoadedAgent) -> list[dict[str, Any]]:
        """Return what to evaluate an agent on, of each variation."""
        names = readable_variations(agent) if self.variation == ALL else [self.variation]
        rest = {name: getattr(self, name) for name in ("horizon", "num_tasks", "seed")}
        return [{"variation": name} | rest for name in names]

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        found = [text for agent in self.agents for text in self._agent_problems(agent)]
        return list(dict.fromkeys(found)) + file_problems(self.json)

    def _agent_problems(self, agent: OfAgent) -> list[str]:
        """Return a message for each reason why an agent cannot be evaluated as it is asked for."""
        if unreadable := problems_of(lambda: check_notes(agent.source)) or problems_of(lambda: agent.loaded):
            horizon = 1 if self.horizon is None else self.horizon
            return unreadable + task_set_problems(horizon, self.num_tasks, self.seed)
        all_asked = self._asked(agent.loaded)
        return [text for asked in all_asked for text in evaluation_problems(agent.loaded, **asked)]

    def run(self) -> None:
        """Evaluate."""
        results = [result for agent in self.agents for result in self._evaluate(agent)]
        write_json(results if self.variation == ALL or len(self.dirs) > 1 else results[0], self.json)

    def _evaluate(self, agent: OfAgent) -> list[dict[str, Any]]:
        """Evaluate one agent, and print and return what it earned."""
        results, all_asked = [], self._asked(agent.loaded)
        if len(self.dirs) > 1:
            print(f"{agent.dir}:")
        if self.variation == ALL:
            taken = [asked["variation"] for asked in all_asked]
            left = [name for name in agent.loaded.env.family.variations if name not in taken]
            if left:
                print("left out, as this agent cannot read what they show:", ", ".join(left), file=sys.stderr)
        for asked in all_asked:
            result = evaluate_run(agent.source, **asked, greedy=self.greedy, progress=True)
            if self.baselines:
                result = add_baselines(agent.source, result, progress=True)
            print_result(result)
            results.append(result)
        return results
