"""Presets, and their variation."""

import subprocess
import sys

import pytest

from rl3_jax import METHODS, PRESETS, ConfigError, PPOConfig, make_config, make_core, make_learner
from rl3_jax.object_rl import Coordinates, Hashed, Identity, Kernel, LinearQ, ModelBased, RMax, Tiling
from rl3_jax.policies import Gru, PolicyConfig, Transformer
from rl3_jax.presets import choose, method_name, suited_to, vary
from rl3_jax.tasks import FAMILIES, Bandit, FrozenLakes, Gridworld, PointRobots, RandomMdp
from rl3_jax.trial import COARSE
from tests.marks import where_installed


@pytest.mark.parametrize("preset", where_installed(PRESETS))
def test_every_preset_is_valid(preset):
    config = PRESETS[preset]
    config.validate()
    horizon_or_variation = {f"h{config.horizon}", config.task.variation}
    size = preset.removeprefix(config.task.family + "-").removesuffix("-quick").removesuffix("-long")
    assert size.startswith("sparse-") == (not getattr(config.task, "dense", True))
    size = size.removeprefix("sparse-")
    assert size in horizon_or_variation
    assert make_config(preset) == config


@pytest.mark.parametrize(
    ("preset", "trials", "horizon", "minibatch_trials", "iterations", "value_scale"),
    [
        ("bandit-h100", 328, 100, 41, 5000, 1.0),
        ("bandit-h512", 64, 512, 8, 5000, 1.0),
        ("mdp-h100", 328, 100, 41, 10000, 10.0),
        ("mdp-h512", 64, 512, 8, 10000, 10.0),
        ("gridworld-11x11", 128, 250, 16, 20000, 10.0),
        ("gridworld-13x13", 96, 350, 12, 20000, 10.0),
    ],
)
def test_paper_presets_are_those_of_the_design(
    preset, trials, horizon, minibatch_trials, iterations, value_scale
):
    config = PRESETS[preset]
    assert (config.horizon, config.iterations) == (horizon, iterations)
    assert config.policy == PolicyConfig(
        core=Transformer(), width=64, input_layers=(256,), activation="relu", layer_norm=True
    )
    assert (config.features.squash, config.features.position) == ("none", "coordinates")
    gridworld = config.task.family == "gridworld"
    learning_rate = 2e-4 if gridworld else 3e-4
    assert config.learner == (ModelBased(smoothing=0.01, tolerance=0.1) if gridworld else ModelBased())
    assert config.ppo == PPOConfig(
        trials=trials,
        minibatch_trials=minibatch_trials,
        epochs=8,
        discount=0.99,
        gae_lambda=0.3,
        clip=0.2,
        kl_limit=0.01,
        learning_rate=learning_rate,
        learning_rate_final=learning_rate,
        entropy_bonus=0.04 if gridworld else 0.1,
        entropy_bonus_final=0.04 if gridworld else 0.0,
        critic_coefficient=0.5,
        critic_l2=0.01,
        adam_epsilon=1e-7,
        max_grad_norm=0.0,
        normalise_advantages=True,
        critic_scale="none",
    )
    assert config.features.value_scale == value_scale


def test_a_preset_is_varied_by_name_and_field():
    config = make_config(
        "bandit-h100", method="rl2", policy="markov", learner="q-learning", seed=3, task={"num_arms": 7}
    )
    assert method_name(config) == "rl2"
    assert config.policy.core == make_core("markov")
    assert config.policy.width == 64
    assert config.learner == make_learner("q-learning")
    assert (config.seed, config.task) == (3, Bandit(num_arms=7))


def test_a_dataclass_takes_the_place_of_a_part_and_a_dict_is_merged():
    assert make_config("bandit-h100-quick", ppo=PPOConfig()).ppo == PPOConfig()
    merged = make_config("bandit-h100-quick", ppo={"clip": 0.5}).ppo
    assert merged.clip == 0.5
    assert merged.critic_scale == "remaining-steps"


def test_a_dict_that_names_another_class_starts_from_its_defaults():
    """E.g. the paper's variant with a gru."""
    config = make_config("mdp-h100", policy={"core": {"core": "gru"}, "width": 256})
    assert (config.policy.core, config.policy.width) == (Gru(), 256)
    assert config.policy.input_layers == (256,)
    assert make_config("mdp-h100", policy={"core": {"layers": 3}}).policy.core == Transformer(layers=3)
    assert make_config("mdp-h100", learner={"learner": "q-learning"}).learner == make_learner("q-learning")


METHODS_OF = [
    (preset, method)
    for preset in PRESETS
    for method in METHODS
    if method not in COARSE
    or (
        PRESETS[preset].task.coordinate_bounds
        and PRESETS[preset].task.num_states
        and not isinstance(PRESETS[preset].learner, RMax)
    )
]


@pytest.mark.parametrize(("preset", "method"), where_installed(METHODS_OF))
def test_a_method_is_recognised(preset, method):
    config = make_config(preset, method=method)
    assert method_name(config) == method
    assert config.features.value_scale == PRESETS[preset].features.value_scale
    assert method_name(make_config(preset, features={"state": False})) == "custom"


def test_a_part_may_be_given_whole():
    config = make_config("mdp-h100-quick", learner=ModelBased(smoothing=0.3), policy=PolicyConfig(width=9))
    assert (config.learner, config.policy) == (ModelBased(smoothing=0.3), PolicyConfig(width=9))


