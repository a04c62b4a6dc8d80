import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax import ppo
from rl3_jax.constraints import problems
from rl3_jax.policies import CORES
from rl3_jax.ppo.segments import critic_values
from rl3_jax.ppo.updates import mean_kl, normalised
from rl3_jax.testing.cores import outputs_of, values_of
from tests.marks import slow_but
from tests.ppo.setting import BOX, CONFIG, FAMILIES, HORIZON, TRIALS, collected, configure
from tests.reference import outer
from tests.trees import assert_close

FEW = [("gru", "discrete"), ("markov", "box")]
PAIRS = slow_but(FEW, itertools.product(CORES, FAMILIES))


def moved(params, scale):
    """Return parameters some way from those that collected the batch."""
    return jax.tree.map(lambda x: x + scale * jnp.sin(100.0 * x), params)


@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize(("clip", "entropy_bonus"), [(0.2, 0.0), (0.05, 0.3)])
def test_actor_loss_equals_its_twin(clip, entropy_bonus, normalise):
    policy, params, batch, _ = collected()
    actor = moved(params["actor"], 0.3)
    shown = batch
    if normalise:
        everything = jnp.arange(TRIALS)[None]
        shown = batch.replace(advantages=normalised(batch, everything)[0])
    loss, metrics = ppo.loss(
        configure(clip=clip), policy, {"actor": actor}, shown, jnp.float32(entropy_bonus)
    )
    seen = batch.trajectory
    logits = np.asarray(outputs_of(policy, actor, seen.observations))
    expected = outer.ppo_loss(
        logits,
        seen.distributions,
        np.asarray(seen.actions),
        batch.advantages,
        clip=clip,
        entropy_bonus=entropy_bonus,
        normalise=normalise,
    )
    found = (loss, metrics["actor_loss"], metrics["entropy"], metrics["max_abs_log_ratio"])
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-6)
    change = jax.nn.log_softmax(logits) - seen.distributions
    ratio = np.exp(np.take_along_axis(np.asarray(change), np.asarray(seen.actions)[..., None], -1))
    clipped = np.mean(np.abs(ratio - 1) > clip)
    assert 0.05 < clipped < 0.95  # both branches matter here


@pytest.mark.parametrize(
    ("scale", "discount"),
    [("none", 0.9), *(("remaining-steps", discount) for discount in (0.0, 0.9, 0.9999, 1.0))],
)
def test_critic_loss_equals_its_twin(scale, discount):
    policy, params, batch, _ = collected()
    config = configure(critic_scale=scale, discount=discount)
    output = np.asarray(values_of(policy, params["critic"], batch.trajectory.observations))
    factor = outer.remaining(HORIZON, discount) if scale == "remaining-steps" else 1.0
    values = critic_values(config, policy, params, batch.trajectory.observations)[1]
    batch = batch.replace(value_scale=jnp.broadcast_to(config.critic_scales(HORIZON), values.shape))
    np.testing.assert_allclose(values * batch.value_scale, output * factor, rtol=1e-5, atol=1e-6)
    expected = np.mean((output * factor - np.asarray(batch.returns)) ** 2)
    np.testing.assert_allclose(ppo.critic_loss(config, policy, params, batch), expected, rtol=1e-5)


def test_mean_kl_equals_its_twin():
    policy, params, batch, _ = collected()
    actor = moved(params["actor"], 0.3)
    logits = outputs_of(policy, actor, batch.trajectory.observations)
    expected = outer.kl(batch.trajectory.distributions, logits).mean()
    assert expected > 0.01
    np.testing.assert_allclose(mean_kl(CONFIG, policy, {"actor": actor}, batch), expected, rtol=1e-4)
    assert abs(mean_kl(CONFIG, policy, params, batch)) < 1e-6


def test_a_box_policy_is_held_to_the_same_loss():
    """The actor's loss and the KL are made of the densities of the actions as the environment took them."""
    policy, params, batch, _ = collected(family=BOX)
    actor = moved(params["actor"], 0.1)
    config = configure(normalise_advantages=False)
    loss, metrics = ppo.loss(config, policy, {"actor": actor}, batch, jnp.float32(0.3))
    seen, bounds = batch.trajectory, list(zip(policy.distribution.low, policy.distribution.high, strict=True))
    outputs = outputs_of(policy, actor, seen.observations)
    actions = np.asarray(policy.distribution.to_env(seen.actions), float)

    def log_density(parameters):
        mean, log_std = np.split(np.asarray(parameters, float), 2, axis=-1)
        return sum(
            outer.squashed_log_density(actions[..., i], mean[..., i], np.exp(log_std[..., i]), *bounds[i])
            for i in range(2)
        )

    distributions = policy.distribution.parameters(outputs)
    log_ratio = log_density(distributions) - log_density(seen.distributions)
    ratio, advantages = np.exp(log_ratio), np.asarray(batch.advantages, float)
    surrogate = np.minimum(ratio * advantages, np.clip(ratio, 0.8, 1.2) * advantages).mean()
    entropy = np.mean(policy.distribution.entropy(distributions))
    found = (loss, metrics["actor_loss"], metrics["entropy"], metrics["max_abs_log_ratio"])
    expected = (-surrogate - 0.3 * entropy, -surrogate, entropy, np.abs(log_ratio).max())
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    assert 0.05 < np.mean(np.abs(ratio - 1) > 0.2) < 0.95  # both branches matter here
    kl = policy.distribution.kl(seen.distributions, distributions).mean()
    np.testing.assert_allclose(mean_kl(CONFIG, policy, {"actor": actor}, batch), kl, rtol=1e-5)


@pytest.mark.parametrize(("core", "family"), PAIRS)
def test_the_first_gradient_is_the_plain_policy_gradient(core, family):
    policy, params, batch, _ = collected(core, family=FAMILIES[family])
    config = configure(normalise_advantages=False)

    def surrogate(actor):
        return ppo.loss(config, policy, {"actor": actor}, batch, jnp.float32(0.0))[0]

    def plain(actor):
        outputs = outputs_of(policy, actor, batch.trajectory.observations)
        parameters = policy.distribution.parameters(outputs)
        log_probs = policy.distribution.log_prob(parameters, batch.trajectory.actions)
        return -(log_probs * batch.advantages).mean()

    gradient, expected = (jax.jit(jax.grad(loss))(params["actor"]) for loss in (surrogate, plain))
    assert max(jnp.abs(leaf).max() for leaf in jax.tree.leaves(expected)) > 0.01
    assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


def test_the_config_lists_all_that_is_wrong():
    assert problems(CONFIG) == []
    (indivisible,) = problems(configure(minibatch_trials=3), "ppo")
    assert "does not divide ppo.trials 8; divisors are 1, 2, 4, 8" in indivisible
    wrong = {
        "epochs": 0,
        "discount": 1.1,
        "gae_lambda": -0.1,
        "clip": 0.0,
        "learning_rate": 0.0,
        "critic_l2": -1.0,
    }
    found = problems(configure(**wrong), "ppo")
    assert sorted(problem.split()[0] for problem in found) == sorted(f"ppo.{field}" for field in wrong)
    assert problems(configure(segment_carries="store"), "ppo")[0].startswith(
        "unknown ppo.segment_carries 'store'"
    )
    assert len(problems(configure(learning_rate=float("nan"), kl_limit=float("nan")))) == 2
