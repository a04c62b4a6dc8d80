import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.test_util import check_grads

from rl3_jax.errors import ConfigError
from rl3_jax.policies import Categorical, Distribution, SquashedGaussian, action_distribution
from rl3_jax.policies.gaussian import STD_MAX, STD_MIN
from tests.reference.outer import squashed_log_density, squashed_mean
from tests.statistics import assert_mean

LOW, HIGH = (-1.0, 0.0, 10.0), (1.0, 0.4, 50.0)
GAUSSIAN = SquashedGaussian(LOW, HIGH)
MEANS = hnp.arrays(np.float64, 3, elements=st.floats(-1.5, 1.5))
STDS = hnp.arrays(np.float64, 3, elements=st.floats(0.06, 1.2))


def stored(means, stds):
    return jnp.concatenate([jnp.asarray(means), jnp.log(jnp.asarray(stds))]).astype(jnp.float32)


def each_dimension(*arrays):
    """Yield mean, standard deviation, … and bounds of each dimension."""
    return zip(*arrays, LOW, HIGH, strict=True)


@settings(max_examples=50)
@given(MEANS, STDS, MEANS, STDS, hnp.arrays(np.float64, 3, elements=st.floats(-2.0, 2.0)))
def test_log_density_equals_its_twin(means, stds, other_means, other_stds, u):
    ours, theirs = stored(means, stds), stored(other_means, other_stds)
    action = jnp.asarray(u, jnp.float32)
    expected, other = (
        sum(
            squashed_log_density((low + high) / 2 + (high - low) / 2 * np.tanh(x), m, s, low, high)
            for m, s, x, low, high in each_dimension(m, s, u)
        )
        for m, s in ((means, stds), (other_means, other_stds))
    )
    np.testing.assert_allclose(GAUSSIAN.log_prob(ours, action), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        GAUSSIAN.log_ratio(ours, theirs, action), expected - other, rtol=1e-4, atol=1e-4
    )


@settings(max_examples=10)
@given(MEANS, STDS, MEANS, STDS)
def test_entropy_and_kl_equal_numerical_integrals(means, stds, other_means, other_stds):
    ours, theirs = stored(means, stds), stored(other_means, other_stds)
    entropy = kl = 0.0
    for m, s, m_2, s_2, low, high in each_dimension(means, stds, other_means, other_stds):

        def mean_log_density(mean, std, m=m, s=s, bounds=(low, high)):
            return squashed_mean(lambda a: squashed_log_density(a, mean, std, *bounds), m, s, *bounds)

        entropy -= mean_log_density(m, s)
        kl += mean_log_density(m, s) - mean_log_density(m_2, s_2)
    # The quadrature is wrong by 4e-4 a dimension at σ = 1.2.
    np.testing.assert_allclose(GAUSSIAN.entropy(ours), entropy, atol=2e-3)
    np.testing.assert_allclose(GAUSSIAN.kl(ours, theirs), kl, rtol=1e-4, atol=1e-5)


def test_the_twin_integrates_to_one():
    for mean, std in ((0.0, 0.1), (-1.0, 1.2), (1.5, 0.5)):
        mass = squashed_mean(np.ones_like, mean, std, 0.0, 0.4)
        np.testing.assert_allclose(mass, 1.0, atol=1e-6)


def test_samples_follow_the_density():
    """The share of samples on each side of some points is what the density says."""
    outputs = jnp.array([0.3, -0.5, 1.0, 0.5, -1.0, -3.0])
    means, log_stds = np.split(np.asarray(GAUSSIAN.parameters(outputs), float), 2)
    noise = jax.vmap(GAUSSIAN.noise)(jax.random.split(jax.random.key(0), 10_000))
    samples = jax.vmap(GAUSSIAN.sample, (0, None))(noise, outputs)
    actions = np.asarray(GAUSSIAN.to_env(samples))
    centre, half = np.add(LOW, HIGH) / 2, np.subtract(HIGH, LOW) / 2
    for z in (-1.0, 0.3, 1.5):
        point = centre + half * np.tanh(means + z * np.exp(log_stds))
        expected = [
            squashed_mean(lambda a, p=p: a < p, m, np.exp(s), low, high)
            for m, s, p, low, high in each_dimension(means, log_stds, point)
        ]
        assert_mean(actions < point, expected)
    # Dimensions are drawn apart.
    assert np.abs(np.corrcoef(np.asarray(samples).T) - np.eye(3)).max() < 0.04


