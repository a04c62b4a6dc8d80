"""Agents that come with the package, by name."""

import json
import shutil

import pytest
from PIL import Image

import rl3_jax
from rl3_jax.cli import main
from rl3_jax.run import shipped
from tests.run import tiny

NAMES = list(shipped.shipped_cards())
LARGEST = 2**20
"""Bytes of one agent; all have 25 times that."""


@pytest.fixture
def one_agent(finished, tmp_path, monkeypatch):
    """The package has one agent, `mine`; commands run in an empty folder."""
    place = tmp_path / "agents" / "mine"
    shutil.copytree(finished.path / "agent", place)
    earned = {
        "family": "bandit",
        "task": {"family": "bandit", "num_arms": 3},
        "horizon": 10,
        "mean_return": 6.125,
        "standard_error": 0.25,
    }
    (place / "card.json").write_text(json.dumps({"steps": 3_000_000, "results": [earned]}))
    monkeypatch.setattr(shipped, "FOLDER", place.parent)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return place


def test_it_is_evaluated_by_name_like_its_run(one_agent, finished, tmp_path):
    line = ["--num-tasks", "20", "--no-baselines", "--json"]
    assert main(["evaluate", "--agent", "mine", *line, "mine.json"]) == 0
    copy = shutil.copytree(finished.path, tmp_path / "copy")
    assert main(["evaluate", str(copy), *line, "run.json"]) == 0
    assert json.loads((tmp_path / "here" / "mine.json").read_text()) == json.loads(
        (tmp_path / "here" / "run.json").read_text()
    )
    before = tiny.tree(one_agent)
    assert main(["evaluate", "--agent", "mine", "--num-tasks", "20", "--variation", "all"]) == 0
    assert main(["evaluate", "mine", *line, "again.json"]) == 0
    assert (tmp_path / "here" / "again.json").read_text() == (tmp_path / "here" / "mine.json").read_text()
    assert tiny.tree(tmp_path / "here") == ["again.json", "mine.json", "run.json"]
    assert tiny.tree(one_agent) == before == ["actor.safetensors", "agent.json", "card.json"]


def test_it_is_loaded_watched_and_listed_by_name(one_agent, tmp_path, capsys):
    assert rl3_jax.load_agent("mine").iteration == 12
    assert main(["watch", "--agent", "mine", "--steps", "3"]) == 0
    variation = tiny.CONFIG.task.variation
    assert Image.open(tmp_path / "here" / f"mine-{variation}-seed0.gif").n_frames == 3
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("mine", "bandit, num_arms=3, H=10", "6.12 ± 0.25"))


def test_a_folder_of_that_name_comes_first(one_agent, tmp_path):
    (tmp_path / "here" / "mine").mkdir()
    with pytest.raises(rl3_jax.ConfigError, match="mine holds no agent"):
        rl3_jax.load_agent("mine")


@pytest.mark.parametrize("command", ["evaluate", "watch"])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "name either a run folder or --agent NAME"),
        ("run --agent mine", "name either a run folder or --agent NAME"),
        ("--agent yours", "unknown agent 'yours'; choose from: mine"),
        ("--agent yours --seed -1", "seed is -1"),
    ],
)
def test_it_is_said_which_agents_there_are(command, line, expected, one_agent, capsys):
    assert main([command, *line.split()]) == 2
    assert expected in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_agent_is_small_and_whole(name):
    agent = rl3_jax.load_agent(name)
    card = shipped.shipped_cards()[name]
    assert agent.env.family.family == card["results"][0]["family"]
    assert agent.env.horizon == card["results"][0]["horizon"]
    files = list(shipped.shipped_folder(name).iterdir())
    assert sorted(file.name for file in files) == [
        "README.md",
        "actor.safetensors",
        "agent.json",
        "card.json",
    ]
    assert sum(file.stat().st_size for file in files) < LARGEST


def test_all_shipped_agents_together_are_small():
    assert sum(file.stat().st_size for file in shipped.FOLDER.rglob("*")) < 25 * LARGEST
