"""The agent on disk."""

import dataclasses
import shutil

import jax
import numpy as np
import pytest
import safetensors.numpy

from rl3_jax import ConfigError, load_agent, make_config, training
from rl3_jax.policies import SquashedGaussian
from rl3_jax.run.agent import agent_in_memory, save_agent
from rl3_jax.tasks import FAMILIES
from rl3_jax.testing.cores import opinionated
from rl3_jax.testing.trees import at
from rl3_jax.training.evaluation import held_out_tasks, held_out_trials
from rl3_jax.training.recording import record_trials
from rl3_jax.training.train import Purpose, stream, task_keys
from tests.probes import Aim
from tests.run import tiny


def test_a_loaded_agent_is_the_trained_one(finished):
    agent = load_agent(finished.path)
    trained = tiny.final_state(finished.path).learnt.params["actor"]
    jax.tree.map(np.testing.assert_array_equal, agent.params, trained)
    assert agent.env == tiny.CONFIG.env
    assert agent.policy == tiny.CONFIG.network
    assert agent.iteration == 12
    assert set(agent.config) == {"task", "horizon", "features", "learner", "abstraction", "policy"}


def test_it_evaluates_as_in_training(finished, tmp_path):
    """Its evaluation at iteration 10 gives what the training run noted there."""
    agent = load_agent(finished.path)
    run_to_10 = training.init(tiny.CONFIG, jax.random.key(tiny.CONFIG.seed))
    run_to_10, _ = training.train_steps(tiny.CONFIG, training.hyper_of(tiny.CONFIG), run_to_10, 10)
    save_agent(tmp_path / "agent", tiny.CONFIG, run_to_10.learnt.params["actor"], 10)
    loaded = load_agent(tmp_path)
    hyper = tiny.CONFIG.evaluation
    rewards = training.evaluate(agent.env, loaded.behaviour(), num_tasks=hyper.num_tasks, seed=hyper.seed)
    assert rewards.sum(1).mean() == finished.metrics[9]["evaluation_return"]


@pytest.mark.parametrize("greedy", [False, True])
def test_acting_step_by_step_is_what_evaluation_and_rollout_do(finished, greedy):
    agent = load_agent(finished.path / "agent")
    lived = agent.rollout(jax.random.key(0), 3, greedy=greedy)
    evaluated = held_out_trials(agent.env, agent.behaviour(greedy), 0, 0, 3)
    np.testing.assert_allclose(lived.rewards, evaluated.rewards, atol=1e-6)
    tasks = held_out_tasks(agent.env, 0, 0, 3)
    jax.tree.map(np.testing.assert_array_equal, lived.tasks, tasks)
    keys = task_keys(stream(jax.random.key(0), Purpose.EVALUATION_TRIAL), 0, 3)
    for index in range(3):
        states, observations, actions, rewards = walk(agent, at(tasks, index), keys[index], greedy)
        jax.tree.map(np.testing.assert_array_equal, at(lived.states, index), states)
        np.testing.assert_array_equal(lived.actions[index], actions)
        np.testing.assert_allclose(lived.observations[index], observations, atol=1e-6)
        np.testing.assert_allclose(lived.rewards[index], rewards, atol=1e-6)


def walk(agent, task, key, greedy):
    """The steps of one trial, with the keys that `run_trials` uses."""
    key_start, key_steps = jax.random.split(key)
    reset, step = jax.jit(agent.env.start), jax.jit(agent.env.step_env)
    observation, state = reset(key_start, task)
    carry = agent.init_carry()
    rows = []
    for time in range(agent.env.horizon):
        key_env, _, key_act = jax.random.split(jax.random.fold_in(key_steps, time), 3)
        carry, action = agent.act(carry, observation, key_act, greedy=greedy)
        before = state.inner, observation, action
        observation, state, reward, _, _ = step(key_env, state, action, agent.env.default_params)
        rows.append((*before, reward))
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rows)


