"""What the command does before JAX starts."""

import subprocess
import sys
from unittest import mock

import pytest

from rl3_jax import ConfigError, __main__, overview, startup
from rl3_jax.run.commands import COMMANDS


@pytest.fixture
def typed(monkeypatch):
    """Run a line with nothing behind it; return the exit code and the environment that JAX would see."""
    join, command = mock.Mock(), mock.Mock(return_value=7)
    monkeypatch.setattr(__main__, "join_hosts", join)
    monkeypatch.setattr("rl3_jax.cli.main", command)

    def run(*line, failure=None):
        environment = {}
        join.side_effect = failure
        monkeypatch.setattr(__main__.os, "environ", environment)
        monkeypatch.setattr(__main__.sys, "argv", ["rl3", *line])
        code = __main__.main()
        assert join.call_args == mock.call(list(line))
        assert command.called is (failure is None)
        return code, environment

    return run


def test_commands_that_train_take_each_core_for_a_device(typed):
    for line in (["train", "mdp-h100-quick"], ["resume", "run"], ["sweep", "x"], ["plan", "x"]):
        code, environment = typed(*line)
        assert code == 7
        assert environment["JAX_NUM_CPU_DEVICES"] == str(startup.num_cores())
    assert typed("evaluate", "run") == (7, {})


def test_an_accelerator_to_compile_for_is_not_looked_for(typed):
    assert typed("plan", "x", "--target=h100")[1] == {"JAX_PLATFORMS": "cpu"}


def test_determinism_is_asked_for_before_jax_starts(typed):
    assert startup.DETERMINISTIC in typed("evaluate", "x", "--deterministic")[1]["XLA_FLAGS"]


@pytest.mark.parametrize(("failure", "code"), [(ConfigError("port in use"), 2), (KeyboardInterrupt(), 130)])
def test_without_the_other_processes_nothing_runs(typed, failure, code, capsys):
    assert typed("train", "x", failure=failure)[0] == code
    assert capsys.readouterr().err == ("error: port in use\n" if code == 2 else "")


@pytest.mark.parametrize("line", [[], ["--help"], ["--version"]])
def test_what_the_command_says_of_itself_needs_no_jax(line):
    code = f"""
import sys
from rl3_jax.__main__ import main
sys.argv = ["rl3", *{line}]
assert main() == 0
assert "jax" not in sys.modules
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    assert ("rl3_jax " in ended.stdout) if "--version" in line else ("StableHLO" in ended.stdout)


def test_a_clock_before_1970_is_said(typed, monkeypatch, capsys):
    monkeypatch.setattr(__main__.time, "time", lambda: -1.0)
    monkeypatch.setattr(__main__.sys, "argv", ["rl3", "train", "mdp-h100-quick"])
    assert __main__.main() == 2
    assert "the clock shows a time before 1970" in capsys.readouterr().err


def test_the_overview_has_all_commands():
    assert list(overview.SUMMARIES) == list(COMMANDS)


@pytest.mark.parametrize("module", ["cli", "policies"])
def test_no_plotting_library_is_loaded_before_something_is_plotted(module):
    code = f"""
import sys, rl3_jax.{module}
assert not {{"matplotlib.pyplot", "seaborn", "scipy.stats"}} & set(sys.modules)
import matplotlib.pyplot
from gymnax.environments.misc import rooms
assert rooms.plt.figure is matplotlib.pyplot.figure
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
