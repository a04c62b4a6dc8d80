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