def test_a_rollout_tells_where_episodes_begin_and_end():
    config = make_config("mdp-h100-quick", policy="markov", method="rl2", horizon=25)
    params = config.network.init(jax.random.key(3))["actor"]
    agent = agent_in_memory(config, params, 0)
    lived = agent.rollout(jax.random.key(0), 4)
    assert lived.observations.shape == (4, 25, agent.env.observation_size)
    assert lived.actions.shape == lived.rewards.shape == lived.states.s.shape == (4, 25)
    np.testing.assert_array_equal(lived.states.time, np.tile(np.arange(25) % 10, (4, 1)))
    np.testing.assert_array_equal(lived.truncated, np.tile(np.arange(25) % 10 == 9, (4, 1)))
    assert not lived.terminated.any()
    assert (lived.states.s[:, ::10] == 0).all()
    fewer = agent.rollout(jax.random.key(0), 2)
    np.testing.assert_array_equal(fewer.actions, lived.actions[:2])
    assert (agent.rollout(jax.random.key(1), 2).actions != fewer.actions).any()


def test_a_rollout_compiles_once_for_a_number_of_tasks(finished):
    agent = load_agent(finished.path / "agent")
    agent.rollout(jax.random.key(0), 3)
    compiled = record_trials.program.cache_info().misses
    agent.rollout(jax.random.key(1), 3)
    load_agent(finished.path / "agent").rollout(jax.random.key(2), 3)
    assert record_trials.program.cache_info().misses == compiled
    agent.rollout(jax.random.key(0), 5)
    assert record_trials.program.cache_info().misses == compiled + 1


def test_a_rollout_needs_a_task(finished):
    with pytest.raises(ConfigError, match="num_tasks is 0; it must be at least 1"):
        load_agent(finished.path / "agent").rollout(jax.random.key(0), 0)


@pytest.mark.parametrize("preset", ["bandit-h100-quick", "mdp-h100-quick"])
@pytest.mark.parametrize("policy", ["gru", "markov"])
def test_every_policy_survives_the_disk(tmp_path, preset, policy):
    config = make_config(preset, policy=policy)
    params = config.network.init(jax.random.key(3))["actor"]
    save_agent(tmp_path / "agent", config, params, 7)
    agent = load_agent(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, agent.params, params)
    assert (agent.env, agent.policy, agent.iteration) == (config.env, config.network, 7)


def test_an_agent_for_a_box_survives_the_disk(tmp_path, monkeypatch):
    monkeypatch.setitem(FAMILIES, "aim", Aim)
    config = dataclasses.replace(tiny.CONFIG, task=Aim(target=(0.2, 0.3)))
    params = opinionated(config.network.init(jax.random.key(3)))["actor"]
    save_agent(tmp_path / "agent", config, params, 7)
    agent = load_agent(tmp_path)
    jax.tree.map(np.testing.assert_array_equal, agent.params, params)
    assert (agent.env, agent.policy, agent.iteration) == (config.env, config.network, 7)
    assert isinstance(agent.policy.distribution, SquashedGaussian)
    keys = jax.random.split(jax.random.key(0), 300)
    observation = jax.numpy.ones(agent.env.observation_size)
    _, actions = jax.vmap(lambda key: agent.act(agent.init_carry(), observation, key))(keys)
    assert jax.vmap(agent.env.action_space().contains)(actions).all()
    # As often above the greedy action as below it.
    _, greedy = agent.act(agent.init_carry(), observation, keys[0], greedy=True)
    assert (np.abs((actions > greedy).mean(0) - 0.5) < 0.12).all()


def test_what_is_no_agent_is_refused(finished, tmp_path):
    with pytest.raises(ConfigError, match="holds no agent"):
        load_agent(tmp_path)
    copy = tmp_path / "agent"
    shutil.copytree(finished.path / "agent", copy)
    (copy / "agent.json").write_text(
        (copy / "agent.json").read_text().replace('"num_arms": 5', '"num_arms": 4')
    )
    with pytest.raises(ConfigError, match="does not fit the policy"):
        load_agent(copy)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("agent.json", b"{", "agent.json is not valid JSON"),
        ("agent.json", b'{"horizon": 0}', "agent.json: horizon is 0"),
        ("actor.safetensors", b"torn", "actor.safetensors holds no parameters"),
        ("actor.safetensors", safetensors.numpy.save({}), "actor.safetensors holds no parameters"),
    ],
)
def test_a_broken_file_is_named(finished, tmp_path, file, content, message):
    copy = tmp_path / "agent"
    shutil.copytree(finished.path / "agent", copy)
    (copy / file).write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        load_agent(copy)
