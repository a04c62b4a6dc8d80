"""Pages are made of result files alone, and set ours beside what was published."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.stats

from rl3_jax import ConfigError
from rl3_jax.cli import main
from rl3_jax.report import literature
from rl3_jax.report.figures import notable
from rl3_jax.report.page import grouped, section, write_page
from rl3_jax.run.report import read_results

RNG = np.random.default_rng(0)


def entry(name, mean):
    returns = RNG.normal(mean, 10.0, 50)
    return {
        "name": name,
        "mean_return": float(returns.mean()),
        "standard_error": float(scipy.stats.sem(returns)),
        "returns": returns.tolist(),
        "reward_curve": [0.5, 0.6],
    }


RESULT = {
    "family": "bandit",
    "variation": "default",
    "task": {"family": "bandit", "variation": "default", "num_arms": 5},
    "horizon": 100,
    "num_tasks": 50,
    "eval_seed": 0,
    "task_set_sha256": "0123456789abcdef",
    "results": [entry("ucb1", 78.0), entry("clairvoyant", 83.0)],
}
AGENT = RESULT | {"results": [entry("rl3-gru", 79.0), *RESULT["results"]]}
MDP = RESULT | {
    "family": "mdp",
    "task": {"family": "mdp", "variation": "default", "states": 10, "actions": 5, "steps": 10},
    "results": [entry("psrl (m = 0)", 138.0), entry("psrl", 133.0)],
}


def test_results_of_one_setting_become_one():
    together, mdp = grouped({"a": RESULT, "b": AGENT, "c": MDP})
    assert [entry["name"] for entry in together["results"]] == ["ucb1", "clairvoyant", "rl3-gru"]
    assert mdp["results"] == MDP["results"]
    assert len(grouped({"a": RESULT, "b": RESULT | {"horizon": 10}})) == 2
    ten = RESULT | {"task": RESULT["task"] | {"num_arms": 10}}
    assert [result["task"]["num_arms"] for result in grouped({"a": ten, "b": RESULT})] == [5, 10]
    with pytest.raises(ConfigError, match="b has task_set_sha256 x, a has 0123456789abcdef"):
        grouped({"a": RESULT, "b": AGENT | {"task_set_sha256": "x"}})


def test_a_row_has_the_return_its_regret_and_what_was_published():
    lines = section(AGENT).splitlines()
    rows = {
        line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[2:-1]] for line in lines[6:]
    }
    ucb1, best = RESULT["results"]
    assert rows["ucb1"][0] == f"{ucb1['mean_return']:.2f} ± {ucb1['standard_error']:.2f}"
    assert rows["ucb1"][1].startswith(f"{scipy.stats.trim_mean(ucb1['returns'], 0.25):.2f} [")
    assert rows["ucb1"][2].startswith(f"{best['mean_return'] - ucb1['mean_return']:.2f} ± ")
    spread = np.std(ucb1["returns"], ddof=1)
    apart = (ucb1["mean_return"] - 78.0) / np.hypot(ucb1["standard_error"], spread / 1000**0.5)
    assert rows["ucb1"][3:] == ["78", f"{apart:+.1f}"]
    assert rows["rl3-gru"][3:] == ["", ""]
    assert rows["thompson"] == ["", "", "", "74.7", ""]
    assert list(rows)[:3] == sorted(list(rows)[:3], key=lambda name: -float(rows[name][0].split()[0]))


def test_a_figure_far_from_the_published_one_has_a_footnote():
    far = [entry("gittins", 95.0), entry("thompson", 95.0), entry("clairvoyant", 99.0)]
    text = section(RESULT | {"results": far})
    rows = {line.split("|")[1].strip(): line for line in text.splitlines() if line.startswith("| ")}
    assert r"\* |" in rows["gittins"]
    assert r"\* |" not in rows["clairvoyant"]
    notes = [line for line in text.splitlines() if line.startswith("\\*")]
    assert sorted(note.split(":")[0] for note in notes) == [r"\* gittins", r"\* thompson"]
    assert any(note.endswith("the reason is not known.") for note in notes)
    assert r"\*" not in section(RESULT)


def test_of_many_baselines_the_notable_ones_are_drawn():
    names = {"random": 9.0, "a": 1.0, "b": 3.0, "c": 2.0, "d": 4.0, "clairvoyant": 0.0}
    shown = notable([{"name": name, "mean_return": mean} for name, mean in names.items()])
    assert [one["name"] for one in shown] == ["random", "b", "c", "d", "clairvoyant"]


def test_another_prior_is_not_the_published_one():
    lines = {
        line.split("|")[1].strip(): line for line in section(MDP).splitlines() if line.startswith("| psrl")
    }
    assert "138.1" in lines["psrl (m = 0)"]
    assert "138.1" not in lines["psrl"]


def test_only_the_published_settings_have_published_returns():
    assert literature.published_returns(RESULT)["gittins"] == 78.3
    assert literature.published_returns(MDP)["beb (m = 0)"] == 150.2
    assert literature.published_returns(MDP)["random"] == 100.1
    for other in ({"horizon": 99}, {"variation": "ood"}, {"task": RESULT["task"] | {"num_arms": 2}}):
        assert literature.published_returns(RESULT | other) == {}
    assert literature.published_returns(MDP | {"task": MDP["task"] | {"states": 9}}) == {}


def test_the_page_of_a_folder(tmp_path, capsys):
    for name, result in (("a", RESULT), ("b", AGENT), ("c", MDP)):
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "page")]) == 0
    text = (tmp_path / "page" / "README.md").read_text()
    assert capsys.readouterr().out.count("written: ") == 3
    assert text.count("### ") == 2
    for family in ("bandit", "mdp"):
        assert f"]({family}.png)" in text
        assert (tmp_path / "page" / f"{family}.png").stat().st_size > 1000
    again = write_page(read_results(tmp_path), tmp_path / "again")
    assert again[0].read_text() == text


@dataclasses.dataclass
class Mistake:
    files: dict
    message: str


@pytest.mark.parametrize(
    "mistake",
    [
        Mistake({}, "holds no result files"),
        Mistake({"a.json": "{"}, "a.json is not valid JSON"),
        Mistake({"a.json": "{}"}, "it lacks family, variation"),
        Mistake({"config.json": "{}"}, "has not been evaluated; run `rl3 evaluate"),
    ],
)
def test_a_folder_without_results_is_refused(tmp_path, capsys, mistake):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, content in mistake.files.items():
        (folder / name).write_text(content)
    assert main(["report", str(folder), str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.replace("\n", " ")
    assert " ".join(mistake.message.split()) in " ".join(error.split())
    assert "none is not a folder" in " ".join(error.split())
    assert not (tmp_path / "out").exists()


def test_other_tasks_are_refused(tmp_path, capsys):
    (tmp_path / "a.json").write_text(json.dumps(RESULT))
    (tmp_path / "b.json").write_text(json.dumps(AGENT | {"task_set_sha256": "x"}))
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "task_set_sha256" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
