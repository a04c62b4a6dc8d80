"""Which cases `make test` runs, of tests with many."""

import pytest


def slow_but(few, cases):
    """Return the cases with all marked that are not among a few."""
    return slow([*few, *(case for case in cases if case not in few)], keep=len(few))


def slow(cases, keep=1):
    """Return the cases with all but the first few marked: what those show, `make test-all` shows for all."""
    cases = list(cases)
    marked = [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.slow)
        for case in cases[keep:]
    ]
    return cases[:keep] + marked
