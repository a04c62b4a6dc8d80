"""What is kept of a recorded trial to be drawn: where the values of object-level RL have places."""

from typing import Any

import jax
import numpy as np
import pytest

from rl3_jax.object_rl import Coordinates, Hashed, Identity, Kernel
from rl3_jax.presets import make_config
from rl3_jax.training import init
from rl3_jax.training.evaluation import Agent
from rl3_jax.training.recording import record


def recorded(preset, **fields) -> Any:
    config = make_config(preset, horizon=6, policy={"width": 8}, **fields)
    config.validate()
    params = init(config, jax.random.key(0)).learnt.params
    return record(config.env, Agent(params["actor"], config.network), 0)[1]


@pytest.mark.parametrize("abstraction", [Hashed(), Hashed(bins=8)])
def test_rows_of_hashed_vectors_are_no_places(abstraction):
    found = recorded("point-robot-h100-quick", learner="model-based", abstraction=abstraction)
    assert found.place is None
    assert found.table is None
    assert found.q.shape == found.counts.shape == (6, 9)


def test_integers_have_values_where_their_index_alone_says_their_row():
    plain, hashed, binned, vectors = (
        recorded("gridworld-11x11-quick", abstraction=abstraction, learner=learner)
        for abstraction, learner in [
            (Identity(), {}),
            (Hashed(), {}),
            (Hashed(bins=8), {}),
            (Coordinates(), {"learner": Kernel.learner}),
        ]
    )
    met = np.unique(plain.place)
    np.testing.assert_allclose(hashed.table[:, met], plain.table[:, met], rtol=1e-5, atol=1e-6)
    assert binned.table is None
    assert vectors.table is None
