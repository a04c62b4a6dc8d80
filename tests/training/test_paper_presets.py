"""The paper's presets, with their transformer, trial length and minibatches; two minibatches an iteration."""

import jax
import numpy as np
import pytest

from rl3_jax import PRESETS, make_config
from rl3_jax.policies import Transformer
from rl3_jax.testing.trees import differs
from rl3_jax.training import hyper_of, init, train_steps

PAPER = [name for name in PRESETS if not name.endswith(("-quick", "-long"))]
ITERATIONS = 2


@pytest.mark.slow
@pytest.mark.parametrize("preset", PAPER)
def test_a_paper_preset_trains(preset):
    size = PRESETS[preset].ppo.minibatch_trials
    config = make_config(preset, iterations=ITERATIONS, ppo={"trials": 2 * size, "epochs": 2})
    assert isinstance(config.policy.core, Transformer)
    state = init(config, jax.random.key(0))
    start = jax.device_get(state.learnt.params)
    state, metrics = train_steps(config, hyper_of(config), state, ITERATIONS)
    rows = {name: np.asarray(values[:ITERATIONS]) for name, values in metrics.items()}
    assert all(np.isfinite(column).all() for column in rows.values())
    assert (rows["max_abs_log_ratio"] <= config.policy.core.log_prob_tolerance).all()
    assert (rows["kl"] > 0.0).all()
    assert all(differs(state.learnt.params[name], start[name]) for name in ("actor", "critic"))
