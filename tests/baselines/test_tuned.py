"""The tuned hyperparameters are those that `benchmarks/tuning.py` found best, as results/tuning records."""

import json
import sys
from pathlib import Path

import pytest

from rl3_jax.baselines import baseline_names, make_baselines, plain_name
from rl3_jax.baselines.tuned import TUNED_BANDITS, TUNED_MDPS, tuned_bandit, tuned_mdp
from rl3_jax.tasks import make_family
from rl3_jax.trial import METHODS, TrialEnv

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from tuning import GRIDS, TUNING_SEED, candidates

RECORDS = {file.stem: json.loads(file.read_text()) for file in Path("results/tuning").glob("*.json")}


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
    record = RECORDS[name]
    family, horizon = family_of(record), record["horizon"]
    tuned = [entry["name"] for entry in record["tuned"]]
    assert [plain_name(one) for one in tuned] == [
        one for one in baseline_names(record["family"], horizon) if one in GRIDS[record["family"]]
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
    assert tuned_bandit(4, 120) == TUNED_BANDITS[5, 100]
    assert tuned_bandit(1000, 5000) == TUNED_BANDITS[50, 500]
    assert [tuned_mdp(horizon, 1.0) for horizon in (1, 150, 170, 9999)] == [
        TUNED_MDPS[known, 1.0] for known in (100, 100, 250, 1000)
    ]
    assert [tuned_mdp(500, prior) for prior in (-1.0, 0.4, 0.6, 3.0)] == [
        TUNED_MDPS[500, known] for known in (0.0, 0.0, 1.0, 1.0)
    ]
