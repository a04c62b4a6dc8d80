"""Arrays of one shape taken together, against each by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from optax import contrib

from rl3_jax.ppo.config import PPOConfig, optimisers
from rl3_jax.ppo.together import together

SHAPES = {"b": (8, 4), "a": {"x": (4,), "y": (8, 4)}, "c": (), "d": (4, 8), "e": (4,)}
TREE = jax.tree.map(
    lambda shape: jax.random.normal(jax.random.key(hash(shape) % 97), shape),
    SHAPES,
    is_leaf=lambda x: isinstance(x, tuple),
)
TREE["e"] = TREE["e"] + 1.0
TREE["b"] = 2.0 * TREE["b"] - 1.0


def steps(transformation, num_steps=3):
    """Parameters after some steps along gradients that are the parameters themselves."""
    params, state = TREE, transformation.init(TREE)
    for _ in range(num_steps):
        updates, state = jax.jit(transformation.update)(params, state, params)
        params = optax.apply_updates(params, jax.tree.map(lambda u: -0.1 * u, updates))
    return params


def close(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-6)


def test_a_transformation_of_each_number_is_the_same():
    found = steps(together(optax.scale_by_adam()))
    close(found, steps(optax.scale_by_adam()))
    assert jnp.abs(found["e"] - TREE["e"]).max() > 0.1


def test_muon_takes_each_matrix_by_itself():
    ours = optimisers(PPOConfig(optimiser="muon", max_grad_norm=0.0))["actor"]
    alone = optax.chain(
        contrib.muon(1.0, eps=PPOConfig().adam_epsilon, consistent_rms=0.2), optax.scale(-1.0)
    )
    close(steps(ours), steps(alone))
