import dataclasses

import jax
import numpy as np
import pytest

from rl3_jax import ppo
from rl3_jax.baselines.common import Random
from rl3_jax.errors import ConfigError
from rl3_jax.object_rl import ModelBased
from rl3_jax.policies import PolicyConfig, Transformer
from rl3_jax.tasks import FrozenLakes
from rl3_jax.testing.cores import opinionated
from rl3_jax.training import Agent, evaluate, evaluation, hyper_of, init, train_steps
from rl3_jax.training.evaluation import held_out_tasks, task_set_hash
from rl3_jax.training.train import Purpose, stream, task_keys
from rl3_jax.trial import TrialEnv
from tests.marks import slow
from tests.training.setting import CONFIG
from tests.trees import assert_close
from tests.wrong_families import Onward, Walks

ENV = CONFIG.env
KEY = jax.random.key(7)


@pytest.fixture(scope="module")
def agent():
    params = opinionated(init(CONFIG, jax.random.key(0)).learnt.params)
    return Agent(params["actor"], CONFIG.network)


@pytest.fixture(scope="module")
def rewards(agent):
    return evaluate(ENV, agent, num_tasks=20)


@pytest.mark.parametrize("batch", [7, 20])
def test_the_size_of_a_batch_is_of_no_effect(agent, rewards, monkeypatch, batch):
    whole_hash = task_set_hash(ENV, num_tasks=20, seed=0)
    monkeypatch.setattr(evaluation, "BATCH", batch)
    cut = evaluate(ENV, agent, num_tasks=20)
    assert cut.shape == (20, ENV.horizon)
    np.testing.assert_allclose(cut, rewards, rtol=1e-5, atol=1e-5)
    assert task_set_hash(ENV, num_tasks=20, seed=0) == whole_hash


def test_a_larger_set_of_tasks_begins_with_the_smaller(agent, rewards):
    np.testing.assert_allclose(evaluate(ENV, agent, num_tasks=7), rewards[:7], rtol=1e-5, atol=1e-5)


def test_another_seed_names_other_tasks(agent, rewards):
    assert (evaluate(ENV, agent, num_tasks=20, seed=1) != rewards).all(axis=1).any()
    hashes = {task_set_hash(ENV, num_tasks=n, seed=seed) for n, seed in ((20, 0), (20, 1), (19, 0))}
    assert len(hashes) == 3
    ood = dataclasses.replace(ENV, family=dataclasses.replace(ENV.family, variation="ood"))
    assert task_set_hash(ood, num_tasks=20, seed=0) not in hashes


def test_held_out_tasks_come_from_a_stream_of_their_own():
    """No training stream shares a key with it, whatever its seed (test_keys)."""
    keys = task_keys(stream(jax.random.key(3), Purpose.EVALUATION_TASK), 0, 20)
    expected = jax.vmap(ENV.family.sample_task)(keys)
    assert_close(held_out_tasks(ENV, 3, 0, 20), expected, rtol=1e-6, atol=1e-6)


def test_greedy_takes_the_likeliest_action(agent):
    greedy = dataclasses.replace(agent, greedy=True)
    _, state = ENV.start(jax.random.key(0), held_out_tasks(ENV, 0, 0, 1))
    observation = jax.random.normal(jax.random.key(1), (ENV.observation_size,))
    logits = agent.policy.step({"actor": agent.params}, agent.policy.initial_carry(), observation)[1]
    keys = jax.random.split(jax.random.key(2), 200)
    actions = {
        behaviour.greedy: jax.vmap(
            lambda key, b=behaviour: b.act(ENV, b.policy.initial_carry(), state, observation, key)[1]
        )(keys)
        for behaviour in (agent, greedy)
    }
    assert (actions[True] == logits.argmax()).all()
    frequency = np.bincount(actions[False], minlength=2) / 200
    np.testing.assert_allclose(frequency, jax.nn.softmax(logits), atol=0.15)
    assert frequency.min() > 0


def test_transitions_that_the_model_cannot_keep_are_told():
    @dataclasses.dataclass(frozen=True)
    class Promising(FrozenLakes):
        @property
        def num_successors(self):
            return 1

    env = TrialEnv(Promising(), horizon=30, learner=ModelBased(planner="sparse"))
    with pytest.warns(UserWarning, match="object-level RL left .* transitions a trial out of its model"):
        evaluate(env, Random(), num_tasks=4)


def test_an_agent_is_asked_for_no_more_steps_than_its_core_has_room_for():
    policy = dataclasses.replace(CONFIG.network, config=PolicyConfig(core=Transformer(), width=8), horizon=5)
    with pytest.raises(ConfigError, match=r"horizon is 6, but this policy's transformer .*\.window=N"):
        Agent({}, policy).init(dataclasses.replace(ENV, horizon=6), ENV.family.default_params)


@pytest.mark.parametrize("positions", slow(["rotary", "alibi"]))
def test_an_agent_with_a_window_acts_in_longer_trials(positions):
    """In what it sees and does in them, its probabilities are those of the whole sequence."""
    core = Transformer(layers=2, heads=2, feed_forward=8, positions=positions, window=4)
    config = dataclasses.replace(CONFIG, policy=PolicyConfig(core=core, width=8))
    params = opinionated(init(config, jax.random.key(0)).learnt.params)
    env, keys = dataclasses.replace(config.env, horizon=2 * config.horizon), jax.random.split(KEY, 8)
    assert evaluate(env, Agent(params["actor"], config.network), num_tasks=3).shape == (3, env.horizon)
    seen = ppo.collect(config.ppo, env, config.network, params, keys)[0].trajectory
    whole = config.network.unroll(params, config.network.initial_carries(8), seen.observations)[1][0]
    assert whole.shape[1] == 2 * config.horizon
    expected = config.network.distribution.parameters(whole)
    np.testing.assert_allclose(seen.distributions, expected, atol=1e-5)


def test_states_beyond_the_table_are_counted_and_refused():
    """Of the eight steps of an episode, through states 0 to 8, four are in or to one beyond state 4."""
    config = dataclasses.replace(CONFIG, task=Onward(), horizon=18)
    _, metrics = train_steps(config, hyper_of(config), init(config, jax.random.key(0)), 2)
    assert metrics["steps_outside"][:2].tolist() == [8.0, 8.0]
    with pytest.raises(
        ConfigError, match=r"^Onward: 8 steps a trial were taken in, or led to, .* 0 to 4, as"
    ):
        evaluate(config.env, Random(), num_tasks=3)
    well = dataclasses.replace(CONFIG, task=Walks(), horizon=18)
    _, metrics = train_steps(well, hyper_of(well), init(well, jax.random.key(0)), 1)
    assert metrics["steps_outside"][0] == 0.0
