import jax.numpy as jnp
import pytest
from gymnax.environments import spaces

from rl3_jax.errors import ConfigError
from rl3_jax.policies import Categorical, Distribution, SquashedGaussian, action_distribution


def test_each_space_has_its_distribution():
    assert action_distribution(spaces.Discrete(4)) == Categorical(4)
    box = spaces.Box(-0.5, jnp.array([1.0, 2.0]), (2,))
    assert action_distribution(box) == SquashedGaussian((-0.5, -0.5), (1.0, 2.0))
    for space in (spaces.Discrete(4), box):
        distribution = action_distribution(space)
        assert isinstance(distribution, Distribution)
        assert hash(distribution) == hash(action_distribution(space))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (spaces.Box(-jnp.inf, 1.0, (2,)), "finite ones, the lower below the upper"),
        (spaces.Box(jnp.array([0.0, 1.0]), 1.0, (2,)), "finite ones, the lower below the upper"),
        (spaces.Box(float("nan"), 1.0, (2,)), "finite ones, the lower below the upper"),
        (spaces.Box(0.0, 1.0, ()), "the actions of a Box are vectors"),
        (spaces.Box(0.0, 1.0, (2, 2)), "the actions of a Box are vectors"),
        (spaces.Dict({"a": spaces.Discrete(2)}), "a policy needs a Discrete or a Box"),
    ],
)
def test_a_space_that_does_not_fit_is_refused(space, message):
    with pytest.raises(ConfigError, match=message):
        action_distribution(space)
