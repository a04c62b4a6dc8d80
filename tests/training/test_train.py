import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.policies import Gru, LinearAttention, Markov, MinGru, PolicyConfig, Transformer
from rl3_jax.testing.trees import at, differs
from rl3_jax.training import METRICS, hyper_of, init, program_of, train_steps
from rl3_jax.training.train import rates
from tests.marks import slow
from tests.reference import outer
from tests.training.setting import CONFIG, configure, run
from tests.trees import assert_close, assert_finite


@pytest.fixture(scope="module")
def whole():
    return run([6])


@pytest.mark.parametrize("chunks", [[3, 3], [1, 5], [2, 1, 3]], ids=str)
def test_a_run_does_not_depend_on_how_it_is_cut(whole, chunks):
    """Bit for bit, metrics too."""
    state, rows = run(chunks)
    assert jax.tree.structure(state) == jax.tree.structure(whole[0])
    assert not differs(_plain(state), _plain(whole[0]))
    assert rows == whole[1]


def test_a_run_with_muon_and_a_product_read_out_does_not_depend_on_how_it_is_cut():
    config = configure(
        policy=PolicyConfig(core=MinGru(), width=8, read_out="product", shared_trunk=True),
        ppo=dataclasses.replace(CONFIG.ppo, optimiser="muon"),
    )
    (state, rows), (cut, cut_rows) = run([4], config), run([1, 3], config)
    assert not differs(_plain(state), _plain(cut))
    assert rows == cut_rows
    assert all(row["max_abs_log_ratio"] <= 1e-5 for row in rows)
    assert differs(state.learnt.params, init(config, jax.random.key(0)).learnt.params)


@pytest.mark.parametrize("segment_length", [0, 5])
def test_a_run_with_exchangeable_actions_does_not_depend_on_how_it_is_cut(segment_length):
    config = configure(
        policy=PolicyConfig(core=MinGru(), width=8, exchangeable_actions=True),
        ppo=dataclasses.replace(CONFIG.ppo, segment_length=segment_length, segment_carries="stored"),
    )
    (state, rows), (cut, cut_rows) = run([4], config), run([1, 3], config)
    assert not differs(_plain(state), _plain(cut))
    assert rows == cut_rows
    assert all(row["max_abs_log_ratio"] <= 1e-5 for row in rows)
    assert differs(state.learnt.params, init(config, jax.random.key(0)).learnt.params)


def test_metrics_are_finite_and_named(whole):
    state, rows = whole
    assert all(set(row) == set(METRICS) for row in rows)
    assert_finite(rows)
    assert_finite(state.learnt)
    assert state.iteration == 6
    assert len({row["mean_return"] for row in rows}) == 6
    assert all(row["max_abs_log_ratio"] <= 1e-5 for row in rows)
    assert all(row["actor_epochs"] in (1, 2) for row in rows)


def test_schedules_end_with_the_run_as_first_configured(whole):
    progress = np.array([0, 1, 2, 3, 4, 4]) / 4
    for name, first, last in (("learning_rate", 1e-2, 2e-3), ("entropy_bonus", 0.1, 0.02)):
        seen = [row[name] for row in whole[1]]
        np.testing.assert_allclose(seen, first + (last - first) * progress, rtol=1e-5)


@pytest.mark.parametrize("hold", [0.0, 0.4, 1.0])
def test_a_schedule_holds_before_it_decays(hold):
    ppo = dataclasses.replace(CONFIG.ppo, learning_rate_hold=hold, entropy_bonus_hold=1.0 - hold)
    config = dataclasses.replace(CONFIG, ppo=ppo, iterations=10)
    for iteration in range(13):
        found = rates(hyper_of(config), jnp.int32(iteration))
        expected = (
            outer.schedule(ppo.learning_rate, ppo.learning_rate_final, hold, iteration / 10),
            outer.schedule(ppo.entropy_bonus, ppo.entropy_bonus_final, 1.0 - hold, iteration / 10),
        )
        np.testing.assert_allclose((found.learning_rate, found.entropy_bonus), expected, rtol=1e-5)


def test_the_seed_decides_all(whole):
    assert not differs(_plain(run([6])[0]), _plain(whole[0]))
    other, rows = run([6], seed=1)
    assert differs(other.learnt.params, whole[0].learnt.params)
    assert rows[0]["mean_return"] != whole[1][0]["mean_return"]


def test_the_old_state_is_given_away():
    state = init(CONFIG, jax.random.key(0))
    train_steps(program_of(CONFIG), hyper_of(CONFIG), state, 1)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(state.learnt.params))


SMALL_CORES = [
    Gru(),
    Markov(),
    MinGru(),
    Transformer(layers=1, heads=2, feed_forward=8, cache_parts=2),
    LinearAttention(layers=1, heads=2, feed_forward=8, chunk=5),
]


@pytest.mark.parametrize("core", slow(SMALL_CORES), ids=lambda core: core.core)
def test_seeds_as_an_axis_equal_separate_runs(core):
    config = configure(policy=dataclasses.replace(CONFIG.policy, core=core))
    keys = jax.vmap(jax.random.key)(jnp.arange(2))
    states = jax.vmap(lambda key: init(config, key))(keys)
    states, metrics = jax.vmap(lambda state: train_steps(config, hyper_of(config), state, 2))(states)
    for seed in range(2):
        alone, rows = run([2], config, seed=seed)
        assert_close(at(states.learnt.params, seed), alone.learnt.params, rtol=1e-4, atol=1e-4)
        for name in METRICS:
            np.testing.assert_allclose(
                metrics[name][seed, :2], [row[name] for row in rows], rtol=1e-3, atol=1e-4
            )


def _plain(state):
    """The state with its key as numbers."""
    return state.replace(key=jax.random.key_data(state.key))
