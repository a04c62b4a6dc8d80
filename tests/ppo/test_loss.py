import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax import ppo
from rl3_jax.policies import CORES
from tests.conformance.trees import assert_close
from tests.ppo.setting import CONFIG, HORIZON, collected, configure
from tests.reference import outer


def moved(params, scale):
    """Return parameters some way from those that collected the batch."""
    return jax.tree.map(lambda x: x + scale * jnp.sin(100.0 * x), params)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize(("clip", "entropy_bonus"), [(0.2, 0.0), (0.05, 0.3)])
def test_actor_loss_equals_its_twin(clip, entropy_bonus, normalise):
    policy, params, batch, _ = collected()
    actor = moved(params["actor"], 0.3)
    config = configure(clip=clip, normalise_advantages=normalise)
    loss, metrics = ppo.actor_loss(config, policy, actor, batch, jnp.float32(entropy_bonus))
    seen = batch.trajectory
    logits = np.asarray(jax.vmap(policy.logits, in_axes=(None, 0))(actor, seen.observations))
    expected = outer.ppo_loss(
        logits,
        seen.log_probs,
        np.asarray(seen.actions),
        batch.advantages,
        clip=clip,
        entropy_bonus=entropy_bonus,
        normalise=normalise,
    )
    found = (loss, metrics["actor_loss"], metrics["entropy"], metrics["max_abs_log_ratio"])
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-6)
    change = jax.nn.log_softmax(logits) - seen.log_probs
    ratio = np.exp(np.take_along_axis(np.asarray(change), np.asarray(seen.actions)[..., None], -1))
    clipped = np.mean(np.abs(ratio - 1) > clip)
    assert 0.05 < clipped < 0.95  # both branches matter here


@pytest.mark.parametrize("scale", ["none", "remaining-steps"])
def test_critic_loss_equals_its_twin(scale):
    policy, params, batch, _ = collected()
    config = configure(critic_scale=scale)
    output = np.asarray(
        jax.vmap(policy.values, in_axes=(None, 0))(params["critic"], batch.trajectory.observations)
    )
    factor = np.arange(HORIZON, 0, -1) if scale == "remaining-steps" else 1.0
    values = ppo.critic_values(config, policy, params["critic"], batch.trajectory.observations)
    np.testing.assert_allclose(values, output * factor, rtol=1e-5, atol=1e-6)
    expected = np.mean((output * factor - np.asarray(batch.returns)) ** 2)
    np.testing.assert_allclose(ppo.critic_loss(config, policy, params["critic"], batch), expected, rtol=1e-5)


def test_mean_kl_equals_its_twin():
    policy, params, batch, _ = collected()
    actor = moved(params["actor"], 0.3)
    logits = jax.vmap(policy.logits, in_axes=(None, 0))(actor, batch.trajectory.observations)
    expected = outer.kl(batch.trajectory.log_probs, logits).mean()
    assert expected > 0.01
    np.testing.assert_allclose(ppo.mean_kl(policy, actor, batch.trajectory), expected, rtol=1e-4)
    assert abs(ppo.mean_kl(policy, params["actor"], batch.trajectory)) < 1e-6


@pytest.mark.parametrize("core", CORES)
def test_the_first_gradient_is_the_plain_policy_gradient(core):
    policy, params, batch, _ = collected(core)
    config = configure(normalise_advantages=False)

    def surrogate(actor):
        return ppo.actor_loss(config, policy, actor, batch, jnp.float32(0.0))[0]

    def plain(actor):
        logits = jax.vmap(policy.logits, in_axes=(None, 0))(actor, batch.trajectory.observations)
        log_p = jax.nn.log_softmax(logits)
        chosen = jnp.take_along_axis(log_p, batch.trajectory.actions[..., None], -1)[..., 0]
        return -(chosen * batch.advantages).mean()

    gradient, expected = (jax.jit(jax.grad(loss))(params["actor"]) for loss in (surrogate, plain))
    assert max(jnp.abs(leaf).max() for leaf in jax.tree.leaves(expected)) > 0.01
    assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


def test_the_config_lists_all_that_is_wrong():
    assert CONFIG.problems() == []
    assert (
        "does not divide ppo.trials 8; divisors are 1, 2, 4, 8" in configure(minibatch_trials=3).problems()[0]
    )
    wrong = {
        "epochs": 0,
        "discount": 1.1,
        "gae_lambda": -0.1,
        "clip": 0.0,
        "learning_rate": 0.0,
        "critic_l2": -1.0,
    }
    problems = configure(**wrong).problems()
    assert sorted(problem.split()[0] for problem in problems) == sorted(f"ppo.{field}" for field in wrong)
    assert len(configure(learning_rate=float("nan"), kl_limit=float("nan")).problems()) == 2
