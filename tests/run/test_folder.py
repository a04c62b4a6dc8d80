"""Who may write to a run folder, and what is left in it."""

import json
import subprocess
import sys

import pytest

from rl3_jax import ConfigError, train
from rl3_jax.run import folder as run_folder
from rl3_jax.run import signals
from rl3_jax.run.files import write_atomically
from tests.run import tiny


@pytest.fixture
def folder(tmp_path):
    return run_folder.create(tmp_path / "run", tiny.CONFIG, log=None)


def contents(path):
    return {entry: entry.read_bytes() for entry in path.rglob("*") if entry.is_file()}


def test_a_run_that_trains_is_not_replaced(folder):
    folder.metrics.write_text("lines\n")
    before = contents(folder.path)
    with folder.lock(), pytest.raises(ConfigError, match="another process is training"):
        train(tiny.vary(seed=1), folder.path, overwrite=True, progress=False)
    assert contents(folder.path) == before


def test_a_run_that_came_meanwhile_is_not_replaced(folder):
    before = contents(folder.path)
    with (
        pytest.raises(ConfigError, match="already holds a run"),
        run_folder.new_runs([(folder.path, tiny.vary(seed=1))], log=None, overwrite=False),
    ):
        pass
    assert contents(folder.path) == before


def test_a_new_run_is_locked_from_its_start(tmp_path):
    with run_folder.new_runs([(tmp_path / "new", tiny.CONFIG)], log=None, overwrite=False) as (folder,):
        with pytest.raises(ConfigError, match="another process is training"), folder.lock():
            pass
        assert folder.read().config == tiny.CONFIG


def test_a_system_without_file_locks_trains_all_the_same(folder, monkeypatch):
    monkeypatch.setattr(run_folder, "fcntl", None)
    with folder.lock(), folder.lock():
        pass
    # Windows has no such module: importing the package may not need it.
    code = "import sys; sys.modules['fcntl'] = None; import rl3_jax.run.folder"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_lock_leaves_the_errors_of_others_alone(folder):
    with pytest.raises(BlockingIOError), folder.lock():
        raise BlockingIOError


@pytest.mark.parametrize("name", [".config.json.tmp", ".config.json.0123456789ab.tmp"])
def test_what_a_kill_leaves_does_not_strand_a_folder(tmp_path, name):
    (tmp_path / name).write_text("{")
    assert run_folder.creation_problems(tmp_path, overwrite=False) == []
    run_folder.create(tmp_path, tiny.CONFIG, log=None)
    assert tiny.tree(tmp_path) == ["config.json"]


def test_a_folder_stays_a_run_while_it_is_replaced(folder, monkeypatch):
    def fail(self, record):
        raise OSError(28, "No space left on device")

    folder.metrics.write_text("lines\n")
    monkeypatch.setattr(run_folder.RunFolder, "write", fail)
    with pytest.raises(ConfigError, match="No space left"):
        run_folder.create(folder.path, tiny.CONFIG, log=None)
    assert run_folder.creation_problems(folder.path, overwrite=True) == []


def test_a_write_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="directory"):
        write_atomically(tmp_path / "taken", b"")
    assert tiny.tree(tmp_path) == ["taken"]


@pytest.mark.parametrize("target", ["12", 0, True, None])
def test_the_file_of_a_mistake_is_named(folder, target):
    data = json.loads(folder.config.read_text())
    folder.config.write_text(json.dumps(data | {"target_iterations": target}))
    with pytest.raises(ConfigError, match=r"run/config.json: target_iterations is"):
        folder.read()
    folder.config.write_text(json.dumps(data | {"horizon": 0}))
    with pytest.raises(ConfigError, match=r"run/config.json: horizon is 0"):
        folder.read()


def test_a_handler_that_python_does_not_know_is_no_trouble(monkeypatch):
    stop = signals.StopSignals(lambda name: None)
    before = {number: signals.signal.getsignal(number) for number in signals.SIGNALS}
    with stop:
        stop._previous_handlers = dict.fromkeys(signals.SIGNALS)
    for number, handler in before.items():
        assert signals.signal.signal(number, handler) == signals.signal.SIG_DFL
