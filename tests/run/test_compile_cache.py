"""Compiled programs on disk: when they are kept, and that a run is the same bit for bit with and without."""

import os
import subprocess
import sys
import warnings

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache as jax_cache

from rl3_jax import resume, train
from rl3_jax.cli import main
from rl3_jax.run import program
from rl3_jax.run.files import cache_folder
from rl3_jax.run.program_cache import LEAST_SECONDS, compile_cache, prune
from rl3_jax.training import EvaluationConfig
from tests.run import tiny
from tests.run.processes import ROOT


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where programs are kept in this test; none is compiled yet."""
    for name in ("JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    jax_cache.reset_cache()
    forget()
    yield tmp_path / "cache" / "rl3_jax" / "compiled"
    jax.config.update("jax_compilation_cache_dir", before)
    jax_cache.reset_cache()


@pytest.fixture
def hits():
    """The number of programs read from disk so far, as the length of a list."""
    found = []

    def listen(event, **kwargs):
        if event == "/jax/compilation_cache/cache_hits":
            found.append(event)

    jax.monitoring.register_event_listener(listen)
    yield found
    jax.monitoring.unregister_event_listener(listen)


def forget():
    """Let this process forget all programs, as a new one has none."""
    program.compile_steps.cache_clear()
    jax.clear_caches()


def programs(folder):
    """Names of the programs in a folder."""
    return {path.name.partition("-")[0] for path in folder.glob("*-cache")}


def configuration():
    """What JAX is told about its cache."""
    names = ("compilation_cache_dir", "persistent_cache_min_compile_time_secs", "enable_compilation_cache")
    return [getattr(jax.config, f"jax_{name}") for name in names]


@pytest.mark.slow
def test_a_resumed_run_is_the_same_with_and_without_kept_programs(home, hits, tmp_path):
    config = tiny.vary(evaluation=EvaluationConfig())
    with compile_cache(False):
        train(config, tmp_path / "plain", progress=False)
        plain = resume(tmp_path / "plain", 14, progress=False)
    assert not home.exists()
    forget()
    train(config, tmp_path / "kept", progress=False)
    assert "jit__train_steps" in programs(home)
    assert not hits
    forget()
    kept = resume(tmp_path / "kept", 14, progress=False)
    assert hits
    tiny.assert_same_outcome(kept, plain)


def test_jax_is_configured_within_the_block_only(home):
    before = configuration()
    with compile_cache():
        assert configuration() == [str(home), LEAST_SECONDS, True]
        with compile_cache(False):  # the outer block has decided
            assert configuration()[0] == str(home)
    assert configuration() == before
    with compile_cache(False):
        assert configuration() == [*before[:2], False]
        with compile_cache():
            assert configuration() == [*before[:2], False]
    assert configuration() == before


def test_the_users_own_cache_stays(home, tmp_path):
    before = configuration()
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "own"))
    try:
        with compile_cache():
            assert configuration() == [str(tmp_path / "own"), *before[1:]]
    finally:
        jax.config.update("jax_compilation_cache_dir", before[0])
    assert not home.exists()


@pytest.mark.parametrize("base", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_is_told_and_does_no_harm(home, tmp_path, monkeypatch, base):
    (tmp_path / "file").write_text("mine")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / base))
    before = configuration()
    work = compile_cache()(configuration)
    with pytest.warns(UserWarning, match="not kept for the next start: .*file.*set XDG_CACHE_HOME"):
        assert work() == before


def test_where_programs_are_kept(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert str(cache_folder("compiled")) == "/home/me/.cache/rl3_jax/compiled"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert str(cache_folder("compiled")) == "/home/me/.cache/rl3_jax/compiled"
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert str(cache_folder("compiled")) == "/elsewhere/rl3_jax/compiled"


def test_what_was_used_least_recently_goes(tmp_path):
    (tmp_path / "below").mkdir()
    for age, name in enumerate(["new", "below/used", "old", "older"]):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age if name != "below/used" else 0))
    prune(tmp_path, 400)
    assert len(tiny.tree(tmp_path)) == 5
    prune(tmp_path, 250)
    assert tiny.tree(tmp_path) == ["below", "below/used", "new"]


def test_a_flag_switches_it_off_for_a_command(home, capsys):
    line = ["describe", "bandit", "--num-tasks", "4"]
    assert main([*line, "--no-compile-cache"]) == 0
    assert not home.exists()
    forget()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(line) == 0
    assert home.exists()


def test_importing_compiles_nothing_and_leaves_jax_as_it_is():
    code = """
import jax, gymnax
before, compiled = dict(jax.config.values), []
def listen(name, *_, **__):
    if "backend_compile" in name:
        compiled.append(name)
jax.monitoring.register_event_duration_secs_listener(listen)
import rl3_jax.cli
assert not compiled, compiled
assert dict(jax.config.values) == before
jax.jit(lambda x: x + 1)(1)
assert compiled
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