def test_zero_outputs_are_nearly_uniform():
    parameters = GAUSSIAN.parameters(jnp.zeros(6))
    uniform = np.log(np.subtract(HIGH, LOW)).sum()
    assert uniform - 0.035 < GAUSSIAN.entropy(parameters) < uniform
    # Neither a wider nor a narrower one comes nearer.
    for change in (-0.1, 0.1):
        assert GAUSSIAN.entropy(parameters.at[3:].add(change)) < GAUSSIAN.entropy(parameters)


def test_extreme_outputs_are_harmless():
    outputs = jnp.array([1e4, -1e4, 0.0, 1e4, -1e4, 0.0])
    parameters = GAUSSIAN.parameters(outputs)
    np.testing.assert_allclose(jnp.exp(parameters[3:5]), [STD_MAX, STD_MIN], rtol=1e-5)
    sample = GAUSSIAN.sample(GAUSSIAN.noise(jax.random.key(0)), outputs)
    action = GAUSSIAN.to_env(sample)
    assert (action >= jnp.array(LOW)).all()
    assert (action <= jnp.array(HIGH)).all()
    np.testing.assert_allclose(GAUSSIAN.to_env(GAUSSIAN.mode(outputs)), [1.0, 0.0, 30.0], atol=1e-6)

    def everything(outputs):
        ours = GAUSSIAN.parameters(outputs)
        return (
            GAUSSIAN.entropy(ours)
            + GAUSSIAN.log_prob(ours, sample)
            + GAUSSIAN.log_ratio(ours, parameters, sample)
            + GAUSSIAN.kl(parameters, ours)
        )

    value, gradient = jax.value_and_grad(everything)(outputs)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
    # Where tanh is flat, entropy still pulls the mean back.
    pull = jax.grad(lambda outputs: GAUSSIAN.entropy(GAUSSIAN.parameters(outputs)))(outputs)
    np.testing.assert_allclose(pull[:2], [-2.0, 2.0], rtol=1e-5)


@pytest.mark.parametrize("name", ["entropy", "kl", "log_prob", "log_ratio"])
def test_gradients_are_those_of_finite_differences(name):
    outputs = jnp.array([0.3, -0.5, 1.0, 0.5, -1.0, -3.0])
    other, action = GAUSSIAN.parameters(outputs + 0.2), jnp.array([0.1, -0.6, 1.2])
    arguments = {"entropy": (), "kl": (other,), "log_prob": (action,), "log_ratio": (other, action)}[name]

    def function(outputs):
        return getattr(GAUSSIAN, name)(GAUSSIAN.parameters(jnp.asarray(outputs)), *arguments)

    assert jnp.abs(jax.grad(function)(outputs)).min() > 1e-3
    check_grads(function, (outputs,), order=1, modes=("rev",), atol=0.03, rtol=0.03, eps=1e-2)


def test_a_leading_axis_is_one_of_steps():
    rng = np.random.default_rng(0)
    ours, theirs = (GAUSSIAN.parameters(jnp.asarray(rng.normal(size=(4, 5, 6)))) for _ in range(2))
    action = jnp.asarray(rng.normal(size=(4, 5, 3)))
    for name, arguments in {
        "entropy": (ours,),
        "kl": (ours, theirs),
        "log_prob": (ours, action),
        "log_ratio": (ours, theirs, action),
    }.items():
        function = getattr(GAUSSIAN, name)
        expected = jax.vmap(jax.vmap(function))(*arguments)
        assert expected.shape == (4, 5)
        np.testing.assert_allclose(function(*arguments), expected, rtol=1e-5, atol=1e-5)


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
