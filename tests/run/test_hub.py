"""Agents on a hub: pushed to a stand-in that speaks the hub's HTTP, and taken from there."""

import contextlib
import importlib.util
import io
import json
import shutil

import jax
import numpy as np
import pytest
from PIL import Image

from rl3_jax import ConfigError, load_agent
from rl3_jax.cli import main
from rl3_jax.run import agent as agents
from rl3_jax.run import shipped
from tests.run import hub_server, tiny

HELD = ["README.md", "actor.safetensors", "agent.json", "card.json", "trial.gif"]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """The hub, whose library reads its address and its cache's when it is imported, and from now on here."""
    constants = pytest.importorskip("huggingface_hub.constants")
    folder = tmp_path_factory.mktemp("hub")
    with hub_server.serving() as served, pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "ENDPOINT": served.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": served.address + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(folder / "cache"),
            "HF_TOKEN_PATH": str(folder / "token"),
            "HF_HUB_DISABLE_XET": True,
        }.items():
            patch.setattr(constants, name, value)
        yield served


@pytest.fixture
def hub(served, monkeypatch):
    """The hub, empty, to which this user has access."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    served.repositories.clear()
    return served


@pytest.fixture(scope="module")
def pushed_once(served, finished, tmp_path_factory):
    """A copy of the finished run, and what the hub holds after its agent was pushed there."""
    copy = shutil.copytree(finished.path, tmp_path_factory.mktemp("pushed") / "run")
    served.repositories.clear()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as shown:
        patch.setenv("HF_TOKEN", "hf_secret")
        assert main(["evaluate", str(copy), "--num-tasks", "20", "--no-baselines"]) == 0
        assert main(["push", str(copy), "me/mine"]) == 0
    assert "next: rl3 evaluate --agent hf:me/mine" in shown.getvalue()
    return copy, served.repositories.pop("me/mine")


@pytest.fixture
def pushed(hub, pushed_once):
    """The hub with the agent of a run, which is given too."""
    run, revisions = pushed_once
    hub.repositories["me/mine"] = list(revisions)
    return hub, run


def front_matter(files):
    """What the hub reads of the page of a repository, and the rest of the page."""
    card = importlib.import_module("huggingface_hub").ModelCard(files["README.md"].decode())
    return card.data, card.text


def test_an_agent_is_the_same_on_the_hub(pushed, finished, tmp_path, monkeypatch):
    hub, run = pushed
    monkeypatch.chdir(tmp_path)
    there, here = load_agent("hf:me/mine"), load_agent(run)
    jax.tree.map(np.testing.assert_array_equal, there.params, here.params)
    assert (there.env, there.policy, there.iteration) == (here.env, here.policy, here.iteration)
    line = ["--num-tasks", "20", "--no-baselines", "--json"]
    assert main(["evaluate", "--agent", "hf:me/mine", *line, "there.json"]) == 0
    assert main(["evaluate", "hf:me/mine", *line, "again.json"]) == 0
    (noted,) = json.loads((run / "evaluation.json").read_text())
    assert json.loads((tmp_path / "there.json").read_text()) == noted
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "there.json").read_bytes()
    assert main(["watch", "--agent", "hf:me/mine", "--steps", "3"]) == 0
    assert Image.open(tmp_path / "mine-default-seed0.gif").n_frames == 3
    assert sorted(hub.files("me/mine")) == HELD


def test_its_page_says_what_it_is_and_earns(pushed):
    hub, run = pushed
    files = hub.files("me/mine")
    data, text = front_matter(files)
    assert (data.library_name, data.pipeline_tag, data.license) == ("rl3_jax", "reinforcement-learning", None)
    assert {"meta-reinforcement-learning", "bandit", "rl3", "markov"} <= set(data.tags)
    ((noted,), card) = json.loads((run / "evaluation.json").read_text()), json.loads(files["card.json"])
    earned = noted["results"][0]
    (result,) = data.eval_results
    assert result.metric_value == f"{earned['mean_return']:.2f} +/- {earned['standard_error']:.2f}"
    assert card["results"][0]["mean_return"] == earned["mean_return"]
    assert (card["seed"], card["steps"]) == (tiny.CONFIG.seed, 12 * 8 * 10)
    assert "rl3 watch --agent hf:me/mine" in text
    assert "(trial.gif)" in text
    assert Image.open(io.BytesIO(files["trial.gif"])).n_frames == 10


def test_the_licence_is_the_users(pushed):
    hub, run = pushed
    assert main(["push", str(run), "me/mine", "--license", "mit"]) == 0
    assert front_matter(hub.files("me/mine"))[0].license == "mit"
    assert main(["push", str(run), "me/mine"]) == 0
    assert front_matter(hub.files("me/mine"))[0].license == "mit"


def test_an_earlier_revision_can_be_named(pushed):
    hub, _ = pushed
    first = hub.sha("me/mine")
    hub.repositories["me/mine"].append({})
    with pytest.raises(ConfigError, match="hf:me/mine: hf:me/mine holds no agent"):
        load_agent("hf:me/mine")
    assert load_agent(f"hf:me/mine@{first}").iteration == 12
    with pytest.raises(ConfigError, match="cannot read hf:me/mine@old: the repository has no such revision"):
        load_agent("hf:me/mine@old")


def test_a_run_that_was_not_evaluated_is_evaluated_first(hub, finished, tmp_path):
    copy = shutil.copytree(finished.path, tmp_path / "run")
    assert main(["push", str(copy), "me/mine"]) == 0
    (noted,) = json.loads((copy / "evaluation.json").read_text())
    assert json.loads(hub.files("me/mine")["card.json"])["results"][0]["num_tasks"] == noted["num_tasks"]


def test_an_agent_alone_and_one_that_comes_with_the_package_are_pushed(hub, finished, tmp_path, monkeypatch):
    assert main(["push", str(finished.path / "agent"), "me/alone"]) == 0
    alone = hub.files("me/alone")
    assert set(json.loads(alone["card.json"])) == {"results"}
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    shutil.copytree(finished.path / "agent", tmp_path / "ours")
    (tmp_path / "ours" / "card.json").write_bytes(alone["card.json"])
    assert main(["push", "ours", "me/ours"]) == 0
    assert hub.files("me/ours")["card.json"] == alone["card.json"]
    assert load_agent("hf:me/ours").iteration == load_agent("ours").iteration == 12


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("agent.json", b"{", "agent.json is not valid JSON"),
        ("agent.json", None, "hf:me/mine holds no agent, agent.json and actor.safetensors; is it one of rl3"),
        ("actor.safetensors", b"torn", "its owner can push it anew"),
        ("actor.safetensors", "flipped", "are not as they were written together; its owner can push it anew"),
    ],
)
def test_what_is_damaged_or_foreign_is_refused_with_one_message(pushed, capsys, file, content, message):
    hub, _ = pushed
    files = dict(hub.files("me/mine"))
    whole = files.pop(file)
    if content == "flipped":
        content = whole[:-1] + bytes([whole[-1] ^ 1])
    hub.repositories["me/mine"].append(files | ({} if content is None else {file: content}))
    assert main(["evaluate", "--agent", "hf:me/mine", "--num-tasks", "20"]) == 2
    (problem,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert problem.startswith("error: hf:me/mine: ")
    assert message in problem


def test_nothing_else_of_a_repository_is_fetched(pushed, monkeypatch):
    """Least of all what could be executed."""
    hub, _ = pushed
    hub.repositories["me/mine"].append(hub.files("me/mine") | {"agent.py": b"raise SystemExit", "a.pkl": b""})
    asked = []
    library = importlib.import_module("huggingface_hub")
    real = library.snapshot_download
    monkeypatch.setattr(library, "snapshot_download", lambda *a, **o: asked.append(real(*a, **o)) or asked[0])
    load_agent("hf:me/mine")
    folder = agents.Path(asked[0])
    assert sorted(path.name for path in folder.iterdir()) == ["actor.safetensors", "agent.json"]


BAD_INPUT = [
    ("evaluate --agent hf:me/none", "cannot read hf:me/none: there is no such repository, or it is not open"),
    ("evaluate --agent hf:none", "hf:none: 'none' is no name on the hub; give OWNER/NAME"),
    ("watch hf:a/b/c", "hf:a/b/c: 'a/b/c' is no name on the hub; give OWNER/NAME"),
    ("push none me/mine", "none holds no agent"),
    ("push hf:me/mine me/other", "hf:me/mine is on the hub already"),
    ("push RUN mine", "'mine' is no name on the hub; give OWNER/NAME"),
    ("push RUN me/other", "me/other holds something else, e.g. pytorch_model.bin; choose another name"),
]


@pytest.mark.parametrize(("line", "message"), BAD_INPUT, ids=[line for line, _ in BAD_INPUT])
def test_bad_input_is_named(hub, finished, capsys, line, message):
    hub.repositories["me/other"] = [{"pytorch_model.bin": b"", "README.md": b""}]
    assert main(line.replace("RUN", str(finished.path)).split()) == 2
    (problem,) = capsys.readouterr().err.splitlines()
    assert message in problem
    assert len(hub.repositories["me/other"]) == 1


def test_who_is_not_logged_in_is_told(hub, finished, capsys, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    assert main(["push", str(finished.path), "me/mine"]) == 2
    assert "log in to push: `hf auth login`, or set HF_TOKEN" in capsys.readouterr().err
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    assert main(["push", str(finished.path / "agent"), "me/mine"]) == 2
    assert "cannot push to me/mine: " in capsys.readouterr().err
    assert hub.repositories == {}


def test_a_missing_extra_is_named(finished, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for line in ("evaluate --agent hf:me/mine", f"push {finished.path} me/mine"):
        assert main(line.split()) == 2
        assert "pip install 'rl3-jax[hub]'" in capsys.readouterr().err
