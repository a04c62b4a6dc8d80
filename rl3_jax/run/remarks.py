"""What random trials tell of a run before it is trained: why it may learn nothing, or be slow."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from rl3_jax import training
from rl3_jax.baselines.common import LearnerAlone, Random
from rl3_jax.baselines.registry import LARGEST_DENSE
from rl3_jax.errors import ConfigError
from rl3_jax.lean_gymnax import spaces
from rl3_jax.object_rl import ModelBased, Tiling
from rl3_jax.presets import make_config
from rl3_jax.programs import jit_of_few
from rl3_jax.report import statistics
from rl3_jax.run.program import outside_problems
from rl3_jax.run.program_cache import compile_cache
from rl3_jax.tasks import TaskFamily
from rl3_jax.training import TrainConfig
from rl3_jax.training.evaluation import drawn
from rl3_jax.training.serialise import config_problems
from rl3_jax.trial import Moment, TrialEnv, rollout, trial_keys
from rl3_jax.trial.behaviour import behaviour_acting

CHECKED_TASKS = 64
FAMILY_PRESET = "mdp-h100-quick"
"""The preset with which a family alone is checked."""
LEAST_MET = 0.2
"""Share of the tiles that random trials should meet, all together."""


LEAST_RETURNS = 50
"""Iterations by whose returns a run is judged, at the least."""
STUCK = (
    "a tenth of the run is over, and its returns have not risen above those of the first iterations, when"
    " actions are random. If entropy in metrics.jsonl hardly changes, try a larger ppo.learning_rate; if it"
    " fell to 0, a larger ppo.entropy_bonus, or ppo.novelty_bonus 1 for hidden goals. The"
    " documentation has a page on runs that do not learn"
)


class Walk(NamedTuple):
    """Random trials on B tasks.

    Attributes:
      rewards: of each step.
      s: state of object-level RL before each step, a row or a vector.
      next_s: its next state.
      dropped: transitions that object-level RL could not keep in its model.
    """

    rewards: Float[Array, "H B"]
    s: Int[Array, "H B"] | Float[Array, "H B n"]
    next_s: Int[Array, "H B"] | Float[Array, "H B n"]
    dropped: Int[Array, " B"]


@compile_cache()
def check(what: TrainConfig | TaskFamily, *, num_tasks: int = CHECKED_TASKS) -> list[str]:
    """Return remarks on a run, or on a family, that is about to be trained; none if nothing is amiss.

    They come from trials of random actions, and of object-level RL alone, which take some seconds: whether
    what an agent does matters at all, whether tables of object-level RL have the right size, and whether
    acting on them earns more than chance.

    Args:
      what: the configuration of the run, or a family, which is then checked with `mdp-h100-quick`.
      num_tasks: held-out tasks that are tried.

    Raises:
      ConfigError: listing every problem of the configuration.
    """
    config = make_config(FAMILY_PRESET, task=what) if isinstance(what, TaskFamily) else what
    if problems := config_problems(config) or outside_problems(config):
        raise ConfigError(problems)
    env = config.env.suited(jax.default_backend())
    walk: Any = jax.device_get(_walk(env, num_tasks))
    returns = walk.rewards.sum(0)
    if np.ptp(returns) == 0.0:
        return [
            f"trials of random actions all earn {returns[0]:g}, so that it seems not to matter what an agent"
            " does; pay for what it should do, or nothing any more in a trial in which it failed"
        ]
    if not env.features.uses_object_rl or env.family.one_shot:
        return []
    tables = [] if env.learner.sees_vectors else _table_remarks(env, walk)
    return [*tables, *_value_remarks(env, returns, num_tasks)]


def about_learner(config: TrainConfig) -> str:
    """Return which object-level RL runs inside the trials of a run, in one line."""
    env, learner = config.env, config.learner.learner
    if not env.features.uses_object_rl:
        return "no RL runs inside the trial (method rl2)"
    if config.learner.sees_vectors:
        size = len(env.object_rl.table.bounds)
        numbers = "number" if size == 1 else f"{size} numbers"
        return f"object-level RL is learner {learner}, which sees the {numbers} of a state"
    return f"object-level RL is learner {learner}, with a table of {env.object_rl.table.num_states:,} states"


class Rise:
    """Asks once, after a tenth of a run, whether its returns have risen."""

    def __init__(self, target: int):
        """Take the number of iterations of the run."""
        self._due = max(target // 10, LEAST_RETURNS)
        self._returns: list[float] = []

    def is_missing(self, done: int, returns: Iterable[float]) -> bool:
        """Whether it is missing, the first time that it can be told; takes the newest returns of `done`.

        Nothing is told of a run whose first returns were not seen, as it goes on from a checkpoint.
        """
        if len(self._returns) >= self._due:
            return False
        self._returns += returns
        told = done == len(self._returns) >= self._due and np.isfinite(self._returns).all()
        return bool(told) and not rises(self._returns)


def rises(returns: Sequence[float]) -> bool:
    """Whether returns grow by more than chance explains: along a line, or from the first tenth to the last.

    Chance is what neighbours differ by.
    """
    values = np.array(returns)
    time = np.arange(len(values)) - (len(values) - 1) / 2
    noise = np.sqrt((np.diff(values) ** 2).mean() / 2)
    slope, size = time @ values / (time @ time), max(len(values) // 10, 5)
    grown = values[-size:].mean() - values[:size].mean()
    return bool(slope > 2.0 * noise / np.sqrt(time @ time) or grown > 2.0 * noise * np.sqrt(2.0 / size))


@jit_of_few(["env", "num_tasks"])
def _walk(env: TrialEnv, num_tasks: int) -> Walk:
    """Return trials of random actions on the first held-out tasks."""

    def keep(now: Moment):
        return now.reward, now.transition.s, now.transition.next_s

    tasks, keys = drawn(env, jax.random.key(0), 0, num_tasks)
    lived = rollout(env, behaviour_acting(Random(), env), tasks, *trial_keys(keys, env.horizon), keep)
    rewards, s, next_s = lived.kept
    return Walk(rewards, s, next_s, jax.vmap(env.dropped)(lived.final))


def _table_remarks(env: TrialEnv, walk: Walk) -> list[str]:
    """Return what random trials tell of the size of tables."""
    table, name, found = env.object_rl.table, type(env.family).__name__, []
    most = _most_successors(walk)
    if (dropped := float(walk.dropped.mean())) > 0.0:
        found.append(training.dropped_message(dropped))
    dense = isinstance(env.learner, ModelBased) and env.learner.planner_name(table) in ("dense", "counts")
    if dense and table.num_states > LARGEST_DENSE:
        mend = "leave out the prior (learner.prior_count 0)"
        if not table.num_successors:
            mend = (
                f"set {name}.num_successors, which says how many states may follow one: at most {most} did in"
                f" random trials, so try {2 * most}"
            )
        found.append(
            f"object-level RL plans over all {table.num_states}² × {table.num_actions} triples of states and"
            f" actions at each step, which is slow; {mend}"
        )
    met = len(np.unique(np.concatenate([walk.s, walk.next_s])))
    if isinstance(env.abstraction, Tiling) and met < LEAST_MET * table.num_states:
        found.append(
            f"{walk.rewards.shape[1]} random trials together meet {met} of {table.num_states} tiles; narrower"
            " bounds, or fewer tiles, make tables that are filled sooner"
        )
    return found


def _most_successors(walk: Walk) -> int:
    """Return the largest number of states that followed one in a trial."""
    tasks = np.broadcast_to(np.arange(walk.s.shape[1]), walk.s.shape)
    steps = np.stack([tasks, walk.s, walk.next_s], -1).reshape(-1, 3)
    _, counts = np.unique(np.unique(steps, axis=0)[:, :2], axis=0, return_counts=True)
    return int(counts.max())


def _value_remarks(env: TrialEnv, random: Float[np.ndarray, " B"], num_tasks: int) -> list[str]:
    """Return a remark if acting on the values of object-level RL alone earns no more than chance."""
    if not isinstance(env.family.action_space(), spaces.Discrete):
        return []  # its actions are bins of the numbers that the agent chooses
    alone: Any = LearnerAlone(epsilon=0.1, learner=env.learner)
    returns = training.evaluate(env, alone, num_tasks=num_tasks).sum(-1)
    if statistics.difference(returns[None], random[None]).low > 0.0:
        return []
    earned, by_chance = (statistics.mean(each[None]) for each in (returns, random))
    return [
        f"on {num_tasks} tasks, trials of {env.horizon} steps, acting on the values of object-level RL alone"
        f" earned {earned}, which cannot be told from random actions, {by_chance}; train with method rl2,"
        " too, to see whether these values help"
    ]
