import json

import numpy as np
import pytest

from rl3_jax.cli import main
from rl3_jax.errors import ConfigError
from rl3_jax.run.evaluation import describe
from rl3_jax.tasks import make_family
from tests.marks import slow
from tests.tasks.test_gridworld import KNOWN

GRIDWORLD = [
    "acceptance_rate",
    "optimal_return",
    "obstacle_density",
    "water_tiles",
    "danger_tiles",
    "warning_tiles",
    "path_length",
]


@pytest.mark.parametrize("variation", slow(KNOWN))
def test_gridworlds_are_those_of_the_reference(variation, tmp_path, capsys):
    file = tmp_path / "description.json"
    line = f"describe gridworld --variation {variation} --num-tasks 2000 --json {file}"
    assert main(line.split()) == 0
    shown = capsys.readouterr().out
    description = json.loads(file.read_text())
    statistics = description.pop("statistics")
    assert description == {"family": "gridworld", "variation": variation, "num_tasks": 2000, "seed": 0}
    assert set(statistics) == set(GRIDWORLD)
    for name, (known, error) in KNOWN[variation].items():
        assert name in shown
        found = statistics[name]
        assert abs(found["mean"] - known) <= 3.0 * np.hypot(found["standard_error"], error), name
    assert statistics["danger_tiles"] == {"mean": 2.0, "standard_error": 0.0}
    assert statistics["warning_tiles"] == {"mean": 8.0, "standard_error": 0.0}


KNOWN_MEANS = {
    # The largest of 5 draws from U(0, 1) is 5/6 on average, and 1/6 above the next.
    "bandit": {"best_probability": 5 / 6, "lead_of_the_best": 1 / 6, "mean_probability": 0.5},
    # Entropy of Dirichlet(1, …, 1): Σ_{k=2}^{10} 1/k nats. The clairvoyant's 218.3 is of ten episodes.
    "mdp": {
        "transition_entropy": sum(1 / k for k in range(2, 11)),
        "mean_reward": 1.0,
        "random_episode_return": 10.0,
        "optimal_episode_return": 21.83,
    },
}


@pytest.mark.parametrize("family", KNOWN_MEANS)
def test_other_families_have_statistics_of_their_own(family):
    statistics = describe(make_family(family), num_tasks=5000)["statistics"]
    assert set(statistics) == set(KNOWN_MEANS[family])
    for name, known in KNOWN_MEANS[family].items():
        found = statistics[name]
        assert abs(found["mean"] - known) <= 4.0 * found["standard_error"], name


def test_the_seed_and_the_number_decide():
    family = make_family("bandit")
    one, again, other = (describe(family, num_tasks=700, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one["statistics"] != other["statistics"]
    assert one["statistics"] != describe(family, num_tasks=701, seed=1)["statistics"]


def test_what_is_unknown_is_null():
    statistics = describe(make_family("bandit", num_arms=1), num_tasks=5)["statistics"]
    assert statistics["lead_of_the_best"] == {"mean": None, "standard_error": None}


def test_mistakes_are_listed():
    with pytest.raises(ConfigError) as error:
        describe(make_family("bandit"), num_tasks=1, seed=-1)
    assert len(error.value.problems) == 2
