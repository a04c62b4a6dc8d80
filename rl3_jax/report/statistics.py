"""What returns over held-out tasks and training seeds tell, and how surely (design, section 8).

Returns of one agent are an array [N, B]: N training seeds, all on the same B tasks. Intervals are
percentile bootstraps (Efron and Tibshirani 1993, chapter 13) that draw tasks and seeds anew, since an agent
trained again and met with other tasks would score otherwise (Agarwal et al. 2021, arXiv 2108.13264). With
one seed an interval covers the choice of tasks alone: it is about this agent, not about the algorithm.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

TRIMMED = 0.25
"""Part of the returns that a trimmed mean leaves out at each end: it is the interquartile mean."""
CONFIDENCE = 0.95
RESAMPLES = 2000
"""Draws of a bootstrap; an end of a 95 % interval then has a standard error of a twentieth of its width."""
BYTES_AT_ONCE = 2**27

Returns = Float[np.ndarray, "N B"]
Statistic = Callable[[Float[np.ndarray, "R N B"]], Float[np.ndarray, " R"]]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number, and how surely it is known.

    Attributes:
      value: the number.
      standard_error: of it.
      low, high: the ends of its interval of 95 %.
    """

    value: float
    standard_error: float
    low: float
    high: float

    @property
    def deviation(self) -> float:
        """How many standard errors lie between it and 0; infinite where there is no error."""
        if self.standard_error == 0.0:
            return 0.0 if self.value == 0.0 else float(np.copysign(np.inf, self.value))
        return self.value / self.standard_error


def mean(returns: Returns) -> Estimate:
    """Return the mean over seeds and tasks."""
    return _estimate(_mean, returns)


def trimmed_mean(returns: Returns) -> Estimate:
    """Return the mean of the middle half of all returns (the interquartile mean)."""
    return _estimate(_trimmed_mean, returns)


def difference(returns: Returns, others: Float[np.ndarray, "M _"]) -> Estimate:
    """Return by how much the mean of one agent exceeds another's, task by task on the same tasks.

    The bootstrap draws tasks for both at once, so that what a task is worth to both cancels, and the seeds
    of each apart.

    Args:
      returns: [N, B] of one agent.
      others: [M, B] of the other, on the same tasks; M may differ from N.
    """
    if returns.shape[1] != others.shape[1]:
        raise ValueError(f"paired returns need the same tasks, not {returns.shape[1]} and {others.shape[1]}")
    value = float(returns.mean() - others.mean())
    if len(returns) == len(others) == 1:
        return _estimate(_mean, returns - others)
    tasks = _generator(2).integers(returns.shape[1], size=(RESAMPLES, returns.shape[1]))
    # A mean over tasks that were drawn is one over all, weighted by how often each was.
    shares = np.stack([np.bincount(row, minlength=returns.shape[1]) for row in tasks]) / returns.shape[1]
    draws = np.zeros(RESAMPLES)
    for sign, agent, stream in ((1.0, returns, 0), (-1.0, others, 1)):
        seeds = _generator(stream).integers(len(agent), size=(RESAMPLES, len(agent)))
        draws += sign * np.take_along_axis(shares @ agent.T, seeds, axis=1).mean(axis=1)
    return _from_draws(value, draws)


def regret(returns: Returns, clairvoyant: Float[np.ndarray, "M _"]) -> Estimate:
    """Return what an agent misses of the clairvoyant's mean return on the same tasks."""
    return difference(clairvoyant, returns)


def _estimate(statistic: Statistic, returns: Returns) -> Estimate:
    """Return a statistic of returns, with the errors that drawing seeds and tasks anew gives it.

    The standard error of one seed's mean is the usual one, s/√B.
    """
    num_seeds, num_tasks = returns.shape
    value = float(statistic(returns[None])[0])
    seeds = _generator(0).integers(num_seeds, size=(RESAMPLES, num_seeds, 1))
    tasks = _generator(2).integers(num_tasks, size=(RESAMPLES, 1, num_tasks))
    at_once = max(1, BYTES_AT_ONCE // returns.nbytes)
    draws = [
        statistic(returns[seeds[start : start + at_once], tasks[start : start + at_once]])
        for start in range(0, RESAMPLES, at_once)
    ]
    found = _from_draws(value, np.concatenate(draws))
    if num_seeds == 1 and statistic is _mean:
        return dataclasses.replace(found, standard_error=float(returns.std(ddof=1) / np.sqrt(num_tasks)))
    return found


def _from_draws(value: float, draws: Float[np.ndarray, " R"]) -> Estimate:
    """Return an estimate with the spread of bootstrap draws."""
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(draws.std(ddof=1)), float(low), float(high))


def _mean(returns: Float[np.ndarray, "R N B"]) -> Float[np.ndarray, " R"]:
    """Return the mean of each draw."""
    return returns.mean(axis=(1, 2))


def _trimmed_mean(returns: Float[np.ndarray, "R N B"]) -> Float[np.ndarray, " R"]:
    """Return the trimmed mean of each draw."""
    flat = returns.reshape(len(returns), -1)
    cut = int(TRIMMED * flat.shape[1])
    return np.partition(flat, (cut, flat.shape[1] - cut - 1), axis=1)[:, cut : flat.shape[1] - cut].mean(
        axis=1
    )


def _generator(stream: int) -> np.random.Generator:
    """Return a generator that is the same in each call, so that a page can be made again."""
    return np.random.default_rng([0, stream])
