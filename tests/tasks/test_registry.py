import pytest

from rl3_jax.errors import ConfigError
from rl3_jax.tasks import FAMILIES, make_family


def test_an_unknown_family_names_the_known_ones():
    with pytest.raises(ConfigError) as error:
        make_family("bandits")
    assert "'bandits'" in str(error.value)
    assert all(name in str(error.value) for name in FAMILIES)


def test_an_unknown_field_and_a_bad_value_are_named():
    with pytest.raises(ConfigError, match=r"'num_arm'.*num_arms, variation"):
        make_family("bandit", num_arm=3)
    with pytest.raises(ConfigError, match="num_arms is 0"):
        make_family("bandit", num_arms=0)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_unknown_variation_names_the_known_ones(name):
    with pytest.raises(ConfigError) as error:
        make_family(name, variation="oood")
    assert all(variation in str(error.value) for variation in ("'oood'", *FAMILIES[name].variations))


def test_all_mistakes_are_listed_at_once():
    with pytest.raises(ConfigError) as error:
        make_family("mdp", states=0, actions=-1, steps=0, variation="x", num_arms=3)
    assert len(error.value.problems) == 5


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("point-robot", {"action_bins": 3}, "action_bins is 3; it must be a list"),
        ("point-robot", {"action_bins": (3, "3")}, r"action_bins\[1\] is '3'; it must be a number"),
        ("point-robot", {"action_bins": (3, 2.5)}, r"action_bins\[1\] is 2.5; it must be a whole number"),
        ("point-robot", {"dense": 1}, "dense is 1; it must be true or false"),
        ("frozen-lake", {"side": "a"}, "side is 'a'; it must be a number"),
        ("bandit", {"num_arms": "5"}, "num_arms is '5'; it must be a number"),
        ("bandit", {"num_arms": 5.5}, "num_arms is 5.5; it must be a whole number"),
        ("bandit", {"num_arms": True}, "num_arms is True; it must be a number"),
        ("bandit", {"num_arms": None}, "num_arms is None; it must be a number"),
        ("bandit", {"variation": ["ood"]}, r"unknown variation .*'ood'.*; choose from: default, ood"),
    ],
)
def test_a_value_of_a_wrong_type_is_named(name, options, expected):
    with pytest.raises(ConfigError, match=expected) as error:
        make_family(name, **options)
    assert len(error.value.problems) == 1


def test_a_wrong_type_hides_no_other_mistake():
    with pytest.raises(ConfigError) as error:
        make_family("mdp", states="ten", actions=-1, num_arms=3)
    assert len(error.value.problems) == 3


def test_a_list_is_taken_for_a_tuple():
    family = make_family("point-robot", action_bins=[5, 3])
    assert family == make_family("point-robot", action_bins=(5, 3))
    assert hash(family) == hash(make_family("point-robot", action_bins=(5, 3)))
