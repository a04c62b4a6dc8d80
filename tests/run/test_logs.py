"""Logs beside `metrics.jsonl`: what their own programs find in them, and what becomes of one that fails."""

import dataclasses
import importlib.util
import io
import json
import os

import jax
import pytest
from PIL import Image

from rl3_jax import ConfigError, resume_seeds, train, train_seeds, training
from rl3_jax.cli import main, parse
from rl3_jax.run import logs
from rl3_jax.run.folder import RunFolder
from rl3_jax.run.logs import pictures, session
from rl3_jax.run.logs.base import Log, group_name
from rl3_jax.training import serialise
from tests.run import log_readers, tiny

ALL = ("tensorboard", "wandb", "trackio")
OF_SERVICES = ("WANDB_", "TRACKIO_", "HF_", "HUGGING_FACE_")


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """No account of a service is known; what services write goes to a folder, and nothing to a network."""
    folder = tmp_path_factory.mktemp("services")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OF_SERVICES)]:
            patch.delenv(name)
        for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "TRACKIO_DIR", "HF_HOME", "NETRC"):
            patch.setenv(name, str(folder / name))
        yield folder


@pytest.fixture
def nobody(alone, monkeypatch):
    """Nobody is logged in; what the services read at their first call in this process does not count."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "TRACKIO_SPACE_ID", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    pytest.importorskip("trackio")
    pytest.importorskip("wandb").teardown()


@pytest.fixture(scope="module")
def logged(alone, tmp_path_factory):
    """Two seeds that were trained at once and then further, with all logs; and the folder of Trackio."""
    for log in logs.LOGS.values():
        pytest.importorskip(log.module)
    places = [tmp_path_factory.mktemp("logged") / f"seed{seed}" for seed in range(2)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_PROJECT", "mine")
        runs = train_seeds(tiny.CONFIG, places, log=ALL, progress=False)
        patch.setenv("WANDB_PROJECT", "another")
        patch.setenv("WANDB_RUN_GROUP", "asked")
        resume_seeds(places, 16, progress=False)
    importlib.import_module("wandb").teardown()  # until then its service may still write
    return runs, alone / "TRACKIO_DIR"


def numbers(run):
    """The numbers of each iteration that a log should have."""
    return {
        row["iteration"]: {k: v for k, v in row.items() if k != "iteration" and v is not None}
        for row in run.metrics
    }


def assert_pictures(found):
    """After 10 iterations, and 15 of 16, came a figure and an animation with a frame for each step."""
    assert sorted(found) == [(i, name) for i in (10, 15) for name in ("learning", "trial")]
    for (_, name), content in found.items():
        image = Image.open(io.BytesIO(content))
        assert (image.format, getattr(image, "n_frames", 1)) == (("PNG", 1), ("GIF", 10))[name == "trial"]


def test_tensorboard_finds_everything(logged):
    for run in logged[0]:
        scalars, images, texts = {}, {}, []
        for event in log_readers.events(run.path / "tensorboard"):
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    scalars.setdefault(event.step, {})[value.tag] = pytest.approx(value.simple_value, 1e-6)
                elif value.HasField("image"):
                    images[event.step, value.tag] = value.image.encoded_image_string
                    assert value.image.width > 100 < value.image.height
                elif value.tag.startswith("configuration"):
                    texts.append(value.tensor.string_val[0].decode())
        assert numbers(run) == scalars
        assert_pictures(images)
        assert json.loads(texts[0]) == RunFolder(run.path).read().to_dict() | {
            "target_iterations": 12,
            "log": list(ALL),
        }


def test_weights_and_biases_finds_everything(logged):
    for run in logged[0]:
        begun, resumed = sorted(run.path.glob("wandb/offline-run-*/*.wandb"))
        found = log_readers.history(begun) | log_readers.history(resumed)
        images = {}
        for step, values in found.items():
            for name in ("learning", "trial"):
                if f"{name}/path" in values:
                    (file,) = run.path.glob(f"wandb/offline-run-*/files/{values[f'{name}/path']}")
                    images[step, name] = file.read_bytes()
        assert_pictures(images)
        kept = {step: {k: values[k] for k in numbers(run)[step]} for step, values in found.items()}
        assert kept == numbers(run)


def test_weights_and_biases_goes_on_with_the_run_that_the_folder_names(logged):
    groups = set()
    for seed, run in enumerate(logged[0]):
        told = []
        for file in sorted(run.path.glob("wandb/offline-run-*/*.wandb")):
            told += [record.run for record in log_readers.records(file) if record.HasField("run")]
        record = RunFolder(run.path).read()
        assert {each.run_id for each in told} == {record.run_id}
        assert {each.project for each in told} == {"mine"}
        assert {each.display_name for each in told} == {f"seed{seed}"}
        assert {each.run_group for each in told} == {group_name(record.config)}
        groups.add(told[0].run_group)
        config = {item.key: json.loads(item.value_json) for item in told[0].config.update}
        assert config["ppo"] == serialise.to_dict(record.config.ppo)
        assert config["seed"] == seed
    assert len(groups) == 1


def test_the_environment_says_where_a_run_goes(alone, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    (tmp_path / "elsewhere").mkdir()
    asked = {"ENTITY": "us", "NAME": "nice", "RUN_GROUP": "many", "DIR": str(tmp_path / "elsewhere")}
    for name, value in (asked | {"MODE": "offline"}).items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    train(tiny.vary(iterations=1), tmp_path / "run", log="wandb", progress=False)
    wandb.teardown()  # until then its service may still write
    (file,) = (tmp_path / "elsewhere").glob("wandb/offline-run-*/*.wandb")
    told = next(record.run for record in log_readers.records(file) if record.HasField("run"))
    found = {"ENTITY": told.entity, "NAME": told.display_name, "RUN_GROUP": told.run_group}
    assert found == {name: asked[name] for name in found}
    assert told.project == "rl3-jax"


def test_trackio_finds_everything(logged):
    runs, folder = logged
    for run in runs:
        known_by = json.loads((run.path / "logs.json").read_text())["trackio"]
        assert known_by["space_id"] is None
        config, lines = log_readers.trackio_run(folder / "rl3-jax.db", known_by["name"])
        assert config["_Group"] == group_name(run.config)
        assert config["ppo"] == serialise.to_dict(run.config.ppo)
        scalars, images = {}, {}
        for step, values in lines:
            media = {name: value for name, value in values.items() if isinstance(value, dict)}
            scalars.setdefault(step, {}).update({k: v for k, v in values.items() if k not in media})
            for name, value in media.items():
                images[step, name] = (folder / "media" / value["file_path"]).read_bytes()
        assert scalars == numbers(run)
        assert_pictures(images)


def test_runs_that_differ_in_the_seed_alone_are_a_group():
    group = group_name(tiny.CONFIG)
    assert group == group_name(tiny.vary(seed=7)) != group_name(tiny.vary(iterations=13))
    assert group.startswith("bandit")


def test_log_can_be_given_twice():
    line = ["train", "mdp-h100-quick", "--log", "tensorboard"]
    assert parse(line).log == ("tensorboard",)
    assert parse([*line, "--log", "tensorboard"]).log == ("tensorboard", "tensorboard")
    assert parse(line[:2]).log == ()


def test_a_log_that_is_named_twice_is_one(tmp_path):
    run = train(tiny.vary(iterations=1), tmp_path / "run", log=["tensorboard"] * 2, progress=False)
    assert json.loads((run.path / "config.json").read_text())["log"] == ["tensorboard"]


@pytest.mark.parametrize(("noted", "read"), [(None, ()), ("wandb", ("wandb",)), (["a", "b"], ("a", "b"))])
def test_what_earlier_versions_noted_of_logs_is_read(finished, tmp_path, noted, read):
    config = json.loads((finished.path / "config.json").read_text()) | {"log": noted}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert RunFolder(tmp_path).read().log == read
    (tmp_path / "config.json").write_text(json.dumps(config | {"log": [1]}))
    with pytest.raises(ConfigError, match=r"log is \[1\]; it must be a list of names"):
        RunFolder(tmp_path).read()


@pytest.mark.parametrize("name", logs.LOGS)
def test_a_missing_extra_is_named(tmp_path, monkeypatch, name):
    installed, module = importlib.util.find_spec, logs.LOGS[name].module
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else installed(name))
    with pytest.raises(ConfigError, match=rf"pip install 'rl3-jax\[{name}\]'"):
        train(tiny.CONFIG, tmp_path / "run", log=name)
    assert tiny.tree(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "environment", "message"),
    [
        ("wandb", {}, "needs you to log in: `wandb login`, or set WANDB_API_KEY; WANDB_MODE=offline logs"),
        ("wandb", {"WANDB_MODE": "of"}, "cannot start: 1 validation error for Settings mode"),
        ("wandb", {"WANDB_API_KEY": "short"}, "cannot start: WANDB_API_KEY invalid"),
        ("trackio", {"TRACKIO_SPACE_ID": "me/space"}, "TRACKIO_SPACE_ID is set: `hf auth login`, or"),
    ],
)
def test_without_login_nothing_is_written(nobody, tmp_path, monkeypatch, capsys, name, environment, message):
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    line = ["train", "bandit-h100-quick", "--log", name, "--out", str(tmp_path / "run")]
    assert main(line) == 2
    (problem,) = [text for text in capsys.readouterr().err.splitlines() if text.startswith("error:")]
    assert message in problem
    assert tiny.tree(tmp_path) == []


def test_what_is_asked_in_this_process_counts(nobody, monkeypatch):
    assert logs.log_problems(["wandb"]) != []
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert logs.log_problems(["wandb"]) == []


class Recorder(Log):
    """A log in memory."""

    module = "json"
    sent: list

    def __init__(self, folder, record, iteration):
        type(self).sent = []

    def scalars(self, iteration, values):
        self.sent.append(iteration)

    def picture(self, iteration, name, content):
        self.sent.append(name)

    def close(self, *, failed):
        self.sent.append("failed" if failed else "done")


class Broken(Recorder):
    """A log whose service is lost on the way."""

    def scalars(self, iteration, values):
        super().scalars(iteration, values)
        if iteration == 6:
            raise ConnectionError("the service\nis gone")


class Closed(Recorder):
    """A log that does not start."""

    def __init__(self, folder, record, iteration):
        (folder.path / "wandb").mkdir()
        raise ConnectionError("no service")


@pytest.fixture
def in_memory(monkeypatch):
    monkeypatch.setattr(session, "LOGS", {"recorder": Recorder, "broken": Broken, "closed": Closed})


def test_a_log_that_fails_is_left_alone_with_one_warning(in_memory, tmp_path, capsys):
    run = train(tiny.CONFIG, tmp_path / "run", log=["broken", "recorder"])
    warnings = [line for line in capsys.readouterr().err.splitlines() if "--log" in line]
    assert warnings == [
        "--log broken failed, and gets no more of this run, which goes on (metrics.jsonl has everything):"
        " ConnectionError: the service is gone"
    ]
    assert Broken.sent == [1, 2, 3, 4, 5, 6, "failed"]
    assert Recorder.sent == [*range(1, 11), "learning", "trial", 11, 12, "done"]
    assert [row["iteration"] for row in run.metrics] == list(range(1, 13))


def test_a_picture_that_cannot_be_drawn_costs_the_pictures_alone(in_memory, tmp_path, capsys, monkeypatch):
    def fail(*arguments, **options):
        raise ValueError("nothing to see")

    monkeypatch.setattr(pictures, "film", fail)
    train(tiny.CONFIG, tmp_path / "run", log="recorder")
    said = "no more pictures are drawn for --log: ValueError: nothing to see"
    assert [line for line in capsys.readouterr().err.splitlines() if "pictures" in line] == [said]
    assert Recorder.sent == [*range(1, 11), "learning", 11, 12, "done"]


def test_a_log_that_cannot_start_leaves_the_folder_free(in_memory, tmp_path):
    with pytest.raises(ConfigError, match="--log closed cannot start: ConnectionError: no service; train"):
        train(tiny.CONFIG, tmp_path / "run", log=["recorder", "closed"], progress=False)
    assert Recorder.sent == ["failed"]
    assert tiny.tree(tmp_path) == ["run"]
    train(tiny.vary(iterations=1), tmp_path / "run", log="recorder", progress=False)


def test_a_log_is_told_that_its_run_failed(in_memory, tmp_path):
    def fail(row):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        train(tiny.CONFIG, tmp_path / "run", log="recorder", progress=False, on_metrics=fail)
    assert Recorder.sent[-1] == "failed"


@pytest.mark.parametrize(("share", "expected"), [(0.0, []), (float("inf"), ["learning", "trial"])])
def test_pictures_come_as_often_as_their_share_of_the_time_allows(tmp_path, monkeypatch, share, expected):
    monkeypatch.setattr(pictures.Pictures, "_learning", lambda self, found: b"png")
    monkeypatch.setattr(pictures.Pictures, "_trial", lambda self, state: b"gif")
    state = training.init(tiny.CONFIG, jax.random.key(0))
    drawn = pictures.Pictures(RunFolder(tmp_path), tiny.CONFIG, share)
    assert [name for name, _ in drawn.due(state, {}, last=False)] == expected
    assert [name for name, _ in drawn.due(state, {}, last=True)] == ["learning", "trial"]
    drawn.stop()
    assert list(drawn.due(state, {}, last=True)) == []


def test_an_animation_of_a_long_trial_shows_some_of_its_steps():
    from rl3_jax.run.film import film
    from tests.run.test_watch import configure, untrained

    config = dataclasses.replace(configure("bandit"), horizon=25)
    content = film([(config.env, untrained(config))], most_frames=10)
    assert Image.open(io.BytesIO(content)).n_frames == 9
    assert len(film([(config.env, untrained(config))], num_steps=2)) < len(content)


def test_a_run_without_logs_draws_nothing(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(pictures.Pictures, "due", lambda *arguments, **options: asked.append(1) or [])
    train(tiny.CONFIG, tmp_path / "run", progress=False)
    assert asked == []
    train(tiny.CONFIG, tmp_path / "other", log="tensorboard", progress=False)
    assert asked == [1, 1]
