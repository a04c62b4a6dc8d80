import json
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.baselines import baseline_env, baseline_names, make_baselines
from rl3_jax.baselines.bandits import Ucb1
from rl3_jax.baselines.gittins import discounted_gittins
from rl3_jax.baselines.mdps import Beb, EpisodePlanner, ModelGreedy, Psrl, TabulaBeb, Ucrl2
from rl3_jax.baselines.registry import (
    BASELINES,
    BELIEVING,
    TUNED_BANDITS,
    TUNED_MDPS,
    BaselineSetting,
    asked_names,
    plain_name,
)
from rl3_jax.tasks import FAMILIES, make_family
from rl3_jax.trial import METHODS, Behaviour, TrialEnv, run_trials
from tests.marks import missing_extra, slow, slow_but, where_installed

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from tuning import GRIDS, TUNING_SEED, candidates

RECORDS = {file.stem: json.loads(file.read_text()) for file in Path("results/tuning").glob("*.json")}


def setting(family, variation, horizon):
    """Return the trial of a family's baselines, and six tasks and keys for it."""
    task_family = make_family(family, variation=variation)
    env = baseline_env(task_family, horizon)
    tasks = jax.vmap(task_family.sample_task)(jax.random.split(jax.random.key(0), 6))
    return env, tasks, jax.random.split(jax.random.key(1), 6)


def test_each_family_has_its_baselines():
    assert baseline_names(make_family("bandit"), 100) == [
        "random",
        "certainty-equivalence",
        "greedy",
        "epsilon-greedy",
        "ucb1",
        "thompson",
        "optimistic-thompson",
        "gittins-discounted",
        "gittins",
        "clairvoyant",
    ]
    assert baseline_names(make_family("mdp"), 100) == [
        "random",
        "certainty-equivalence",
        "greedy",
        "epsilon-greedy",
        "psrl",
        "opsrl",
        "ucrl2",
        "beb",
        "ucrl2-tabularl",
        "beb-tabularl",
        "clairvoyant",
    ]
    assert baseline_names(make_family("gridworld"), 100) == [
        "random",
        "certainty-equivalence",
        "q-learning",
        "r-max",
        "clairvoyant-episode",
        "clairvoyant",
    ]
    for vectors in ("reacher", "cart-pole", "mountain-car", "acrobot", "pendulum"):
        assert baseline_names(make_family(vectors), 100) == ["random", "certainty-equivalence"]


def test_only_trials_of_a_bearable_length_have_gittins_indices():
    assert "gittins" in baseline_names(make_family("bandit"), 600)
    assert baseline_names(make_family("bandit"), 601)[-2] == "gittins-discounted"
    assert "gittins-discounted" not in baseline_names(make_family("bandit"), 1001)


@pytest.mark.parametrize("family", where_installed(FAMILIES))
def test_all_names_are_made_or_those_asked_for(family):
    task_family = make_family(family)
    names = baseline_names(task_family, 10)
    assert list(make_baselines(task_family, 10)) == names
    assert list(make_baselines(task_family, 10, names[1:])) == names[1:]
    assert list(make_baselines(task_family, 10, ["random"])) == ["random"]


def test_names_may_be_asked_for_without_their_prior():
    known = baseline_names(make_family("mdp"), 100, prior_reward=0.0)
    assert asked_names(known, []) == known
    assert asked_names(known, ["psrl"]) == asked_names(known, ["psrl (m = 0)"]) == ["psrl (m = 0)"]
    assert asked_names(known, ["random"]) == []


def test_those_that_believe_in_a_prior_mean_have_one():
    family = make_family("mdp")
    made = make_baselines(family, 100, prior_reward=0.25)
    assert [plain_name(name) for name in made] == list(BELIEVING["mdp"])
    for baseline in made.values():
        assert isinstance(baseline, EpisodePlanner)
        assert baseline.prior_reward == 0.25
    usual = make_baselines(family, 100)
    for name in BELIEVING["mdp"]:
        assert usual[name].prior_reward == 1.0
    others = set(usual) - set(BELIEVING["mdp"])
    assert not any(isinstance(usual[name], EpisodePlanner) for name in others)


def test_the_registry_names_families_that_exist():
    assert set(BASELINES) <= set(FAMILIES)


CASES = [
    (family, variation, name)
    for family, kind in FAMILIES.items()
    for name in (["random"] if missing_extra(family) else baseline_names(make_family(family), 13))
    for variation in kind.variations[:2]  # further ones are no other programs
]
FEW = [
    (family, FAMILIES[family].variations[0], name)
    for family in ("bandit", "mdp", "gridworld")
    for name in baseline_names(make_family(family), 13)
]


