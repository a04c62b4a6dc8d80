"""Compiled programs are not mixed up."""

import jax.numpy as jnp
import pytest
from flax import struct

from rl3_jax.baselines import Baseline
from rl3_jax.tasks import Bandit
from rl3_jax.training.evaluation import held_out_trials
from rl3_jax.trial import TrialEnv, method_features

NUM_TYPES = 12
"""JAX 0.10 took one type in six for an earlier one: nine runs in ten would show it."""


@pytest.mark.slow
def test_behaviours_without_fields_have_programs_of_their_own():
    """The type is all that tells them apart: each always pulls an arm of its own."""
    task = Bandit(num_arms=NUM_TYPES)
    env = TrialEnv(task, horizon=1, features=method_features("rl2", task))
    pulled = []

    def make_type(arm):
        class Pulls(Baseline):
            def act(self, env, memory, state, observation, key):
                pulled.append(arm)  # when its program is traced
                return memory, jnp.int32(arm)

        return struct.dataclass(Pulls)

    for arm in range(NUM_TYPES):
        held_out_trials(env, make_type(arm)(), 0, 0, 2)
    assert sorted(set(pulled)) == list(range(NUM_TYPES))
