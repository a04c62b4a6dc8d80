"""Which cases `make test` runs, of tests with many, and which need an extra."""

import pytest

from rl3_jax.extras import is_installed
from rl3_jax.presets import PRESETS
from rl3_jax.tasks import FAMILIES


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


def missing_extra(name):
    """Return the extra that a family or preset of this name needs and that is not installed, or nothing."""
    kind = FAMILIES[name] if name in FAMILIES else type(PRESETS[name].task)
    module, extra = kind.extra or ("", "")
    return "" if not extra or is_installed(module) else extra


def where_installed(cases):
    """Return the cases, with those to be skipped whose family or preset, named first, lacks its extra."""
    return [_where_installed(case) for case in cases]


def _where_installed(case):
    marked = hasattr(case, "marks")
    values = case.values if marked else case if isinstance(case, tuple) else (case,)
    if not (extra := missing_extra(values[0])):
        return case
    skip = pytest.mark.skip(reason=f"needs the extra {extra}")
    return pytest.param(*values, marks=[skip, *(case.marks if marked else ())])
