"""What a family says of a trial, from what acts in it to where it is noted."""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from rl3_jax import ppo
from rl3_jax.baselines.common import Baseline, Random
from rl3_jax.object_rl import ModelBased
from rl3_jax.policies import Policy, PolicyConfig, action_distribution, make_core
from rl3_jax.ppo.collection import live
from rl3_jax.tasks import Gridworld, PointRobots, RandomMdp
from rl3_jax.training import evaluate_trials
from rl3_jax.trial import METHODS, TrialEnv, method_abstraction, method_features
from tests.trial.walk import walk

GRID = Gridworld()
HORIZON = 150


class Reaching(PointRobots):
    """A family whose states are vectors: how far right a trial led, and its return."""

    summary_names: ClassVar[tuple[str, ...]] = ("reached", "paid")

    def summarise_trial(self, task, steps):
        return {"reached": steps.next_state.coordinates[:, 0].max(), "paid": steps.reward.sum()}


@struct.dataclass
class Stay(Baseline):
    """Stays where it is."""

    def act(self, env, memory, state, observation, key):
        return memory, jnp.int32(0)


def env_of(family, method="rl2", horizon=HORIZON):
    return TrialEnv(
        family,
        horizon=horizon,
        features=method_features(method, family),
        abstraction=method_abstraction(method, family, ModelBased()),
    )


def assert_tells_the_rewards(summary, rewards):
    """In a gridworld the rewards tell when the goal and dangers were entered."""
    goal, rewards = np.asarray(rewards) == 100.0, np.asarray(rewards)
    np.testing.assert_array_equal(summary["goals"], goal.sum(1))
    np.testing.assert_array_equal(summary["dangers"], (rewards == -100.0).sum(1))
    np.testing.assert_array_equal(summary["found"], goal.any(1))
    first = np.where(goal.any(1), goal.argmax(1) + 1.0, np.nan)
    np.testing.assert_array_equal(summary["first_goal_step"], first)


def test_behaviours_are_summed_up():
    trials = evaluate_trials(env_of(GRID), Random(), num_tasks=60)
    assert_tells_the_rewards(trials.summary, trials.rewards)
    assert {0.0, 1.0} == set(trials.summary["found"])
    assert 0.0 < trials.summary["still"].mean() < 1.0


def test_who_stays_put_is_seen():
    summary = evaluate_trials(env_of(GRID), Stay(), num_tasks=4).summary
    assert (summary["still"] == 1.0).all()
    assert (summary["found"] == 0.0).all()
    assert np.isnan(summary["first_goal_step"]).all()


def test_rollouts_are_summed_up_however_they_are_cut():
    env = env_of(GRID, horizon=90)
    distribution = action_distribution(env.action_space())
    config = PolicyConfig(core=make_core("gru"), width=8)
    policy = Policy(config, env.observation_size, distribution, env.horizon)
    hyper = ppo.PPOConfig(trials=40, minibatch_trials=40)
    params = ppo.init(hyper, policy, jax.random.key(0)).params
    keys = jax.random.split(jax.random.key(1), 40)

    @partial(jax.jit, static_argnums=0)
    def run(num_segments):
        lived, trajectory, steps = live(env, policy, params, keys, num_segments)
        return jax.vmap(env.family.summarise_trial)(lived.final.task, steps), trajectory.rewards

    (whole, rewards), (cut, _) = run(1), run(3)
    assert_tells_the_rewards(whole, rewards)
    assert 0.0 < whole["found"].mean() < 1.0
    for name in GRID.summary_names:
        np.testing.assert_array_equal(whole[name], cut[name])
    # As metrics they are means over the trials in which they are defined.
    metrics = jax.jit(ppo.collect, static_argnums=(0, 1, 2))(hyper, env, policy, params, keys)[1]
    for name in GRID.summary_names:
        np.testing.assert_allclose(metrics[name], np.nanmean(whole[name]), rtol=1e-5)


def test_steps_are_concrete_where_object_level_rl_sees_clusters():
    coarse, plain = (walk(env_of(GRID, method), jax.random.key(5))[2][-1] for method in ("rl3-coarse", "rl2"))
    np.testing.assert_array_equal(coarse["step"].state.index, plain["transition"].s)
    np.testing.assert_array_equal(coarse["step"].next_state.index, plain["transition"].next_s)
    assert (coarse["transition"].s != plain["transition"].s).any()


def test_states_may_be_vectors():
    family = Reaching()
    env = TrialEnv(family, horizon=30, features=METHODS["rl2"])
    trials = evaluate_trials(env, Random(), num_tasks=3)
    assert set(trials.summary) == {"reached", "paid"}
    np.testing.assert_allclose(trials.summary["paid"], trials.rewards.sum(1), rtol=1e-5)
    assert (trials.summary["reached"] != 0.0).all()


def test_without_names_there_is_no_summary():
    env = env_of(RandomMdp(), horizon=5)
    assert evaluate_trials(env, Random(), num_tasks=2).summary == {}
