"""Choosing a hyperparameter of a behaviour by its mean return on tasks that no evaluation sees."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from rl3_jax.training.evaluate import BATCH, evaluate, held_out_tasks
from rl3_jax.training.train import Purpose, stream, task_keys
from rl3_jax.trial import TrialEnv
from rl3_jax.trial.behaviour import Behaviour, run_trials

TUNING_SEED = 1000
"""Names the tuning tasks; evaluation takes seed 0 unless told otherwise, and shares no task with them."""


class Tuning(NamedTuple):
    """What was measured of each of C candidates, all on the same tasks.

    Attributes:
      candidates: [C] the values tried.
      returns: [C, B] return of each candidate on each task.
    """

    candidates: Sequence[Any]
    returns: Float[np.ndarray, "C B"]

    @property
    def mean_returns(self) -> Float[np.ndarray, " C"]:
        """[C] mean return of each candidate."""
        return self.returns.mean(axis=1)

    @property
    def best(self) -> Any:
        """The candidate of the largest mean return, the first among equals."""
        return self.candidates[int(self.mean_returns.argmax())]

    @property
    def losses(self) -> Float[np.ndarray, " C"]:
        """[C] how much less than the best candidate each returns on average."""
        return self.mean_returns.max() - self.mean_returns

    @property
    def loss_errors(self) -> Float[np.ndarray, " C"]:
        """[C] standard errors of the losses, from the differences on each task; 0 for the best."""
        differences = self.returns[self.mean_returns.argmax()] - self.returns
        return differences.std(axis=1, ddof=1) / np.sqrt(differences.shape[1])


def tune(
    env: TrialEnv,
    make: Callable[[Any], Behaviour],
    candidates: Sequence[Any],
    *,
    num_tasks: int,
    seed: int = TUNING_SEED,
    static: bool = False,
    track: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> Tuning:
    """Return what each candidate value of a hyperparameter earns on the tuning tasks.

    Args:
      env: the trial.
      make: returns the behaviour with a value of the hyperparameter, as `Ucb1` does.
      candidates: the values.
      num_tasks: B.
      seed: names the tasks.
      static: whether the value sets sizes. If not, it is a leaf of the behaviour and one compiled program
        runs all candidates at once; if so, each has its own.
      track: wraps the iteration over batches or candidates, to show progress.
    """
    if static:
        returns = [
            evaluate(env, make(value), num_tasks=num_tasks, seed=seed).sum(axis=1, dtype=np.float64)
            for value in track(candidates)
        ]
        return Tuning(candidates, np.stack(returns))
    batch = min(BATCH, num_tasks)
    values = jnp.asarray(candidates, jnp.float32)
    parts = [
        jax.device_get(_returns(env, make, values, seed, start, batch))
        for start in track(range(0, num_tasks, batch))
    ]
    return Tuning(candidates, np.concatenate(parts, axis=1, dtype=np.float64)[:, :num_tasks])


@partial(jax.jit, static_argnames=("env", "make", "num_tasks"))
def _returns(
    env: TrialEnv,
    make: Callable[[Any], Behaviour],
    candidates: Float[Array, " C"],
    seed: Int[Array, ""] | int,
    start: Int[Array, ""] | int,
    num_tasks: int,
) -> Float[Array, "C B"]:
    """Return the return of each candidate on each task, with indices from `start` on."""
    tasks = held_out_tasks(env, seed, start, num_tasks)
    keys = task_keys(stream(jax.random.key(seed), Purpose.EVALUATION_TRIAL), start, num_tasks)
    return jax.vmap(lambda value: run_trials(env, make(value), tasks, keys).rewards.sum(axis=1))(candidates)
