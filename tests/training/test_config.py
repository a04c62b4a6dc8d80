import dataclasses
import math

import jax
import numpy as np
import pytest

from rl3_jax.constraints import problems
from rl3_jax.errors import ConfigError
from rl3_jax.object_rl import ModelBased
from rl3_jax.policies import Categorical, PolicyConfig, SquashedGaussian, Transformer, action_problems
from rl3_jax.presets import PRESETS, vary
from rl3_jax.tasks import RandomMdp
from rl3_jax.training import EvaluationConfig, TrainConfig
from rl3_jax.training.evaluation import task_set_hash
from rl3_jax.trial import METHODS, Features
from tests.probes import Aim
from tests.training.setting import CONFIG, configure


def test_a_good_config_has_no_problems():
    CONFIG.validate()
    TrainConfig().validate()


def test_every_problem_of_every_part_is_listed_at_once():
    config = TrainConfig(
        task=RandomMdp(variation="odd"),
        horizon=0,
        features=Features(value_scale=0.0),
        learner=ModelBased(smoothing=-1.0),
        policy=PolicyConfig(width=0),
        ppo=dataclasses.replace(CONFIG.ppo, minibatch_trials=5),
        iterations=0,
        seed=-1,
        evaluation=EvaluationConfig(every=-1, num_tasks=1),
        checkpoint_every=0,
    )
    with pytest.raises(ConfigError) as error:
        config.validate()
    named = (
        "'odd'",
        "horizon",
        "value_scale",
        "smoothing",
        "width",
        "minibatch_trials is 5",
        "iterations",
        "seed is -1",
        "evaluation.every",
        "evaluation.num_tasks",
        "checkpoint_every",
    )
    assert len(error.value.problems) == len(named)
    assert all(any(word in problem for problem in error.value.problems) for word in named)


def test_a_memory_that_grows_is_not_cut_into_segments():
    ppo = dataclasses.replace(CONFIG.ppo, segment_length=5)
    growing, windowed = (
        dataclasses.replace(CONFIG, policy=PolicyConfig(core=core, width=8), ppo=ppo)
        for core in (Transformer(), Transformer(positions="alibi", window=5))
    )
    windowed.validate()
    with pytest.raises(ConfigError, match=r"^ppo.segment_length is 5, .* grows .*policy\.core\.window=N"):
        growing.validate()


def test_a_policy_must_see_something():
    blind = {field.name: False for field in dataclasses.fields(Features) if field.type in ("bool", bool)}
    with pytest.raises(ConfigError, match="nothing to see"):
        configure(features=Features(**blind)).validate()


def test_equal_configs_are_equal_static_arguments():
    assert hash(configure()) == hash(CONFIG)
    assert configure(features=METHODS["rl2"]) != CONFIG


def test_derived_sizes():
    assert CONFIG.steps_per_iteration == 80
    assert CONFIG.network.observation_size == CONFIG.env.observation_size
    assert CONFIG.network.distribution == Categorical(2)


@pytest.mark.parametrize(("seed", "evaluation_seed"), [(0, 0), (2**32 - 1, 2**31 - 1)])
def test_the_largest_seeds_work(seed, evaluation_seed):
    config = configure(seed=seed, evaluation=EvaluationConfig(seed=evaluation_seed))
    config.validate()
    jax.random.key(config.seed)
    assert len(task_set_hash(config.env, num_tasks=2, seed=config.evaluation.seed)) == 64


@pytest.mark.parametrize(("seed", "evaluation_seed"), [(-1, -1), (2**32, 2**31)])
def test_other_seeds_are_refused(seed, evaluation_seed):
    found = problems(configure(seed=seed, evaluation=EvaluationConfig(seed=evaluation_seed)))
    assert [problem.split()[0] for problem in found] == ["seed", "evaluation.seed"]


def test_the_policy_draws_what_the_family_takes():
    assert configure().network.distribution == Categorical(2)
    box = configure(task=Aim())
    assert problems(box) == []
    expected = SquashedGaussian((-1.0, 0.0), (1.0, 0.4))
    np.testing.assert_allclose(box.network.distribution.high, expected.high, rtol=1e-6)
    # It is the same one in the midst of a compilation, where arrays have no values.
    found = []
    jax.jit(lambda: found.append(box.network))()
    assert found == [box.network]
    (problem,) = problems(configure(task=Aim(high=math.inf)))
    assert problem == "task.high is inf; it must be a finite number"
    (problem,) = problems(configure(task=Aim(high=-2.0)))
    assert "bounds [-1.0, 0.0] and [-2.0, " in problem
    (problem,) = action_problems(Aim(high=math.inf).action_space())
    assert "bounds [-1.0, 0.0] and [inf" in problem


def test_mean_rewards_need_a_family_that_knows_them():
    config = PRESETS["gridworld-11x11-quick"]
    (problem,) = problems(dataclasses.replace(config, ppo=dataclasses.replace(config.ppo, mean_rewards=True)))
    assert problem == (
        "ppo.mean_rewards is on, but gridworld does not know the mean reward of a step; switch it off"
    )


class AlikeAim(Aim):
    """Says of its vectors what is true of integers alone."""

    exchangeable_actions = True


def test_only_exchangeable_actions_that_the_policy_sees_share_a_network():
    shared = {"policy.exchangeable_actions": True}
    assert problems(vary(PRESETS["mdp-h100-quick"], shared)) == []
    with pytest.raises(ConfigError, match="actions of gridworld mean something by themselves; switch it off"):
        vary(PRESETS["gridworld-11x11-quick"], shared)
    config = vary(PRESETS["mdp-h100-quick"], shared)
    (problem,) = problems(dataclasses.replace(config, task=AlikeAim()))
    assert problem.startswith("policy.exchangeable_actions is on, but aim has 2 actions of object-level RL")
    blind = {"method": "rl2", "policy": "gru", "features.previous_action": False}
    with pytest.raises(ConfigError, match=r"switch features\.previous_action on"):
        vary(PRESETS["mdp-h100-quick"], shared | blind)


def test_a_novelty_bonus_needs_states_that_can_be_met_again():
    config = PRESETS["point-robot-h100-quick"]
    config = dataclasses.replace(config, ppo=dataclasses.replace(config.ppo, novelty_bonus=1.0))
    assert problems(config) == [
        "ppo.novelty_bonus is 1.0, but the states of point-robot are vectors, each of them new; set it to 0"
    ]
    wrong = dataclasses.replace(config.ppo, novelty_bonus=-1.0, novelty_share=0.0, learning_rate_hold=1.5)
    assert problems(wrong, "ppo") == [
        "ppo.learning_rate_hold is 1.5; it must be between 0 and 1",
        "ppo.novelty_bonus is -1.0; it must be at least 0",
        "ppo.novelty_share is 0.0; it must be above 0",
    ]
