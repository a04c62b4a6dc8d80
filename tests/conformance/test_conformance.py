import pytest

from rl3_jax.object_rl import LEARNERS, TableSpec, make_learner
from rl3_jax.policies import CORES, make_core
from rl3_jax.tasks import FAMILIES, make_family
from tests.conformance import check_core, check_family, check_learner, check_variations_differ
from tests.marks import slow, slow_but

CASES = slow_but(
    [("bandit", "default"), ("mdp", "default"), ("gridworld", "11x11"), ("point-robot", "semicircle")],
    [(name, variation) for name, family in FAMILIES.items() for variation in family.variations],
)
TABLES = {
    "short episodes": TableSpec(num_states=4, num_actions=3, episode_length=10),
    "long episodes": TableSpec(num_states=4, num_actions=3, episode_length=100),
    "bandit": TableSpec(num_states=2, num_actions=3, episode_length=1, one_shot=True),
    "few successors": TableSpec(5, 3, 10, num_successors=2, horizon=60),
    "discovered states": TableSpec(5, 3, 100, discovered=True),
    "grid": TableSpec(121, 5, 100, num_successors=5, discovered=True, grid=make_family("gridworld").grid),
    "few successors, discovered states": TableSpec(5, 3, 10, num_successors=2, discovered=True),
}


@pytest.mark.parametrize(("name", "variation"), CASES)
def test_family(name, variation):
    check_family(make_family(name, variation=variation))


@pytest.mark.parametrize("name", FAMILIES)
def test_variations_differ(name):
    check_variations_differ(name)


PAIRS = [
    case
    for name in LEARNERS
    for case in slow(
        [(name, table) for table, spec in TABLES.items() if not make_learner(name).table_problems(spec)],
        keep=2,
    )
]


@pytest.mark.parametrize(("name", "table"), PAIRS)
def test_learner(name, table):
    check_learner(make_learner(name), TABLES[table])


@pytest.mark.parametrize("name", slow_but(["markov", "gru", "mingru"], CORES))
def test_core(name):
    check_core(make_core(name))


@pytest.mark.parametrize("name", slow_but(["markov", "gru"], CORES))
def test_core_of_exchangeable_actions(name):
    check_core(make_core(name), exchangeable=True)