@pytest.mark.parametrize(("family", "variation", "name"), where_installed(slow_but(FEW, CASES)))
def test_a_baseline_runs_and_its_trial_depends_on_its_own_task_and_key_alone(family, variation, name):
    env, tasks, keys = setting(family, variation, horizon=13)
    behaviour = make_baselines(env.family, env.horizon, [name])[name]
    assert isinstance(behaviour, Behaviour)
    run = jax.jit(lambda tasks, keys: run_trials(env, behaviour, tasks, keys)[0])
    rewards = run(tasks, keys)
    assert rewards.shape == (6, 13)
    assert jnp.isfinite(rewards).all()
    shuffled = jnp.array([3, 1, 3, 5, 0, 3])
    again = run(jax.tree.map(lambda x: x[shuffled], tasks), keys[shuffled])
    np.testing.assert_array_equal(again, rewards[shuffled])


@pytest.mark.parametrize(
    ("family", "make", "values"),
    slow(
        [
            ("bandit", Ucb1, [0.1, 1.0]),
            ("mdp", Psrl, [0.0, 2.0]),
            ("mdp", partial(ModelGreedy, 0.0), [0.0, 0.5]),
            ("mdp", partial(Ucrl2, 0.0), [0.1, 0.5]),
            ("mdp", partial(Beb, 0.0), [1.0, 40.0]),
            ("mdp", partial(TabulaBeb, 0.0), [0.001, 0.1]),
            ("bandit", discounted_gittins, [0.5, 0.99]),
        ],
        keep=2,
    ),
)
def test_one_program_serves_all_values_of_a_hyperparameter(family, make, values):
    env, tasks, keys = setting(family, "default", horizon=40)
    traces = []

    @jax.jit
    def run(behaviour):
        traces.append(behaviour)
        return run_trials(env, behaviour, tasks, keys)[0]

    one, other = (run(make(value)) for value in values)
    assert len(traces) == 1
    assert not np.allclose(one, other)


def family_of(record):
    """The task family that a record is of."""
    fields = {name: value for name, value in record["task"].items() if name != "family"}
    return make_family(record["family"], **fields)


def test_all_settings_are_recorded():
    bandits = {f"bandit-{k}-{horizon}" for k, horizon in TUNED_BANDITS}
    mdps = {f"mdp-{horizon}" + ("" if prior else "-prior-0") for horizon, prior in TUNED_MDPS}
    assert set(RECORDS) == bandits | mdps | {"gridworld"}
    assert {record["seed"] for record in RECORDS.values()} == {TUNING_SEED}


@pytest.mark.parametrize("name", RECORDS)
def test_what_was_found_best_is_what_is_used(name):
    """The tuned hyperparameters are those that `benchmarks/tuning.py` found best."""
    record = RECORDS[name]
    family, horizon = family_of(record), record["horizon"]
    tuned = [entry["name"] for entry in record["tuned"]]
    assert [plain_name(one) for one in tuned] == [
        one for one in baseline_names(family, horizon) if one in GRIDS[record["family"]]
    ]
    made = make_baselines(family, horizon, tuned, record["prior_reward"])
    env = TrialEnv(family, horizon=horizon, features=METHODS["rl2"])
    for entry in record["tuned"]:
        grid = GRIDS[record["family"]][plain_name(entry["name"])]
        assert entry["field"] == grid.field
        assert tuple(entry["candidates"]) == candidates(grid, env)
        best = max(zip(entry["mean_returns"], entry["candidates"], strict=True), key=lambda pair: pair[0])[1]
        assert getattr(made[entry["name"]], grid.field) == entry["best"] == best
        assert type(entry["best"]) is type(grid.candidates[0])


def test_other_settings_take_what_is_tuned_for_the_nearest():
    assert BaselineSetting(make_family("bandit", num_arms=4), 120).bandit == TUNED_BANDITS[5, 100]
    assert BaselineSetting(make_family("bandit", num_arms=1000), 5000).bandit == TUNED_BANDITS[50, 500]
    mdps = make_family("mdp")
    assert [BaselineSetting(mdps, horizon, 1.0).mdp for horizon in (1, 150, 170, 9999)] == [
        TUNED_MDPS[known, 1.0] for known in (100, 100, 250, 1000)
    ]
    assert [BaselineSetting(mdps, 500, prior).mdp for prior in (-1.0, 0.4, 0.6, 3.0)] == [
        TUNED_MDPS[500, known] for known in (0.0, 0.0, 1.0, 1.0)
    ]
