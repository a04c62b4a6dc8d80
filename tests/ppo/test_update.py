import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax import ppo
from rl3_jax.ppo.config import CACHED_STEPS
from rl3_jax.ppo.updates import normalised
from rl3_jax.testing.trees import differs
from rl3_jax.training.hlo import Program
from tests.marks import slow
from tests.ppo.setting import HORIZON, TRIALS, collected, configure, make_policy, make_state, rates, update
from tests.reference.outer import Adam, Muon
from tests.trees import assert_close

KEY = jax.random.key(3)
STEP = 0.02
SMALL_STEP = 0.003
"""So small that each epoch takes the policy further away."""


def run(config, learning_rate=STEP, batch=None):
    policy, _, own_batch, _ = collected()
    state = make_state(policy, config)
    return update(config, policy, state, own_batch if batch is None else batch, rates(learning_rate), KEY)


@pytest.mark.parametrize(
    ("optimiser", "twin", "l2", "max_norm"),
    slow(
        [
            ("adam", Adam, 1.0, 0.05),
            ("muon", Muon, 0.01, 0.0),
            ("adam", Adam, 0.01, 0.0),
            ("muon", Muon, 1.0, 0.05),
        ]
    ),
)
def test_steps_are_the_optimisers_with_the_critics_l2_in_its_gradient(optimiser, twin, l2, max_norm):
    """Three epochs of one minibatch each, against steps made by hand on the public losses' gradients."""
    config = configure(epochs=3, optimiser=optimiser, critic_l2=l2, max_grad_norm=max_norm)
    policy, _, batch, _ = collected()
    learnt, _ = run(config)
    batch = batch.replace(advantages=normalised(batch, jnp.arange(TRIALS)[None])[0])

    def actor_loss(params):
        return ppo.loss(config, policy, {"actor": params}, batch, jnp.float32(0.0))[0]

    def critic_loss(params):
        return config.critic_coefficient * ppo.critic_loss(config, policy, {"critic": params}, batch)

    gradients = {"actor": jax.jit(jax.grad(actor_loss)), "critic": jax.jit(jax.grad(critic_loss))}
    start = make_state(policy, config).params
    for name, gradient in gradients.items():
        leaves, structure = jax.tree.flatten(start[name])
        twins = [
            twin(leaf, epsilon=config.adam_epsilon, l2=l2 if name == "critic" else 0.0) for leaf in leaves
        ]
        for _ in range(3):
            now = [jnp.asarray(made.parameter, jnp.float32) for made in twins]
            grads = jax.tree.leaves(gradient(jax.tree.unflatten(structure, now)))
            norm = np.sqrt(sum(np.sum(np.square(g, dtype=float)) for g in grads))
            factor = min(1.0, max_norm / norm) if max_norm else 1.0
            for made, grad in zip(twins, grads, strict=True):
                made.step(factor * np.asarray(grad, float), STEP)
        for leaf, made in zip(jax.tree.leaves(learnt.params[name]), twins, strict=True):
            np.testing.assert_allclose(leaf, made.parameter, rtol=1e-3, atol=1e-4)


def test_a_minibatch_is_cut_into_the_fewest_equal_parts_that_are_small_enough():
    for part_steps, expected in ((0, 1), (80, 1), (79, 2), (40, 2), (39, 4), (10, 8), (1, 8)):
        assert configure(part_steps=part_steps).num_parts(TRIALS, HORIZON) == expected
    assert configure(part_steps=50).num_parts(7, HORIZON) == 7


def test_a_cpu_goes_through_large_minibatches_in_parts_unless_told_otherwise():
    assert configure().suited("gpu") == configure()
    assert configure().suited("cpu").part_steps == CACHED_STEPS
    assert configure(part_steps=7).suited("cpu") == configure(part_steps=7)