def test_all_mistakes_are_listed():
    with pytest.raises(ConfigError) as caught:
        make_config("maze", method="rl4", policy="lstm", learner="sarsa", horizn=3, horizon=0)
    message = str(caught.value)
    assert len(caught.value.problems) == 6
    for name in ("'maze'", "'rl4'", "'lstm'", "'sarsa'", "'horizn'", "horizon is 0", "mdp-h100-quick", "gru"):
        assert name in message


def test_a_family_is_no_preset():
    with pytest.raises(ConfigError, match=r"mdp is a task family, .*make_config\(.*, task=RandomMdp\(\)\)"):
        make_config("mdp")


def test_a_class_is_no_task():
    with pytest.raises(ConfigError, match=r"task is the class RandomMdp; give one of it, RandomMdp\(\)"):
        make_config("mdp-h100-quick", task=RandomMdp)


def test_a_learner_that_is_not_known_is_refused():
    with pytest.raises(ConfigError, match="unknown learner 'sarsa'; choose from: deep-q, dyna-q, kernel"):
        make_learner("sarsa")


def test_another_family_brings_what_belongs_to_it():
    robots = make_config("mdp-h100-quick", task=PointRobots())
    assert robots.abstraction == Tiling(bins=PointRobots.tiles)
    preset = PRESETS["mdp-h100-quick"]
    assert (preset.learner.prior_count, robots.learner.prior_count) == (1.0, 0.0)
    assert robots.learner.smoothing == PointRobots.smoothing
    assert robots.learner.max_sweeps == preset.learner.max_sweeps
    assert robots.features.value_scale == preset.features.value_scale  # the family declares none
    assert make_config("mdp-h100-quick", task=FrozenLakes()).features.value_scale == 1.0
    assert make_config("mdp-h100-quick", task=Gridworld()).horizon == 250
    mdps = make_config("bandit-h100-quick", task=RandomMdp())
    assert mdps.policy.exchangeable_actions
    assert mdps.ppo.mean_rewards
    lakes = make_config("bandit-h100-quick", task=FrozenLakes())
    assert not lakes.policy.exchangeable_actions
    assert not lakes.ppo.mean_rewards
    assert lakes.abstraction == Identity()


def test_vectors_without_tiles_bring_a_learner_that_sees_them():
    config = suited_to(Untiled(), PRESETS["mdp-h100-quick"])
    assert (config.learner, config.abstraction, config.policy.gates) == (Kernel(), Coordinates(), True)
    config.validate()
    tiled = make_config("mdp-h100-quick", task=PointRobots())
    assert (tiled.learner.learner, tiled.policy.gates) == ("model-based", False)
    asked = choose(config, learner="linear-q")
    assert (asked.learner, asked.abstraction) == (LinearQ(), Coordinates())
    tabular = choose(tiled, learner="q-learning")
    vectors = choose(tabular, learner="kernel")
    assert (tabular.abstraction, vectors.abstraction) == (tiled.abstraction, Coordinates())


def test_an_abstraction_is_chosen_by_name():
    """It has the family's tiles or rows; one that a configuration has already keeps its settings."""
    robots = make_config("point-robot-h100-quick", learner="model-based", abstraction="hash")
    assert robots.abstraction == Hashed()
    assert choose(robots, abstraction="tiling").abstraction == Tiling(bins=PointRobots().tiles)
    rooms = make_config("frozen-lake-h100-quick", abstraction={"abstraction": "hash", "rows": 9})
    assert rooms.abstraction == Hashed(rows=9)
    assert choose(rooms, abstraction="hash") == rooms
    assert vary(rooms, {"abstraction": "identity"}).abstraction == Identity()
    assert make_config("frozen-lake-h100-quick", abstraction=Hashed(rows=9)) == rooms
    for part in (Hashed(rows=9), {"abstraction": "hash", "rows": 9}):
        assert vary(PRESETS["frozen-lake-h100-quick"], {"abstraction": part}) == rooms
    coded = suited_to(Coded(), PRESETS["mdp-h100-quick"])
    assert choose(choose(coded, abstraction="clusters"), abstraction="hash").abstraction == Hashed(rows=7)


def test_a_family_without_coordinates_brings_a_learner_with_a_table():
    robots = PRESETS["point-robot-h100-quick"]
    assert (robots.learner, robots.policy.gates) == (Kernel(), True)
    mdps = suited_to(RandomMdp(), robots)
    assert (mdps.learner.learner, mdps.abstraction) == ("model-based", Identity())
    assert suited_to(Gridworld(), robots).learner == Kernel()


class Untiled(PointRobots):
    tiles = ()


class Coded(PointRobots):
    hashed_rows = 7


def test_what_is_asked_for_wins_over_what_another_family_brings():
    asked = {
        "learner": {"smoothing": 0.3, "prior_count": 2.0},
        "horizon": 70,
        "features": {"value_scale": 3.0},
    }
    config = make_config("mdp-h100-quick", task=Gridworld(), **asked)
    assert (config.learner.smoothing, config.learner.prior_count, config.horizon) == (0.3, 2.0, 70)
    assert config.features.value_scale == 3.0
    assert make_config("mdp-h100-quick", task=RandomMdp(variation="ood")).learner.prior_count == 1.0


def test_presets_are_made_without_other_suites():
    modules = [kind.extra[0] for kind in FAMILIES.values() if kind.extra]
    assert "xminigrid" in modules
    script = f"import sys, rl3_jax; rl3_jax.PRESETS; sys.exit(any(name in sys.modules for name in {modules}))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
