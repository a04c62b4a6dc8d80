"""What returns over held-out tasks and training seeds tell, and how surely (design, section 8).

Returns of one agent are an array [N, B]: N training seeds, all on the same B tasks. Errors cover seeds and
tasks, since an agent trained again and met with other tasks would score otherwise (Agarwal et al. 2021,
arXiv 2108.13264). With one seed they cover the choice of tasks alone: they are about this agent, not about
the algorithm.

Means, trimmed means and paired differences have Student's intervals.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import stdtrit

TRIMMED = 0.25
"""Part of the returns that a trimmed mean leaves out at each end: it is the interquartile mean."""
CONFIDENCE = 0.95

Returns = Float[np.ndarray, "N B"]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number, its standard error, and the ends of its interval of 95 %."""

    value: float
    standard_error: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return value and error, as tables have them."""
        return f"{self.value:.2f} ± {self.standard_error:.2f}"


def mean(returns: Returns) -> Estimate:
    """Return the mean over seeds and tasks.

    Returns are taken as μ + seed_i + task_j + rest_ij, so that the mean's variance is estimated without bias
    by S²/N + V/B − R/(N B): with S² the sample variance of the seeds' means, V that of the tasks' means and R
    that of what is left. With one seed it is V/B.
    """
    return _student(returns.mean(axis=0), [returns])


def difference(returns: Returns, others: Float[np.ndarray, "M _"]) -> Estimate:
    """Return by how much the mean of one agent exceeds another's of M seeds, paired by task.

    What a task is worth to both cancels. With one seed each this is the paired t-test.
    """
    if returns.shape[1] != others.shape[1]:
        raise ValueError(f"paired returns need the same tasks, not {returns.shape[1]} and {others.shape[1]}")
    return _student(returns.mean(axis=0) - others.mean(axis=0), [returns, others])


def trimmed_mean(returns: Returns) -> Estimate:
    """Return the mean of the middle half of all returns (the interquartile mean).

    Each return counts as its influence on it (Tukey and McLaughlin 1963): with α of the returns left out at
    each end, m + (w_ij − w)/(1 − 2 α), where m is the trimmed mean, w_ij the return pulled in to the
    quantiles α and 1 − α, and w the mean of these. Their mean is m, with the error of a mean. Below some 20
    tasks the interval is narrow.
    """
    pulled = returns.clip(*np.quantile(returns, [TRIMMED, 1.0 - TRIMMED]))
    influence = (pulled - pulled.mean()) / (1.0 - 2.0 * TRIMMED)
    cut = int(TRIMMED * returns.size)
    return mean(np.sort(returns, axis=None)[cut : returns.size - cut].mean() + influence)


def quantile(parts: Sequence[tuple[Any, Any]]) -> Any:
    """Return Student's quantile at 95 % for a mean whose variance is a sum of independent ones.

    Each part is a variance, a number or array, and its degrees of freedom; those of the sum are
    Satterthwaite's (1946).
    """
    total = sum(variance for variance, _ in parts)
    weights = sum(variance**2 / freedom for variance, freedom in parts)
    # Where there is no variance any number of degrees does.
    freedom = np.divide(total**2, weights, out=np.ones_like(np.asarray(total, float)), where=weights > 0.0)
    return stdtrit(freedom, (1 + CONFIDENCE) / 2)


def _student(by_task: Float[np.ndarray, " B"], agents: list[Float[np.ndarray, "_ B"]]) -> Estimate:
    """Return the mean over tasks with Student's interval; the returns of these agents contribute to it."""
    num_tasks, value = len(by_task), float(by_task.mean())
    parts = [(by_task.var(ddof=1) / num_tasks, num_tasks - 1)]
    rest = 0.0
    for returns in agents:
        num_seeds = len(returns)
        if num_seeds > 1:
            parts.append((returns.mean(axis=1).var(ddof=1) / num_seeds, num_seeds - 1))
            rest += _rest(returns) / returns.size
    # At least what tasks alone and seeds alone tell: an estimate from few may come out smaller.
    total = sum(variance for variance, _ in parts)
    error = float(np.sqrt(max(total - rest, *(variance for variance, _ in parts))))
    half = error * float(quantile(parts))
    return Estimate(value, error, value - half, value + half)


def _rest(returns: Returns) -> float:
    """Return the variance left by seeds and tasks, Σ (x_ij − x_i − x_j + x)²/((N − 1)(B − 1))."""
    num_seeds, num_tasks = returns.shape
    left = returns - returns.mean(axis=1, keepdims=True) - returns.mean(axis=0) + returns.mean()
    return float((left**2).sum() / ((num_seeds - 1) * (num_tasks - 1)))
