import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.constraints import problems
from rl3_jax.errors import ConfigError
from rl3_jax.policies import CORES, Categorical, MinGru, Policy, PolicyConfig, SquashedGaussian, make_core
from rl3_jax.testing.cores import opinionated, outputs_of, values_of
from tests.marks import slow_but
from tests.reference import feed_forward

WIDTH, FEATURES, ACTIONS, STEPS = 16, 6, 3, 12
DISCRETE = Categorical(ACTIONS)
BOX = SquashedGaussian((-1.0, 0.0), (1.0, 0.4))
FEW = slow_but(["markov", "gru"], CORES)


def make_policy(core, distribution=DISCRETE, **options):
    config = PolicyConfig(core=make_core(core), width=WIDTH, **options)
    return Policy(config, FEATURES, distribution, STEPS)


@pytest.mark.parametrize("core", FEW)
def test_a_fresh_policy_is_nearly_uniform_and_a_fresh_critic_is_not_flat(core):
    policy = make_policy(core)
    params = policy.init(jax.random.key(0))
    observations = jax.random.normal(jax.random.key(1), (1, STEPS, FEATURES))
    assert jnp.abs(outputs_of(policy, params["actor"], observations)).max() < 0.1
    values = values_of(policy, params["critic"], observations)
    assert values.shape == (1, STEPS)
    assert values.std() > 0.05


@pytest.mark.parametrize("core", FEW)
def test_actor_and_critic_share_nothing_unless_asked_to(core):
    policy = make_policy(core)
    one, other = (policy.init(jax.random.key(seed)) for seed in (0, 1))
    leaves = [jax.tree.leaves(params) for params in (one["actor"], one["critic"], other["actor"])]
    kernels = [next(leaf for leaf in tree if leaf.ndim == 2) for tree in leaves]
    assert (kernels[0] != kernels[1]).any()
    assert (kernels[0] != kernels[2]).any()
    # Acting needs the actor's parameters only: there is nowhere else to take anything from.
    outputs = policy.step({"actor": one["actor"]}, policy.initial_carry(), jnp.ones(FEATURES))[1]
    assert outputs.shape == (ACTIONS,)


