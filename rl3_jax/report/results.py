"""Setting the results of agents and baselines beside each other (design, section 8)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rl3_jax.report import statistics

TASK_SET = ("family", "variation", "horizon", "num_tasks", "eval_seed", "task_set_sha256")
"""Fields of a result file that two results must have in common to be comparable."""


def mismatches(results: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """Return a message for each way in which results are not on the same tasks as the first.

    Args:
      results: name to tell the user, and content, of each result file.
    """
    (first, expected), *others = results
    return [
        f"{name} has {field} {result[field]}, {first} has {expected[field]};"
        " compare runs that were evaluated on the same tasks, see `rl3 evaluate --help`"
        for name, result in others
        for field in TASK_SET
        if result[field] != expected[field]
    ]


def exceeds(entry: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return by how much one entry's mean return exceeds another's on the same tasks.

    Fields: `name` of the other; `mean`, `standard_error` and the `interval` of 95 % of the paired difference.
    """
    found = statistics.difference(*(np.asarray([x["returns"]], dtype=float) for x in (entry, other)))
    return {
        "name": other["name"],
        "mean": found.value,
        "standard_error": found.standard_error,
        "interval": [found.low, found.high],
    }
