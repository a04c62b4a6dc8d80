import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.baselines import Psrl, Ucb1, make_baselines
from rl3_jax.baselines.registry import BASELINES, EVERYWHERE
from rl3_jax.tasks import FAMILIES, make_family
from rl3_jax.trial import Behaviour, TrialEnv, method_features, run_trials

run = jax.jit(run_trials, static_argnames="env")


def trial(family, horizon):
    return TrialEnv(family, horizon=horizon, features=method_features("rl2", family))


def test_each_family_has_its_baselines():
    assert list(make_baselines("bandit")) == ["random", "ucb1", "thompson", "clairvoyant"]
    assert list(make_baselines("mdp")) == ["random", "psrl", "clairvoyant"]
    assert make_baselines("a family without baselines of its own") == EVERYWHERE


def test_the_registry_names_families_that_exist():
    assert set(BASELINES) <= set(FAMILIES)


CASES = [(family, name) for family in FAMILIES for name in make_baselines(family)]


@pytest.mark.parametrize(("family", "name"), CASES)
@pytest.mark.parametrize("variation", ["default", "ood"])
def test_a_baseline_runs_and_its_trials_do_not_depend_on_the_batch(family, name, variation):
    task_family = make_family(family, variation=variation)
    env, behaviour = trial(task_family, 13), make_baselines(family)[name]
    assert isinstance(behaviour, Behaviour)
    keys = jax.random.split(jax.random.key(1), 6)
    tasks = jax.vmap(task_family.sample_task)(jax.random.split(jax.random.key(0), 6))
    rewards = run(env, behaviour, tasks, keys)
    assert rewards.shape == (6, 13)
    assert jnp.isfinite(rewards).all()
    part = run(env, behaviour, jax.tree.map(lambda x: x[2:4], tasks), keys[2:4])
    np.testing.assert_array_equal(part, rewards[2:4])


@pytest.mark.parametrize(
    ("family", "make", "values"), [("bandit", Ucb1, [0.1, 1.0]), ("mdp", Psrl, [0.0, 2.0])]
)
def test_one_program_serves_all_values_of_a_hyperparameter(family, make, values):
    task_family = make_family(family)
    env = trial(task_family, 40)
    keys = jax.random.split(jax.random.key(1), 5)
    tasks = jax.vmap(task_family.sample_task)(jax.random.split(jax.random.key(0), 5))
    together = jax.vmap(lambda value: run(env, make(value), tasks, keys))(jnp.array(values))
    apart = [run(env, make(value), tasks, keys) for value in values]
    np.testing.assert_allclose(together, apart, rtol=1e-5)
    assert not np.allclose(*apart)
