"""What belongs together in a report."""

import dataclasses

import numpy as np
import pytest
import scipy.stats

from rl3_jax import ConfigError
from rl3_jax.report.agents import Source, agents_of, common_name
from rl3_jax.report.gather import exceeds, settings_of
from tests.report.setting import MDP, OOD, RESULT, entry, of_agent, run


def test_runs_that_differ_in_their_seed_alone_are_one_agent():
    runs = [run(0), run(1), run(0, name="other", learning_rate=0.2)]
    one, other = agents_of([*runs, Source("a.json", [RESULT])]).values()
    assert (one.name, list(one.runs)) == ("rl3", runs[:2])
    assert (other.name, list(other.runs)) == ("other-seed0", runs[2:])


def test_agents_of_one_name_are_told_apart_by_their_folders():
    places = [("mdp-100", 0.1), ("mdp-500", 0.2)]
    runs = [run(seed, learning_rate=rate, folder=folder) for folder, rate in places for seed in (0, 1)]
    alone = run(0, name="rl2", learning_rate=0.3, folder="mdp-100")
    names = [agent.name for agent in agents_of([*runs, alone]).values()]
    assert names == ["mdp-100/rl3", "mdp-500/rl3", "rl2-seed0"]


def test_agents_of_the_same_name_in_two_files_stay_apart():
    """Copies of two runs' `evaluation.json`, each with sampled and with greedy actions."""
    sampled = [of_agent(RESULT, mean) for mean in (79.0, 80.0)]
    greedy = [of_agent(RESULT, mean) | {"greedy": True} for mean in (81.0, 82.0)]
    for result in greedy:
        result["results"][0] = result["results"][0] | {"name": "rl3 (greedy)"}
    files = [[sampled[i], greedy[i]] for i in (0, 1)]
    (setting,) = settings_of([Source("a.json", files[0]), Source("b.json", files[1])])
    found = {entry.name: entry.mean_return for entry in setting.agents}
    expected = [x["results"][0]["mean_return"] for x in (*sampled, *greedy)]
    assert sorted(found.values()) == pytest.approx(sorted(expected))
    assert len(found) == 4


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["rl3-seed0"], "rl3-seed0"),
        (["rl3-seed0", "rl3-seed1"], "rl3"),
        (["mdp-h100_9", "mdp-h100_10"], "mdp-h100"),
        (["a", "b"], "a + b"),
        (["1", "2"], ""),
    ],
)
def test_agents_are_named_without_their_seed(names, expected):
    assert common_name(names) == (expected or " + ".join(names))


def test_a_seed_that_is_there_twice_is_refused():
    again = dataclasses.replace(run(1), place="copy")
    with pytest.raises(ConfigError, match="copy has the configuration and the seed 1 of runs/rl3-seed1"):
        agents_of([run(0), run(1), again])


def test_results_of_one_setting_become_one():
    first, second = of_agent(RESULT, 79.0), of_agent(RESULT, 80.0)
    sources = [
        run(0, first, of_agent(OOD, 70.0)),
        run(1, second),
        Source("a.json", [RESULT]),
        Source("m.json", [MDP]),
    ]
    default, ood, mdp = settings_of(sources)
    assert [entry.name for entry in (*default.agents, *default.baselines)] == ["rl3", "ucb1", "clairvoyant"]
    (agent,) = default.agents
    assert agent.label == "rl3 (2 seeds)"
    assert agent.is_trained_here
    np.testing.assert_array_equal(agent.returns, [x["results"][0]["returns"] for x in (first, second)])
    assert agent.mean_return == pytest.approx(agent.returns.mean())
    assert [entry.label for entry in (*ood.agents, *ood.baselines)] == ["rl3", "ucb1", "clairvoyant"]
    assert not ood.agents[0].is_trained_here
    assert [entry.name for entry in mdp.baselines] == ["psrl (m = 0)", "psrl"]
    assert not {"results", "iteration", "greedy"} & set(default.header)