@pytest.mark.parametrize("core", FEW)
def test_a_shared_trunk_is_the_actor_with_one_more_head(core):
    policy = make_policy(core, shared_trunk=True)
    params = opinionated(policy.init(jax.random.key(0)))
    assert jax.tree.map(jnp.shape, params["critic"]) == {"kernel": (WIDTH, 1), "bias": (1,)}
    observations = jax.random.normal(jax.random.key(1), (2, STEPS, FEATURES))
    carries = policy.initial_carries(2)
    _, (outputs, values) = policy.unroll(params, carries, observations)
    np.testing.assert_allclose(outputs, outputs_of(policy, params["actor"], observations), atol=1e-5)
    assert values.shape == (2, STEPS)
    assert values.std() > 0.05

    def act(observations):
        def step(carry, observation):
            carry, outputs, value = policy.step(params, carry, observation)
            return carry, (outputs, value)

        return jax.lax.scan(step, policy.initial_carry(), observations)[1]

    stepped, stepped_values = jax.vmap(act)(observations)
    np.testing.assert_allclose(stepped, outputs, atol=2e-5)
    np.testing.assert_allclose(stepped_values, values, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("distribution", [DISCRETE, BOX])
def test_acting_draws_from_the_outputs(distribution):
    policy = make_policy("gru", distribution)
    params = opinionated(policy.init(jax.random.key(0)))
    carry, observation = policy.initial_carry(), jnp.ones(FEATURES)
    drawn_noise = distribution.noise(jax.random.key(2))
    expected_carry, outputs, _ = policy.step(params, carry, observation)
    sample = distribution.sample(drawn_noise, outputs)
    for noise, action in ((None, distribution.mode(outputs)), (drawn_noise, sample)):
        found_carry, found, (drawn, told, _) = policy.act(params, carry, observation, noise)
        np.testing.assert_array_equal(drawn, action)
        np.testing.assert_array_equal(told, outputs)
        np.testing.assert_array_equal(found_carry, expected_carry)
        np.testing.assert_array_equal(found, distribution.to_env(action))


def test_only_a_memory_tells_the_past():
    """An early observation changes the last output of a gru and not that of a markov policy."""
    observations = jax.random.normal(jax.random.key(1), (1, STEPS, FEATURES))
    changed = observations.at[:, 2].add(1.0)
    gaps = {}
    for core in ("markov", "gru"):
        policy = make_policy(core)
        params = opinionated(policy.init(jax.random.key(0)))["actor"]
        last, other = (outputs_of(policy, params, seen)[0, -1] for seen in (observations, changed))
        gaps[core] = jnp.abs(last - other).max()
    assert gaps["markov"] <= 1e-6
    assert gaps["gru"] > 1e-4


@pytest.mark.parametrize("layer_norm", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("input_layers", [(), (24,), (24, 5)])
def test_input_layers_equal_their_twin(input_layers, activation, layer_norm):
    """A markov policy of one core layer, against the same network in NumPy."""
    policy = make_policy("markov", input_layers=input_layers, activation=activation, layer_norm=layer_norm)
    params: Any = opinionated(policy.init(jax.random.key(0)))["actor"]
    observations = jax.random.normal(jax.random.key(1), (2, STEPS, FEATURES))
    hidden = np.asarray(observations, np.float64)
    for index in range(len(input_layers) + 1):
        hidden = feed_forward.layer(params[f"inputs_{index}"], hidden, activation)
    assert hidden.shape[-1] == policy.config.width
    if layer_norm:
        hidden = feed_forward.normalise(params["normalise"], hidden)
    hidden = feed_forward.layer(params["core"]["hidden"], hidden, "tanh")
    expected = feed_forward.layer(params["head"], hidden)
    np.testing.assert_allclose(outputs_of(policy, params, observations), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("each_platform")
@pytest.mark.parametrize(
    ("read_out", "compute"), [("core", "float32"), ("product", "float32"), ("product", "bfloat16")]
)
def test_joined_heads_make_what_heads_apart_make(read_out, compute):
    policy = make_policy("mingru", shared_trunk=True, read_out=read_out, compute=compute)
    params = opinionated(policy.init(jax.random.key(0)))
    joined, carries = policy.joined(params), [policy.initial_carry()] * 2
    kernel: Any = joined["heads"]["kernel"]
    assert kernel.shape == (
        2 * WIDTH if (read_out, compute) == ("product", "float32") else WIDTH,
        ACTIONS + 1,
    )
    for observation in jax.random.normal(jax.random.key(1), (STEPS, FEATURES)):
        (carries[0], *apart), (carries[1], *found) = (
            policy.step(each, carry, observation)
            for each, carry in zip((params, joined), carries, strict=True)
        )
        for one, other in zip(found, apart, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    jax.tree.map(np.testing.assert_array_equal, *carries)
    for unjoined in (
        make_policy("mingru"),
        make_policy("mingru", shared_trunk=True, exchangeable_actions=True),
    ):
        assert unjoined.joined(params) is params


@pytest.mark.parametrize("core", ["markov", "mingru"])
def test_a_product_read_out_equals_its_twin(core):
    """Against the same core, whose output the twin makes into what the head reads."""
    policy = make_policy(core, read_out="product")
    params: Any = opinionated(policy.init(jax.random.key(0)))["actor"]
    observations = jax.random.normal(jax.random.key(1), (2, STEPS, FEATURES))
    inputs = feed_forward.layer(params["inputs_0"], np.asarray(observations, np.float64), "tanh")
    plain = make_policy(core)
    _, _, output = plain.actor.apply({"params": params}, plain.initial_carries(2), observations)
    read = feed_forward.product_read_out(params["read"], np.asarray(output, np.float64), inputs)
    expected = feed_forward.layer(params["head"], read)
    np.testing.assert_allclose(outputs_of(policy, params, observations), expected, rtol=1e-4, atol=1e-5)


def make_exchangeable(core, **options):
    """A policy that sees two parts with a number for each action, and two other numbers."""
    config = PolicyConfig(core=make_core(core), width=WIDTH, exchangeable_actions=True, **options)
    return Policy(config, 2 * ACTIONS + 2, DISCRETE, STEPS, action_starts=(1, 2 + ACTIONS))


@pytest.mark.parametrize("shared_trunk", [False, True])
@pytest.mark.parametrize("core", FEW)
def test_exchangeable_actions_may_be_relabelled(core, shared_trunk):
    """The outputs are relabelled with them, and the values are the same."""
    policy = make_exchangeable(core, shared_trunk=shared_trunk, read_out="product", input_layers=(8,))
    params = opinionated(policy.init(jax.random.key(0)))
    observations = np.array(jax.random.normal(jax.random.key(1), (2, STEPS, policy.observation_size)))
    order, relabelled = np.array([2, 0, 1]), observations.copy()
    for start in policy.action_starts:
        relabelled[..., start : start + ACTIONS] = observations[..., start + order]

    def act(seen):
        carries, seen = policy.initial_carries(2), jnp.asarray(seen)
        _, (outputs, values) = policy.unroll(params, carries, seen)
        return outputs, policy.unroll_critic(params, carries, seen)[1] if values is None else values

    (outputs, values), (moved, same) = act(observations), act(relabelled)
    np.testing.assert_allclose(moved, outputs[..., order], atol=1e-5)
    np.testing.assert_allclose(same, values, rtol=1e-5, atol=1e-5)
    assert jnp.abs(moved - outputs).max() > 0.1
    assert values.std() > 0.05


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("input_layers", [(), (24, 5)])
def test_a_network_of_exchangeable_actions_equals_its_twin(input_layers, activation):
    """Actor and critic with markov, against the same networks in NumPy."""
    policy = make_exchangeable("markov", input_layers=input_layers, activation=activation)
    params: Any = opinionated(policy.init(jax.random.key(0)))
    observations = jax.random.normal(jax.random.key(1), (2, STEPS, policy.observation_size))
    expected = {}
    for name, network in params.items():
        seen = np.asarray(observations, np.float64)
        hidden = np.stack([seen[..., 1 : 1 + ACTIONS], seen[..., 2 + ACTIONS :]], -1)
        common = seen[..., [0, 1 + ACTIONS]]
        for index in range(len(input_layers) + 1):
            hidden = feed_forward.exchangeable_layer(network[f"inputs_{index}"], hidden, common, activation)
            common = common[..., :0]
        expected[name] = feed_forward.layer(network["core"]["hidden"], hidden, "tanh")
    outputs = (expected["actor"] @ np.asarray(params["actor"]["head"]["kernel"], np.float64))[..., 0]
    values = feed_forward.layer(params["critic"]["head"], expected["critic"].mean(-2))[..., 0]
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(outputs_of(policy, params["actor"], observations), outputs, **close)
    np.testing.assert_allclose(values_of(policy, params["critic"], observations), values, **close)


def test_values_that_are_no_choice_are_reported():
    wrong = PolicyConfig(core=MinGru(scan="parallel"), compute="bf16", activation="gelu", read_out="sum")  # pyright: ignore[reportArgumentType]
    scan, activation, read_out, compute = problems(wrong, "policy")
    assert scan.startswith("unknown policy.core.scan 'parallel'; choose from: associative, auto, sequential")
    assert activation == "unknown policy.activation 'gelu'; choose from: relu, tanh"
    assert read_out == "unknown policy.read_out 'sum'; choose from: core, product"
    assert compute.startswith("unknown policy.compute 'bf16'; choose from: bfloat16, float32")


def test_bad_fields_and_names_are_reported():
    found = problems(PolicyConfig(width=0, input_layers=(64, 0)), "policy")
    assert [problem.split()[0] for problem in found] == ["policy.width", "policy.input_layers[1]"]
    with pytest.raises(ConfigError) as error:
        make_core("lstm")
    assert all(name in str(error.value) for name in ("'lstm'", *CORES))


@pytest.mark.parametrize("actions", [{}, {"exchangeable_actions": True}], ids=["plain", "exchangeable"])
def test_gates_are_shut_at_first_and_multiply_each_part(actions):
    """With gates of 0 nothing that they guard matters; else it is as if the parts themselves were other."""
    config = PolicyConfig(core=make_core("gru"), width=WIDTH, **actions)
    parts = ((2, 2 + ACTIONS), (2 + ACTIONS, 3 + ACTIONS))
    gated = Policy(config, 3 + ACTIONS, DISCRETE, STEPS, (2,), parts)
    plain = dataclasses.replace(gated, gated=())
    params: Any = opinionated(gated.init(jax.random.key(0)))
    observations = jax.random.normal(jax.random.key(1), (2, STEPS, 3 + ACTIONS))
    for network, read in (("actor", outputs_of), ("critic", values_of)):
        of_one = {**params[network], "gates": {"factors": jnp.array([0.5, -2.0])}}
        scaled = observations.at[..., 2 : 2 + ACTIONS].multiply(0.5).at[..., 2 + ACTIONS].multiply(-2.0)
        rest = {name: value for name, value in of_one.items() if name != "gates"}
        np.testing.assert_allclose(
            read(gated, of_one, observations), read(plain, rest, scaled), rtol=1e-5, atol=1e-5
        )
        shut = {**params[network], "gates": {"factors": jnp.zeros(2)}}
        other = observations.at[..., 2:].set(7.0)
        np.testing.assert_array_equal(read(gated, shut, observations), read(gated, shut, other))
    assert (gated.init(jax.random.key(0))["actor"]["gates"]["factors"] == 0.0).all()
