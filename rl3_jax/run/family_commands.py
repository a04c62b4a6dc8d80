"""The commands of `rl3` that take a task family, as dataclasses whose fields are the arguments."""

import dataclasses
from typing import Annotated, Any

from tyro.conf import Positional, arg

from rl3_jax.errors import ConfigError
from rl3_jax.run.arguments import (
    JsonFile,
    NumTasks,
    Seed,
    Shared,
    json_problems,
    one_of,
    optional,
    show,
    write_json,
)
from rl3_jax.run.describe import describe
from rl3_jax.run.evaluation import (
    DEFAULT_NUM_TASKS,
    baseline_problems,
    evaluate_baselines,
    task_set_problems,
)
from rl3_jax.run.tables import print_statistics
from rl3_jax.tasks import FAMILIES, TaskFamily, make_family

Horizon = Annotated[int | None, optional("H", "trial length; the family's usual one, if not given")]


@dataclasses.dataclass(frozen=True)
class OfFamily(Shared):
    """Arguments of every command that takes a task family."""

    family: Annotated[Positional[str], arg(metavar="FAMILY", help=one_of(FAMILIES))]
    variation: Annotated[str | None, optional("V", "of the task family; its base, if not given")] = None
    num_arms: Annotated[int | None, optional("K", "of a bandit; 5 if not given")] = None

    def make(self) -> TaskFamily:
        """Return the family.

        Raises:
          ConfigError: if there is none like that.
        """
        options = {"variation": self.variation, "num_arms": self.num_arms}
        return make_family(
            self.family, **{field: value for field, value in options.items() if value is not None}
        )

    def making_problems(self) -> list[str]:
        """Return a message for each reason why the family cannot be made."""
        try:
            self.make()
        except ConfigError as error:
            return list(error.problems)
        return []


@dataclasses.dataclass(frozen=True)
class Baselines(OfFamily):
    """Evaluate the baselines of a task family on held-out tasks."""

    horizon: Horizon = None
    names: Annotated[tuple[str, ...], optional("NAME ...", "of the baselines; all, if not given")] = ()
    prior_reward: Annotated[
        float | None,
        optional("M", "mean reward that baselines of random MDPs believe in beforehand; only those run"),
    ] = None
    num_tasks: NumTasks = DEFAULT_NUM_TASKS
    seed: Seed = 0
    json: JsonFile = None

    @property
    def length(self) -> int:
        """H."""
        return self.make().trial_length if self.horizon is None else self.horizon

    @property
    def which(self) -> dict[str, Any]:
        """Which baselines."""
        return {"names": self.names, "prior_reward": self.prior_reward}

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        found = self.making_problems()
        found += task_set_problems(1 if self.horizon is None else self.horizon, self.num_tasks, self.seed)
        if not found:
            found = baseline_problems(self.family, self.length, **self.which)
        return found + json_problems(self.json)

    def run(self) -> None:
        """Evaluate."""
        tasks = {"num_tasks": self.num_tasks, "seed": self.seed}
        show(evaluate_baselines(self.make(), self.length, **tasks, **self.which, progress=True), self.json)


@dataclasses.dataclass(frozen=True)
class Describe(OfFamily):
    """Say what characterises the tasks of a family: statistics of many, with standard errors."""

    num_tasks: Annotated[int, arg(metavar="N", help="tasks drawn, those counted that the family rejects")] = (
        DEFAULT_NUM_TASKS
    )
    seed: Annotated[int, arg(metavar="S", help="names the set of tasks")] = 0
    json: JsonFile = None

    def problems(self) -> list[str]:
        """Return a message for each argument that is not valid."""
        found = self.making_problems() + task_set_problems(1, self.num_tasks, self.seed)
        return found + json_problems(self.json)

    def run(self) -> None:
        """Describe."""
        description = describe(self.make(), num_tasks=self.num_tasks, seed=self.seed, progress=True)
        print_statistics(description)
        write_json(description, self.json)