def test_ways_of_acting_and_files_of_agents_are_told_apart():
    acting = [of_agent(RESULT, 79.0), of_agent(RESULT, 79.0, greedy=True)]
    files = [Source(f"{name}.json", [of_agent(RESULT, 60.0)]) for name in "bc"]
    (setting,) = settings_of([run(0, *acting), *files])
    names = ["rl3-seed0", "rl3-seed0 (greedy)", "rl3-gru", "c.json"]
    assert [agent.name for agent in setting.agents] == names
    assert [agent.is_trained_here for agent in setting.agents] == [True, True, None, None]


def test_the_file_of_an_evaluation_that_a_run_has_noted_is_no_second_agent():
    result = of_agent(RESULT, 79.0)
    (setting,) = settings_of([Source("a.json", [result]), run(0, result)])
    assert [agent.label for agent in setting.agents] == ["rl3-seed0"]


def test_other_algorithms_are_no_seeds_though_their_names_are_alike():
    plain = dataclasses.replace(
        run(0, of_agent(RESULT, 60.0), learning_rate=0.3), place="runs/rl3", name="rl3"
    )
    others = [run(seed, of_agent(RESULT, 70.0), folder="other", learning_rate=0.2) for seed in (0, 1)]
    runs = [run(seed, of_agent(RESULT, 79.0)) for seed in (0, 1)]
    (setting,) = settings_of([*runs, *others, plain])
    labels = ["rl3 (2 seeds)", "other/rl3 (2 seeds)", "runs/rl3"]
    assert [agent.label for agent in setting.agents] == labels
    assert [agent.returns.shape for agent in setting.agents] == [(2, 50), (2, 50), (1, 50)]


def test_baselines_of_different_versions_are_told():
    other = RESULT | {"results": [RESULT["results"][0], entry("clairvoyant", 90.0)]}
    near = [one | {"returns": [x + 1e-4 for x in one["returns"]]} for one in RESULT["results"]]
    (same,) = settings_of([Source("a", [RESULT]), Source("b", [RESULT | {"results": near}])])
    assert same.notes == []
    (setting,) = settings_of([Source("a", [RESULT]), Source("b", [other])])
    assert [one.name for one in setting.baselines] == ["ucb1", "clairvoyant"]
    assert setting.baselines[1].returns.tolist() == [RESULT["results"][1]["returns"]]
    (note,) = setting.notes
    assert note.startswith("clairvoyant returns ")
    assert "in a, which is shown, and" in note


def test_sizes_are_sorted_as_numbers():
    ten = RESULT | {"task": RESULT["task"] | {"num_arms": 10}}
    found = settings_of([Source("a", [ten]), Source("b", [RESULT, RESULT | {"horizon": 10}])])
    assert [(x.header["horizon"], x.header["task"]["num_arms"]) for x in found] == [
        (10, 5), (100, 5), (100, 10),
    ]  # fmt: skip


def test_results_on_other_tasks_are_refused():
    other = RESULT | {"task_set_sha256": "x"}
    with pytest.raises(ConfigError, match=r"b\.json and a\.json were evaluated by versions that draw other"):
        settings_of([Source("a.json", [RESULT]), Source("b.json", [other])])


def test_seeds_that_trained_differently_long_are_refused():
    runs = [run(0, of_agent(RESULT, 79.0)), run(1, of_agent(RESULT, 79.0, iteration=6))]
    with pytest.raises(ConfigError, match=r"seed0 after 12, runs/rl3-seed1 after 6.*rl3 resume"):
        settings_of(runs)


def test_what_one_agent_has_more_than_another():
    better = {"name": "better", "returns": [3.0, 5.0, 9.0]}
    worse = {"name": "worse", "returns": [1.0, 2.0, 8.0]}
    found = exceeds(better, worse)
    assert (found["name"], found["mean"]) == ("worse", 2.0)
    assert abs(found["standard_error"] - 3**-0.5) < 1e-12
    half = scipy.stats.t.ppf(0.975, 2) * 3**-0.5
    np.testing.assert_allclose(found["interval"], [2.0 - half, 2.0 + half])
