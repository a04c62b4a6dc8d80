"""What every task family, learner and core must do; a new registry entry is covered with no further code."""

import pytest

from rl3_jax.object_rl import LEARNERS, learner_problems, make_learner
from rl3_jax.policies import CORES, Transformer, make_core
from rl3_jax.tasks import FAMILIES, make_family
from rl3_jax.testing import check_core, check_family, check_learner, check_variations_differ
from rl3_jax.testing.learners import TABLES
from tests.marks import slow, slow_but, where_installed

CASES = slow_but(
    [("bandit", "default"), ("mdp", "default"), ("gridworld", "11x11"), ("point-robot", "semicircle")],
    [(name, variation) for name, family in FAMILIES.items() for variation in family.variations],
)


@pytest.mark.parametrize(("name", "variation"), where_installed(CASES))
def test_family(name, variation):
    check_family(make_family(name, variation=variation))


@pytest.mark.parametrize("name", where_installed(FAMILIES))
def test_variations_differ(name):
    check_variations_differ(name)


PAIRS = [
    case
    for name in LEARNERS
    for case in slow(
        [(name, table) for table, spec in TABLES.items() if not learner_problems(make_learner(name), spec)],
        keep=2,
    )
]


@pytest.mark.parametrize(("name", "table"), PAIRS)
def test_learner(name, table):
    check_learner(make_learner(name), TABLES[table])


@pytest.mark.parametrize("name", slow_but(["markov", "gru", "mingru"], CORES))
def test_core(name):
    check_core(make_core(name))


PLACED = [
    {"positions": "rotary", "window": 5},
    {"positions": "alibi", "window": 4, "cache_parts": 1},
    {"positions": "rotary"},
    {"positions": "alibi"},
]
"""Windows that end within a trial of the checks; a cache of parts that do not divide it, and of one."""


@pytest.mark.parametrize("fields", slow(PLACED, keep=2), ids=str)
def test_core_with_positions(fields):
    check_core(Transformer(**fields))


@pytest.mark.slow
def test_core_with_a_window_and_exchangeable_actions():
    check_core(Transformer(positions="rotary", window=5), exchangeable=True)


@pytest.mark.parametrize("name", slow_but(["markov", "gru"], CORES))
def test_core_of_exchangeable_actions(name):
    check_core(make_core(name), exchangeable=True)
