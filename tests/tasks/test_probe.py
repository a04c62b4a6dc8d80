"""A family that does not do what a trial needs is told so, by the name of its class and with the mend."""

import re

import pytest

from rl3_jax.tasks import Bandit, Gridworld, PointRobots, family_problems, property_problems
from tests.probes import Aim, Chain, OneArmPays
from tests.wrong_families import MISTAKES, DoorTasks, NoSize, OffTheEnd, PlainNumbers, Rare, Walks


@pytest.mark.parametrize("kind", MISTAKES, ids=lambda kind: kind.__name__)
def test_a_mistake_is_told(kind):
    found = family_problems(kind())
    assert any(re.search(MISTAKES[kind], message) for message in found), found
    assert len(found) <= 2


@pytest.mark.parametrize(
    "family",
    [
        Walks(),
        PlainNumbers(),
        DoorTasks(),
        Rare(),
        Chain(),
        Chain(uneven=True),
        Aim(),
        OneArmPays(),
        PointRobots(),
        Gridworld(),
    ],
    ids=lambda family: type(family).__name__,
)
def test_nothing_is_told_of_a_family_that_works(family):
    assert family_problems(family) == ()


def test_properties_are_looked_at_without_taking_steps():
    assert property_problems(OffTheEnd()) == property_problems(Bandit()) == []
    assert len(property_problems(NoSize())) == 1