@pytest.mark.parametrize("shared_trunk", [False, True])
@pytest.mark.parametrize("part_steps", [1, 40])
def test_parts_of_a_minibatch_have_the_gradient_of_the_whole(shared_trunk, part_steps):
    policy = make_policy(shared_trunk=shared_trunk)
    estimate = "minibatches" if shared_trunk else "batch"
    config = configure(minibatch_trials=TRIALS // 2, kl_estimate=estimate, epochs=2)
    _, _, batch, _ = collected()
    state = make_state(policy, config)
    whole, in_parts = (
        update(cut, policy, state, batch, rates(SMALL_STEP, 0.1), KEY)
        for cut in (config, dataclasses.replace(config, part_steps=part_steps))
    )
    assert_close(in_parts, whole, rtol=1e-4, atol=1e-5)
    assert differs(in_parts[0].params, state.params)


@pytest.fixture(scope="module")
def by_epochs():
    """States and metrics after one to four epochs without a KL stop."""
    return [run(configure(epochs=epochs), SMALL_STEP) for epochs in (1, 2, 3, 4)]


@pytest.mark.parametrize("stop", [1, 3])
def test_the_actor_stops_at_the_kl_limit_and_the_critic_goes_on(by_epochs, stop):
    kl = [float(metrics["kl"]) for _, metrics in by_epochs]
    assert kl[0] < kl[1] < kl[2] < kl[3]
    limit = kl[stop - 1] * 0.999  # reached by this epoch and none before
    state, metrics = run(configure(epochs=4, kl_limit=limit), SMALL_STEP)
    assert metrics["actor_epochs"] == stop
    np.testing.assert_allclose(metrics["kl"], kl[stop - 1], rtol=1e-3)
    assert_close(state.params["actor"], by_epochs[stop - 1][0].params["actor"], rtol=1e-4, atol=1e-5)
    assert differs(state.params["actor"], by_epochs[3][0].params["actor"])
    assert_close(state.params["critic"], by_epochs[3][0].params["critic"], rtol=1e-4, atol=1e-5)
    # The actor's Adam rests too.
    assert_close(state.opt_state["actor"], by_epochs[stop - 1][0].opt_state["actor"], rtol=1e-3, atol=1e-5)
    # Means are over what was learnt from.
    np.testing.assert_allclose(
        metrics["actor_loss"], by_epochs[stop - 1][1]["actor_loss"], rtol=1e-3, atol=1e-5
    )
    np.testing.assert_allclose(metrics["entropy"], by_epochs[stop - 1][1]["entropy"], rtol=1e-4)
    np.testing.assert_allclose(metrics["critic_loss"], by_epochs[3][1]["critic_loss"], rtol=1e-4)


def test_runs_side_by_side_stop_each_alone_and_compute_no_more(by_epochs):
    """Of two runs the first reaches the limit after an epoch; a condition would compute both its sides."""
    config = configure(epochs=2, kl_limit=float(by_epochs[0][1]["kl"]) * 0.5, minibatch_trials=TRIALS // 2)
    policy, _, batch, _ = collected()
    state = make_state(policy, config)

    def learn(rates):
        return ppo.update(config, policy, state, batch, rates, KEY)

    alone = [rates(step) for step in (SMALL_STEP, SMALL_STEP / 100)]
    both = jax.tree.map(lambda *x: jnp.stack(x), *alone)
    one, many = (jax.jit(x).lower(y).compile() for x, y in ((learn, alone[0]), (jax.vmap(learn), both)))
    learnt = many(both)
    assert learnt[1]["actor_epochs"].tolist() == [1, 2]
    for place, each in enumerate(alone):
        assert_close(jax.tree.map(lambda x, place=place: x[place], learnt), one(each), atol=1e-5)
    flops = [program.cost(program.entry)["flops"] for program in (Program(x.as_text()) for x in (one, many))]
    assert flops[1] == 2 * flops[0] > 0


def test_without_a_stop_all_epochs_count(by_epochs):
    assert [int(metrics["actor_epochs"]) for _, metrics in by_epochs] == [1, 2, 3, 4]
    losses = [float(metrics["critic_loss"]) for _, metrics in by_epochs]
    assert losses[3] < losses[0]


def test_a_step_of_zero_changes_nothing():
    config = configure(minibatch_trials=4, epochs=2, critic_l2=0.01)
    policy, params, batch, _ = collected()
    state, metrics = run(config, learning_rate=0.0)
    assert not differs(state.params, params)
    assert metrics["kl"] < 1e-6
    assert metrics["max_abs_log_ratio"] <= 1e-5
    np.testing.assert_allclose(
        metrics["critic_loss"], ppo.critic_loss(config, policy, params, batch), rtol=1e-4
    )


def test_advantages_are_normalised_in_each_minibatch():
    """With single trials as minibatches, the scale and offset of each trial's advantages are of no effect."""
    config = configure(minibatch_trials=1)
    _, _, batch, _ = collected()
    size = jnp.arange(1.0, TRIALS + 1)[:, None]
    shifted = batch.replace(advantages=batch.advantages * size + 10.0 * size)
    params, other = (run(config, batch=b)[0].params["actor"] for b in (batch, shifted))
    assert_close(params, other, rtol=1e-3, atol=1e-4)
    params, other = (run(configure(), batch=b)[0].params["actor"] for b in (batch, shifted))
    assert (
        max(jnp.abs(x - y).max() for x, y in zip(*map(jax.tree.leaves, (params, other)), strict=True)) > 1e-2
    )


def test_the_reported_log_ratio_is_that_of_the_first_minibatch():
    """Seen on a batch whose rollout logits are another policy's, so that each trial has its own figure."""
    policy, params, batch, _ = collected()
    seen = batch.trajectory
    noise = jax.random.normal(jax.random.key(8), seen.distributions.shape)
    noisy = jax.nn.log_softmax(seen.distributions + noise)
    batch = batch.replace(trajectory=seen.replace(distributions=noisy))

    def of_trials(batch):
        return float(ppo.loss(configure(), policy, params, batch, jnp.float32(0))[1]["max_abs_log_ratio"])

    whole = run(configure(epochs=3), batch=batch)[1]["max_abs_log_ratio"]
    np.testing.assert_allclose(whole, of_trials(batch), rtol=1e-4)
    single = run(configure(minibatch_trials=1, epochs=2), batch=batch)[1]["max_abs_log_ratio"]
    each = [of_trials(jax.tree.map(lambda x, i=i: x[i : i + 1], batch)) for i in range(TRIALS)]
    assert min(abs(single - one) for one in each) <= 1e-4
    assert np.ptp(each) > 0.1


def test_an_epoch_sees_each_trial_once():
    """A single trial with advantages, the others at zero, moves the actor, whichever it is."""
    config = configure(minibatch_trials=2, epochs=1, normalise_advantages=False)
    _, params, batch, _ = collected()
    for trial in (0, TRIALS - 1):
        only = jnp.zeros_like(batch.advantages).at[trial].set(batch.advantages[trial])
        state, _ = run(config, batch=batch.replace(advantages=only))
        assert differs(state.params["actor"], params["actor"])


def test_schedules_are_linear_and_then_constant():
    progress = jnp.array([0.0, 0.25, 0.5, 1.0, 1.5, 100.0])
    rates = jax.vmap(ppo.linear, (None, None, 0))(3.0, 1.0, progress)
    np.testing.assert_allclose(rates, [3.0, 2.5, 2.0, 1.0, 1.0, 1.0], rtol=1e-6)
