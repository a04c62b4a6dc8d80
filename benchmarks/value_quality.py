"""What object-level values are worth on gridworlds: the return of a trial that is greedy on them.

    python benchmarks/value_quality.py --json value_quality.json

A clairvoyant acts until it has reached the goal so many times, while the learner watches. From then on the
agent takes the action of the largest value that the learner shows for the current state, drawn uniformly
among equals. After 0 goals this is the learner alone. All models meet the same held-out tasks and, while
their actions agree, the same outcomes.

A model is named by the states over which its smoothing spreads, `met` (those met so far, as the family has
it) or `all`, and fields of the learner that differ from the family's: `all:smoothing=0.001,max_sweeps=2`.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from common import literal, machine, markdown, write
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax import ConfigError, make_config
from rl3_jax.baselines import Baseline
from rl3_jax.baselines.navigation import ClairvoyantTrial
from rl3_jax.errors import unknown_choice
from rl3_jax.object_rl import Transition
from rl3_jax.tasks import Gridworld, GridworldTask
from rl3_jax.tasks.gridworld_map import GOAL, TILE_REWARD
from rl3_jax.training.evaluation import held_out_trials
from rl3_jax.trial import TrialEnv, TrialState

COLUMNS = {
    "model": "model",
    "goals": "goals at first",
    "mean_return": "return",
    "standard_error": "±",
    "switch_step": "steps at first",
    "return_after": "return after",
    "return_after_error": "± after",
    "goals_after": "goals after",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure.

    Attributes:
      models: learners to be greedy on; `met` alone is the reference's.
      goals: how many times the clairvoyant reaches the goal first.
      variation: of the gridworld.
      horizon: trial length; 0 is the variation's own.
      num_tasks: held-out tasks.
      seed: names the set of tasks.
      json: file for the results, instead of standard output.
    """

    models: tuple[str, ...] = (
        "all:tolerance=0,max_sweeps=2",
        "met",
        "all:smoothing=0.001,tolerance=0,max_sweeps=2",
        *(f"met:untried=stay,smoothing=0,tolerance=0,max_sweeps={sweeps}" for sweeps in (2, 4, 8)),
    )
    goals: tuple[int, ...] = (0, 1, 3)
    variation: str = "11x11"
    horizon: int = 0
    num_tasks: int = 512
    seed: int = 0
    json: Path | None = None


class AllStates(Gridworld):
    """Gridworlds whose every cell counts in a learner's model, met or not."""

    discovered: ClassVar[bool] = False


FAMILIES = {"met": Gridworld, "all": AllStates}


@struct.dataclass
class Memory:
    """What `Watched` remembers of a trial.

    Attributes:
      plan: the clairvoyant's, for the whole trial.
      goal: [S] which cell is the goal.
      reached: [] how many times it was reached.
    """

    plan: Int[Array, "H S"]
    goal: Bool[Array, " S"]
    reached: Int[Array, ""]


@struct.dataclass
class Watched(Baseline):
    """The clairvoyant until the goal was reached so many times, from then on greedy on the values shown.

    Attributes:
      goals: how many times; an array, so that one compiled program serves all numbers.
      clairvoyant: who acts first.
    """

    goals: Int[Array, ""] | int
    clairvoyant: ClairvoyantTrial = ClairvoyantTrial()

    def init(self, env: TrialEnv, task: GridworldTask) -> Memory:
        """Return the memory before the trial."""
        return Memory(self.clairvoyant.init(env, task), task.tiles == GOAL, jnp.int32(0))

    def act(
        self,
        env: TrialEnv,
        memory: Memory,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Memory, Int[Array, ""]]:
        """Return an action. The key is consumed."""
        _, planned = self.clairvoyant.act(env, memory.plan, state, observation, key)
        q = env.action_values(state).q
        greedy = jnp.where(q == q.max(), jax.random.uniform(key, q.shape), -1.0).argmax()
        return memory, jnp.where(memory.reached < self.goals, planned, greedy)

    def learn(self, env: TrialEnv, memory: Memory, transition: Transition) -> Memory:
        """Count the goals reached."""
        return dataclasses.replace(memory, reached=memory.reached + memory.goal[transition.next_s])


def main() -> None:
    """Measure each model, print a table, and write JSON."""
    options = tyro.cli(Options, description=__doc__)
    envs = {model: configure(options, model) for model in options.models}  # mistakes show at once
    results = []
    for model, env in envs.items():
        for goals in options.goals:
            results.append({"model": model, "goals": goals} | measure(options, env, goals))
            print(markdown(results[-1:], COLUMNS).splitlines()[-1], file=sys.stderr, flush=True)
    print(markdown(results, COLUMNS), file=sys.stderr)
    report = machine() | {"benchmark": "value_quality"}
    horizon = next(iter(envs.values())).horizon
    asked_for = {"variation": options.variation, "horizon": horizon, "held-out tasks": options.num_tasks}
    write(options.json, report | {"options": asked_for, "results": results})


def configure(options: Options, model: str) -> TrialEnv:
    """Return trials whose learner is the model."""
    states, _, text = model.partition(":")
    if states not in FAMILIES:
        raise SystemExit(unknown_choice("states", states, list(FAMILIES)))
    learner = {name: literal(value) for name, _, value in (x.partition("=") for x in text.split(",") if x)}
    try:
        config = make_config("gridworld-11x11", task={"variation": options.variation}, learner=learner)
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    family = FAMILIES[states](variation=options.variation)
    return dataclasses.replace(config.env, family=family, horizon=options.horizon or family.trial_length)


def measure(options: Options, env: TrialEnv, goals: int) -> dict[str, Any]:
    """Return what trials come to, and the part of each after so many goals; `±` are standard errors."""
    trials = held_out_trials(env, Watched(goals), options.seed, 0, options.num_tasks)
    if trials.dropped.any():
        raise RuntimeError(f"{int(trials.dropped.sum())} transitions were dropped")
    rewards = np.asarray(trials.rewards, np.float64)
    reached = rewards == TILE_REWARD[GOAL]
    after = reached.cumsum(axis=1) - reached >= goals
    mean_return, standard_error = mean_and_error(rewards.sum(axis=1))
    return_after, return_after_error = mean_and_error((rewards * after).sum(axis=1))
    return {
        "mean_return": mean_return,
        "standard_error": standard_error,
        "switch_step": round(float((~after).sum(axis=1).mean()), 1),
        "return_after": return_after,
        "return_after_error": return_after_error,
        "goals_after": round(float((reached & after).sum(axis=1).mean()), 2),
    }


def mean_and_error(returns: np.ndarray) -> tuple[float, float]:
    """Return the mean over tasks and its standard error."""
    return round(float(returns.mean()), 1), round(float(returns.std(ddof=1) / np.sqrt(len(returns))), 1)


if __name__ == "__main__":
    main()
