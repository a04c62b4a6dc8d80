import jax.numpy as jnp
import numpy as np

from rl3_jax.baselines import OptimisticThompson, Ucb1
from rl3_jax.tasks import Bandit
from rl3_jax.training import TUNING_SEED, Tuning, evaluate, tune
from rl3_jax.training.evaluate import held_out_tasks
from rl3_jax.trial import TrialEnv, method_features

FAMILY = Bandit(num_arms=3)
ENV = TrialEnv(FAMILY, horizon=20, features=method_features("rl2", FAMILY))


def test_each_candidate_is_evaluated_on_the_tasks_of_the_tuning_seed():
    found = tune(ENV, Ucb1, [0.1, 0.5, 2.0], num_tasks=600)
    assert found.returns.shape == (3, 600)
    for candidate, returns in zip(found.candidates, found.returns, strict=True):
        expected = evaluate(ENV, Ucb1(candidate), num_tasks=600, seed=TUNING_SEED).sum(axis=1)
        np.testing.assert_array_equal(returns, expected)


def test_candidates_that_set_sizes_are_evaluated_likewise():
    found = tune(ENV, OptimisticThompson, [1, 4], num_tasks=50, seed=7, static=True)
    for candidate, returns in zip(found.candidates, found.returns, strict=True):
        expected = evaluate(ENV, OptimisticThompson(candidate), num_tasks=50, seed=7).sum(axis=1)
        np.testing.assert_array_equal(returns, expected)


def test_no_tuning_task_is_an_evaluation_task():
    tuning, evaluation = (
        held_out_tasks(ENV, seed, 0, 2000).success_probability.ravel() for seed in (TUNING_SEED, 0)
    )
    # Of 6000 floats of 2^23 on each side a few are equal by chance, of whole tasks none.
    assert not jnp.isin(tuning.reshape(-1, 3), evaluation).all(axis=1).any()


def test_the_best_candidate_and_its_lead():
    found = Tuning(["a", "b", "c"], np.array([[1.0, 2.0, 3.0], [4.0, 3.0, 5.0], [4.0, 4.0, 4.0]]))
    assert found.best == "b"
    np.testing.assert_allclose(found.mean_returns, [2.0, 4.0, 4.0])
    np.testing.assert_allclose(found.losses, [2.0, 0.0, 0.0])
    np.testing.assert_allclose(found.loss_errors, [1 / 3**0.5, 0.0, 1 / 3**0.5], atol=1e-12)


def test_one_program_serves_all_candidates():
    traces = []

    def make(value):
        traces.append(value)
        return Ucb1(value)

    tune(ENV, make, [0.1, 0.2, 0.3], num_tasks=1200)
    assert len(traces) == 1
