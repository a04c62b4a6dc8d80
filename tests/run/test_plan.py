"""What a run takes, and that what cannot fit is refused before it starts."""

import json

import pytest

from rl3_jax.cli import main
from rl3_jax.errors import ConfigError
from rl3_jax.presets import make_config
from rl3_jax.run import loop, memory, plan, train
from rl3_jax.run.memory import available_bytes, in_words
from tests.run import tiny

LINE = ["bandit-h100-quick", "--policy", "markov", "--horizon", "10", "--iterations", "3"]
LINE += ["--ppo.trials", "8", "--ppo.minibatch-trials", "4", "--ppo.epochs", "2", "--evaluation.every", "0"]


def short_of(monkeypatch, number):
    """Let there be so many bytes of memory."""
    monkeypatch.setattr(memory, "available_bytes", lambda: number)


def test_a_plan_tells_sizes_and_times_and_its_program_is_the_runs(tmp_path):
    found = plan(tiny.CONFIG)
    sizes, seconds = found["bytes"], found["seconds"]
    assert (found["steps_per_iteration"], found["iterations"]) == (80, 12)
    assert sizes["available"] > sizes["program"] > sizes["parameters"] + sizes["optimiser"]
    assert sizes["trajectory"] > 80 * 4 * 5
    assert seconds["run"] == pytest.approx(12 * seconds["iteration"])
    assert found["steps_per_second"] == pytest.approx(80 / seconds["iteration"])
    compiled = loop._compile.cache_info().misses
    train(tiny.CONFIG, tmp_path, progress=False)
    assert loop._compile.cache_info().misses == compiled
    assert plan(tiny.CONFIG, probe=False)["seconds"]["iteration"] is None


@pytest.mark.parametrize(("part", "compiled"), [("parameters", False), ("program", True)])
def test_what_cannot_fit_is_refused_before_anything_is_allocated(monkeypatch, capsys, part, compiled):
    def allocate(*args):
        raise AssertionError

    sizes = plan(tiny.CONFIG, probe=False)["bytes"]
    monkeypatch.setattr("rl3_jax.training.init", allocate)
    short_of(monkeypatch, sizes[part] - 1)
    with pytest.raises(ConfigError, match=r"at least .* kB .*lower ppo.trials \(8\) or ppo.minibatch_trials"):
        plan(tiny.CONFIG, progress=True)
    assert ("compiling" in capsys.readouterr().err) == compiled


def test_a_run_that_cannot_fit_leaves_an_empty_folder(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        short_of(patch, 20_000)
        with pytest.raises(ConfigError, match="20 kB are available"):
            train(tiny.CONFIG, tmp_path / "run", progress=False)
    assert tiny.tree(tmp_path / "run") == []
    assert len(train(tiny.CONFIG, tmp_path / "run", progress=False).metrics) == 12


def test_a_run_that_cannot_fit_replaces_no_other(monkeypatch, tmp_path):
    train(tiny.CONFIG, tmp_path, progress=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    short_of(monkeypatch, 20_000)
    with pytest.raises(ConfigError, match="20 kB are available"):
        train(tiny.vary(seed=1), tmp_path, overwrite=True, progress=False)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_the_fields_to_lower_are_those_of_the_run(monkeypatch):
    short_of(monkeypatch, 10)
    for hyper, text in [
        ({}, "set ppo.segment_length to"),
        ({"segment_length": 5}, r"ppo.segment_length \(5\)"),
    ]:
        with pytest.raises(ConfigError, match=text):
            plan(make_config("bandit-h100-quick", policy="gru", horizon=10, ppo=hyper))


def test_the_command_line(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["plan", *LINE, "--json", "plan.json"]) == 0
    printed = capsys.readouterr().out
    assert "steps per iteration" in printed
    found = json.loads((tmp_path / "plan.json").read_text())
    assert f"{found['parameters']:,}" in printed
    assert tiny.tree(tmp_path) == ["plan.json"]
    short_of(monkeypatch, 20_000)
    for command in ("plan", "train"):
        assert main([command, *LINE]) == 2
        assert "20 kB are available" in capsys.readouterr().err


def test_memory_that_is_available(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    assert available_bytes() is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   8 kB\n")
    assert available_bytes() == 8 * 1024
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes() == 8 * 1024
    (tmp_path / "memory.max").write_text("4000\n")
    assert available_bytes() == 3000


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (999.6, "1 kB"),
        (1234, "1.23 kB"),
        (21e9, "21 GB"),
        (5e15, "5e+03 TB"),
    ],
)
def test_bytes_in_words(number, words):
    assert in_words(number) == words
