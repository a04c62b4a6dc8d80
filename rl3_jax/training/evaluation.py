"""Evaluation on held-out tasks, the same for agents and baselines."""

import hashlib
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import jax
import numpy as np
from flax import struct
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree

from rl3_jax.errors import ConfigError
from rl3_jax.policies import Policy
from rl3_jax.programs import jit_of_few
from rl3_jax.tasks import Action, Task, TaskFamily
from rl3_jax.training.config import TrainConfig
from rl3_jax.training.train import Integer, Purpose, TrainState, stream, task_keys
from rl3_jax.trial import TrialEnv, TrialState
from rl3_jax.trial.behaviour import Behaviour, Trials, run_trials

Track = Callable[[Iterable[int]], Iterable[int]]

BATCH = 500
"""Tasks evaluated in one call; bounds memory, does not change results."""


@struct.dataclass
class Agent(Behaviour):
    """The behaviour of a meta-policy: its memory lasts the whole trial, and what it sees tells what happened.

    Attributes:
      params: the actor's parameters.
      policy: the meta-policy.
      greedy: take the mode of its distribution instead of a sample.
    """

    params: PyTree
    policy: Policy = struct.field(pytree_node=False)
    greedy: bool = struct.field(pytree_node=False, default=False)

    def init(self, env: TrialEnv, task: Task) -> Any:
        """Return the memory before the trial.

        Raises:
          ConfigError: if the policy cannot act in trials of this length.
        """
        if problems := self.policy.config.length_problems(self.policy.horizon, env.horizon):
            raise ConfigError(problems)
        return self.policy.initial_carry()

    def act(
        self,
        env: TrialEnv,
        memory: Any,
        state: TrialState,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
    ) -> tuple[Any, Action]:
        """Return the memory and an action. The key is consumed."""
        noise = self.policy.noise(key, self.greedy)
        return self.policy.act({"actor": self.params}, memory, observation, noise)[:2]


def agent_of(config: TrainConfig, state: TrainState) -> Agent:
    """Return the behaviour of the meta-policy that a run has learnt, to be evaluated in `config.env`.

    After a sweep over the scales of features the env is that of `config_of(config, hyper)`.
    """
    return Agent(params=state.learnt.params["actor"], policy=config.network)


@jit_of_few(["env", "num_tasks"])
def held_out_tasks(env: TrialEnv, seed: Integer, start: Integer, num_tasks: int) -> Task:
    """Return [num_tasks] stacked held-out tasks, with indices from `start` on."""
    return drawn(env, jax.random.key(seed), start, num_tasks)[0]


def drawn(env: TrialEnv, key: PRNGKeyArray, start: Integer, num_tasks: int) -> tuple[Task, Key[Array, " N"]]:
    """Return [num_tasks] stacked tasks, with indices from `start` on, and the key of the trial on each.

    Those of `jax.random.key(seed)` are the held-out tasks of that seed.
    """
    of_tasks, of_trials = (
        task_keys(stream(key, purpose), start, num_tasks)
        for purpose in (Purpose.EVALUATION_TASK, Purpose.EVALUATION_TRIAL)
    )
    return jax.vmap(env.family.sample_task)(of_tasks), of_trials


def held_out_trials(
    env: TrialEnv, behaviour: Behaviour, seed: Integer, start: Integer, num_tasks: int
) -> Trials:
    """Return one trial of each held-out task, with indices from `start` on."""
    return _held_out_trials(env, type(behaviour), behaviour, seed, start, num_tasks)


# The type is a static argument of its own since JAX takes two registered dataclasses of different types and
# like fields for the same pytree, and then may run the program of one for the other: `Random` for `BestArm`.
# It was seen with jax 0.10.2 (docs/measurements.md).
@jit_of_few(["env", "kind", "num_tasks"])
def _held_out_trials(
    env: TrialEnv, kind: type, behaviour: Behaviour, seed: Integer, start: Integer, num_tasks: int
) -> Trials:
    del kind
    return run_trials(env, behaviour, *drawn(env, jax.random.key(seed), start, num_tasks))


def evaluate_trials(
    env: TrialEnv, behaviour: Behaviour, *, num_tasks: int, seed: int = 0, track: Track = iter
) -> Trials:
    """Return one trial of each of `num_tasks` held-out tasks, as NumPy arrays.

    Warns if object-level RL could not keep all transitions in its model. `seed` names the set of tasks;
    `track` wraps the iteration over batches, to show progress.

    Raises:
      ConfigError: if a step was taken in, or led to, a state that the family says it does not have.
    """
    of_batch = partial(held_out_trials, env.suited(jax.default_backend()), behaviour, seed)
    trials: Trials = _in_batches(of_batch, num_tasks, track)
    if trials.outside.any():
        raise ConfigError(outside_message(env.family, float(trials.outside.mean())))
    if trials.dropped.any():
        warnings.warn(dropped_message(float(trials.dropped.mean())), stacklevel=2)
    # Compiled programs sort names.
    return trials._replace(summary={name: trials.summary[name] for name in env.family.summary_names})


def evaluate(env: TrialEnv, behaviour: Behaviour, **options: Any) -> Float[np.ndarray, "B H"]:
    """Return the rewards of `evaluate_trials`."""
    return np.asarray(evaluate_trials(env, behaviour, **options).rewards)


def dropped_message(per_trial: float) -> str:
    """Return what to tell the user about transitions for which object-level RL had no room."""
    return (
        f"object-level RL left {per_trial:.2g} transitions a trial out of its model, as states have more"
        " successors than the family's num_successors: let that be larger (0 is no bound), cut a Box into"
        " fewer tiles, or use learner q-learning; with abstraction hash let its rows be more"
    )


def outside_message(family: TaskFamily, per_trial: float) -> str:
    """Return what to tell the user about states that are not in the table."""
    return (
        f"{type(family).__name__}: {per_trial:.2g} steps a trial were taken in, or led to, a state that is"
        f" not among 0 to {family.num_states - 1}, as num_states is {family.num_states}, and was taken for"
        " another; keep states in this range, or let num_states be larger"
    )


def task_set_hash(env: TrialEnv, *, num_tasks: int, seed: int) -> str:
    """Return the SHA-256 of the held-out tasks' arrays: equal for results that saw the same tasks."""
    digest = hashlib.sha256(env.family.name.encode())
    for leaf in jax.tree.leaves(_in_batches(partial(held_out_tasks, env, seed), num_tasks)):
        digest.update(leaf.tobytes())
    return digest.hexdigest()


def task_statistics(
    family: TaskFamily, *, num_tasks: int, seed: int = 0, track: Track = iter
) -> dict[str, Float[np.ndarray, " N"]]:
    """Return the family's statistics of each of `num_tasks` candidates, which `sample_task` may reject."""
    return _in_batches(partial(_statistics, family, seed), num_tasks, track)


@jit_of_few(["family", "num_tasks"])
def _statistics(
    family: TaskFamily, seed: Integer, start: Integer, num_tasks: int
) -> dict[str, Float[Array, " N"]]:
    keys = task_keys(stream(jax.random.key(seed), Purpose.EVALUATION_TASK), start, num_tasks)
    return family.statistics(jax.vmap(family.sample_candidate)(keys))


def _in_batches(function: Callable[[int, int], PyTree], num_tasks: int, track: Track = iter) -> PyTree:
    """Return function(start, size) for all tasks together, as NumPy arrays."""
    size = min(BATCH, num_tasks)
    parts = [jax.device_get(function(start, size)) for start in track(range(0, num_tasks, size))]
    return jax.tree.map(lambda *arrays: np.concatenate(arrays)[:num_tasks], *parts)
