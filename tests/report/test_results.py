"""Results side by side."""

import numpy as np
import scipy.stats

from rl3_jax.report.results import TASK_SET, exceeds, mismatches

RESULT = dict.fromkeys(TASK_SET, 1) | {"results": []}


def test_results_on_other_tasks_are_named_field_by_field():
    assert mismatches([("a", RESULT), ("b", dict(RESULT))]) == []
    other = RESULT | {"task_set_sha256": "x", "horizon": 7}
    problems = mismatches([("a", RESULT), ("b", dict(RESULT)), ("c", other)])
    assert [problem.split(";")[0] for problem in problems] == [
        "c has horizon 7, a has 1",
        "c has task_set_sha256 x, a has 1",
    ]


def test_what_one_agent_has_more_than_another():
    better = {"name": "better", "returns": [3.0, 5.0, 9.0]}
    worse = {"name": "worse", "returns": [1.0, 2.0, 8.0]}
    found = exceeds(better, worse)
    assert (found["name"], found["mean"]) == ("worse", 2.0)
    assert abs(found["standard_error"] - 3**-0.5) < 1e-12
    half = scipy.stats.t.ppf(0.975, 2) * 3**-0.5
    np.testing.assert_allclose(found["interval"], [2.0 - half, 2.0 + half])
