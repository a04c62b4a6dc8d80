"""Runs that differ in numbers alone share one compiled program, in which each number counts."""

import dataclasses
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.errors import ConfigError
from rl3_jax.ppo import PPOConfig
from rl3_jax.testing.trees import at, differs
from rl3_jax.training import Hyper, hyper_of, init, program_of, train_steps
from rl3_jax.training.hyper import NAMES, config_of
from rl3_jax.training.steps import CHUNK_CAPACITY, _train_steps
from tests.marks import slow
from tests.training.setting import CONFIG, configure
from tests.trees import assert_close

OTHER = {
    "iterations": 7.0,
    "discount": 0.5,
    "gae_lambda": 0.9,
    "clip": 0.01,
    "kl_limit": 1e-7,
    "learning_rate": 3e-2,
    "learning_rate_final": 1e-3,
    "learning_rate_hold": 0.9,
    "entropy_bonus": 0.5,
    "entropy_bonus_final": 0.09,
    "entropy_bonus_hold": 0.9,
    "novelty_bonus": 5.0,
    "novelty_share": 0.3,
    "critic_coefficient": 3.0,
    "critic_l2": 5.0,
    "value_scale": 1.0,
    "count_scale": 1.0,
    "reward_scale": 5.0,
}
"""Another value of each number."""
WITH_ALL = configure(
    ppo=dataclasses.replace(CONFIG.ppo, novelty_bonus=1.0, critic_scale="remaining-steps", kl_limit=1e9)
)


train_once = jax.jit(chex.assert_max_traces(_train_steps.__wrapped__, n=1), static_argnames="config")
"""The compiled function of `train_steps`, which here refuses to be traced a second time."""


def with_numbers(config, **numbers):
    """The configuration with other numbers, wherever they stand in it."""

    def changed(part):
        names = {field.name for field in dataclasses.fields(part)}
        return dataclasses.replace(part, **{name: numbers[name] for name in names & set(numbers)})

    return dataclasses.replace(changed(config), ppo=changed(config.ppo), features=changed(config.features))


@pytest.fixture(scope="module")
def swept():
    """Parameters after four iterations, of runs with one number of `OTHER` each, then of one with none."""
    one = hyper_of(WITH_ALL)
    hyper = jax.tree.map(lambda x: jnp.broadcast_to(x, len(NAMES) + 1), one)
    for index, name in enumerate(NAMES):
        hyper = hyper.replace(**{name: getattr(hyper, name).at[index].set(OTHER[name])})
    states = jax.vmap(lambda _: init(WITH_ALL, jax.random.key(0)))(hyper.clip)
    train = jax.vmap(partial(train_steps, program_of(WITH_ALL)), in_axes=(0, 0, None))
    return jax.device_get(train(hyper, states, 4)[0].learnt.params)


@pytest.mark.parametrize("name", NAMES)
def test_each_number_counts(swept, name):
    assert differs(at(swept, NAMES.index(name)), at(swept, -1))


@pytest.mark.parametrize(
    "name", slow(["discount", "learning_rate_hold", "critic_l2", "reward_scale"], keep=2)
)
def test_a_sweep_equals_separate_runs(swept, name):
    config = with_numbers(WITH_ALL, **{name: OTHER[name]})
    state, _ = train_once(program_of(config), hyper_of(config), init(config, jax.random.key(0)), 4)
    assert_close(at(swept, NAMES.index(name)), state.learnt.params, rtol=1e-3, atol=1e-4)


def test_runs_that_differ_in_numbers_alone_are_compiled_once():
    returns = []
    for config in (
        WITH_ALL,
        dataclasses.replace(WITH_ALL, seed=3, iterations=9, checkpoint_every=2),
        with_numbers(WITH_ALL, **(OTHER | {"iterations": 7})),
    ):
        state = init(config, jax.random.key(config.seed))
        returns.append(float(train_once(program_of(config), hyper_of(config), state, 1)[1]["mean_return"][0]))
    assert returns[0] != returns[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"horizon": 20},
        {"ppo": dataclasses.replace(WITH_ALL.ppo, novelty_bonus=0.0)},
        {"ppo": PPOConfig(epochs=3)},
    ],
    ids=["horizon", "no novelty bonus", "epochs"],
)
def test_what_decides_structure_makes_another_program(changes):
    assert program_of(dataclasses.replace(WITH_ALL, **changes)) != program_of(WITH_ALL)


def test_the_numbers_are_those_of_the_configuration():
    hyper = hyper_of(WITH_ALL)
    assert isinstance(hyper, Hyper)
    assert set(NAMES) == set(OTHER)
    found = {name: float(getattr(hyper, name)) for name in NAMES}
    ppo, features = WITH_ALL.ppo, WITH_ALL.features
    expected = {name: getattr(ppo, name, getattr(features, name, WITH_ALL.iterations)) for name in NAMES}
    assert found == {name: float(np.float32(value)) for name, value in expected.items()}


def test_the_public_function_shares_programs_too():
    """Configurations that differ in numbers alone, and numbers of Python's own, compile nothing more."""
    state = init(WITH_ALL, jax.random.key(0))
    state, _ = train_steps(WITH_ALL, hyper_of(WITH_ALL), state, 1)
    program, _ = _train_steps.prepare(program_of(WITH_ALL), hyper_of(WITH_ALL), state, 1)
    compiled = program._cache_size()
    other = with_numbers(WITH_ALL, **(OTHER | {"iterations": 7}))
    hyper = dataclasses.replace(hyper_of(other), clip=0.3, iterations=11)
    train_steps(other, hyper, init(other, jax.random.key(1)), 2)
    assert _train_steps.prepare(program_of(other), hyper, state, 1)[0] is program
    assert program._cache_size() == compiled


def test_more_iterations_than_a_call_reports_are_refused():
    state = init(CONFIG, jax.random.key(0))
    with pytest.raises(ConfigError, match="num_iterations is 65; one call runs 64 at the most"):
        train_steps(CONFIG, hyper_of(CONFIG), state, CHUNK_CAPACITY + 1)


def test_a_configuration_may_be_had_back_from_its_numbers():
    other = with_numbers(WITH_ALL, **(OTHER | {"iterations": 7}))
    back = config_of(WITH_ALL, hyper_of(other))
    assert hyper_of(back) == hyper_of(other)
    assert back.iterations == 7
    assert back.env.features.reward_scale == OTHER["reward_scale"]
    assert program_of(back) == program_of(other)
    assert hash(back.env) is not None
