"""The command line: what it prints, and each mistake a user can make."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys

import jax
import pytest

from rl3_jax import CORES, PRESETS
from rl3_jax.cli import main, parse
from rl3_jax.presets import method_name
from rl3_jax.run import folder as run_folder
from rl3_jax.run import hosts, loop
from rl3_jax.run.commands import COMMANDS, Train
from rl3_jax.training.serialise import to_dict
from tests.run import tiny

TINY = ["--policy", "markov", "--horizon", "10", "--iterations", "3", "--ppo.trials", "8"]
TINY += ["--ppo.minibatch-trials", "4", "--ppo.epochs", "2", "--evaluation.every", "0"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder to run in: with a file, a folder that is no run, and one that is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text('{"lr": 1}')
    run_folder.create(tmp_path / "run", tiny.CONFIG, log=None)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "wrong.json").write_text('{"horizn": 1, "horizon": 0}')
    return tmp_path


BAD_INPUT = [
    ("train", ["name a preset", *PRESETS]),
    ("train maze-h100", ["unknown preset 'maze-h100'", *PRESETS]),
    ("train mdp-h100 --policy lstm", ["unknown policy 'lstm'", *CORES]),
    ("train mdp-h100 --policy=lstm", ["unknown policy 'lstm'", *CORES]),
    ("train mdp-h100 --method rl4", ["unknown method 'rl4'", "rl2, rl3"]),
    ("train mdp-h100 --learner sarsa", ["unknown learner 'sarsa'", "model-based, q-learning"]),
    ("train mdp-h100 --abstraction has", ["unknown abstraction 'has'", "hash, identity, tiling"]),
    (
        "train gridworld-11x11-quick --method rl3-coarse --abstraction hash",
        [
            "method rl3-coarse with learner model-based does not go with abstraction hash",
            "leave one of them out",
        ],
    ),
    (
        "train gridworld-11x11-quick --method rl3 --abstraction clusters",
        ["method rl3", "abstraction clusters"],
    ),
    ("train mdp-h100 --method rl2 --abstraction coordinates", ["method rl2", "abstraction coordinates"]),
    ("train mdp-h100 --abstraction coordinates", ["abstraction is coordinates", "use identity"]),
    ("train mdp-h100 --log paper", ["unknown logger 'paper'", "tensorboard, trackio, wandb"]),
    ("train mdp-h100 --task.variation odd", ["unknown task.variation 'odd'", "default, ood"]),
    (
        "train gridworld-11x11-quick --method rl3-coarse --task.variation 12x12",
        ["unknown task.variation '12x12'", "13x13-dense"],
    ),
    ("train mdp-h100 --method rl3-coarse", ["abstraction is clusters", "use method rl3"]),
    ("train mdp-h100 --learner r-max", ["r-max knows the rules of gridworld", "choose learner model-based"]),
    ("train gridworld-11x11-long --method rl3-coarse", ["r-max knows the rules of gridworld"]),
    ("train mdp-h100 --task.states 1000", ["1,000 states", "use fewer states, bins or tiles"]),
    (
        "train point-robot-h100-quick --learner model-based --task.action-bins 3 3 3 --abstraction.bins 7",
        ["action_bins has 3 numbers", "an action of point-robot has 2 dimensions"],
    ),
    (
        "train point-robot-h100-quick --learner model-based --abstraction.bins 7",
        ["abstraction.bins has 1 number", "2 coordinates"],
    ),
    ("train mdp-h100 --horizon 0", ["horizon is 0", "at least 1"]),
    ("train mdp-h100 --ppo.minibatch-trials 40", ["minibatch_trials is 40", "divisors are 1, 2, 4, 8, 41"]),
    ("train mdp-h100 --ppo.learning-rate nan", ["ppo.learning_rate is nan"]),
    ("train mdp-h100 --seed -1", ["seed is -1", "at least 0 and below 4294967296"]),
    ("train mdp-h100 --out run", ["run already holds a run", "rl3 resume run", "--overwrite"]),
    ("train mdp-h100 --out other", ["other is not empty and not a run folder"]),
    ("train mdp-h100 --out other --overwrite", ["other is not empty and not a run folder"]),
    ("train mdp-h100 --out file", ["file is a file"]),
    ("train mdp-h100 --out file/sub/run", ["cannot write file/sub/run", "is a file"]),
    ("train --config missing.json", ["cannot read missing.json", "No such file"]),
    ("train --config broken.json", ["broken.json is not valid JSON"]),
    ("train --config wrong.json", ["unknown field 'horizn'", "horizon is 0"]),
    ("train mdp-h100 --config run/config.json", ["either the preset mdp-h100 or --config run/config.json"]),
    (
        "train maze --policy lstm --horizon 0 --ppo.epochs 0 --out file",
        ["'maze'", "'lstm'", "horizon is 0", "ppo.epochs is 0", "file is a file"],
    ),
    ("train --out mdp-h512", ["name a preset", *PRESETS]),
    ("train gridworld-11x11-quik --task.attempts 5", ["unknown preset 'gridworld-11x11-quik'"]),
    ("train --config broken.json --task.attempts 5", ["broken.json is not valid JSON"]),
    ("train mdp-h100 --policy lstm --policy.core.scan auto", ["unknown policy 'lstm'"]),
    ("plan", ["name a preset", *PRESETS]),
    ("plan mdp-h100 --horizon 0 --json file/x.json", ["horizon is 0", "cannot write file/x.json"]),
    ("resume", ["at least one run folder"]),
    ("resume missing", ["missing is not a run folder"]),
    ("resume other", ["other is not a run folder"]),
    ("resume run --iterations 0", ["iterations is 0"]),
    ("evaluate other --num-tasks 1", ["other is not a run folder", "num_tasks is 1"]),
    ("evaluate run", ["run holds no agent"]),
    ("baselines maze --horizon 0", ["unknown family 'maze'", "bandit, ", "gridworld, mdp", "horizon is 0"]),
    ("baselines bandit --variation odd --seed -1", ["unknown variation 'odd'", "seed is -1"]),
    ("evaluate other --num-tasks 2000000", ["num_tasks is 2000000; it must be between 2 and 1000000"]),
    (
        "train mdp-h100 --policy mingru --policy.core.layers 101",
        ["between 1 and 100 (each is compiled by itself)"],
    ),
    ("describe maze --num-tasks 1", ["unknown family 'maze'", "num_tasks is 1"]),
    ("describe gridworld --variation 12x12", ["unknown variation '12x12'", "13x13-dense"]),
    ("baselines bandit --num-arms 0", ["num_arms is 0"]),
    ("baselines mdp --num-arms 3", ["unknown field of family mdp 'num_arms'"]),
    ("baselines bandit --names ucb1 ucb2", ["unknown baseline 'ucb2'", "gittins"]),
    ("baselines bandit --prior-reward 0", ["no baseline of bandit has a prior mean"]),
    ("baselines bandit --json file/x.json", ["cannot write file/x.json", "file is a file"]),
    ("compare", ["at least one run folder"]),
    ("report", ["at least one folder with result files"]),
    ("train --overwrite maze", ["unknown preset 'maze'"]),
    ("train --config run/config.json maze", ["unknown preset 'maze'", "either the preset maze or --config"]),
    (
        "baselines mdp --variation odd --num-arms 3 --horizon 0",
        ["unknown variation 'odd'", "unknown field of family mdp 'num_arms'", "horizon is 0"],
    ),
    ("compare other missing", ["other is not a run folder", "missing is not a run folder"]),
]


@pytest.mark.parametrize(("line", "expected"), BAD_INPUT, ids=[line for line, _ in BAD_INPUT])
def test_bad_input_is_named_and_nothing_is_written(here, capsys, line, expected):
    before = tiny.tree(here)
    assert main(line.split()) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert all(problem.startswith("error: ") for problem in printed.err.splitlines())
    for text in expected:
        assert text in printed.err
    assert tiny.tree(here) == before


UNREADABLE = [
    ("trian", ["trian", "baselines, compare", "describe, report, watch"]),
    ("train mdp-h100 --ppo.lr 1", ["--ppo.lr"]),
    ("train mdp-h100 --horizn=1", ["--horizn", "--horizon INT"]),
    ("train mdp-h100 --task.num-arms 1", ["--task.num-arms"]),
    ("train mdp-h100 --features.no-count", ["--features.no-count", "--features.no-counts"]),
    ("train mdp-h100 stray", ["stray"]),
    ("train mdp-h100 --horizon ten", ["--horizon", "'ten'"]),
    ("train mdp-h100 --horizon 0 --seed", ["--seed"]),
    ("resume run --out x", ["--out"]),
]


@pytest.mark.parametrize(("line", "expected"), UNREADABLE, ids=[line for line, _ in UNREADABLE])
def test_an_argument_that_cannot_be_read_is_named(here, capsys, line, expected):
    """The message is tyro's."""
    before = tiny.tree(here)
    with pytest.raises(SystemExit) as stop:
        main(line.split())
    assert stop.value.code == 2
    printed = re.sub(r"[\s│]+", " ", capsys.readouterr().err)
    for text in expected:
        assert text in printed
    assert tiny.tree(here) == before


def test_for_a_wrong_option_those_of_the_command_alone_are_proposed(here, capsys):
    with pytest.raises(SystemExit):
        main(["train", "mdp-h100-quick", "--iteratoins", "5"])
    printed = capsys.readouterr().err
    assert "--iterations INT" in printed
    assert "rl3 train --help" in printed
    assert not any(f"rl3 {name}" in printed for name in COMMANDS if name != "train")


@pytest.mark.parametrize(
    "line", ["", "--help", "train --help", "train bandit-h100 --help", "plan --help", "compare --help"]
)
def test_help_is_there_for_each_step(here, capsys, line):
    with pytest.raises(SystemExit) as stop:
        main(line.split())
    assert stop.value.code == 0
    assert "usage: rl3" in capsys.readouterr().out


def test_help_shows_the_values_of_the_preset(here, capsys):
    with pytest.raises(SystemExit):
        main(["train", "bandit-h512", "--learner", "q-learning", "--abstraction", "hash", "--help"])
    printed = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    assert "trial length H, steps. (default: 512)" in printed
    assert "--task.num-arms" in printed
    assert "--learner.step-exponent" in printed
    assert "--abstraction.rows" in printed


def test_options_may_come_before_the_preset():
    command = parse(
        ["train", "--features.no-counts", "--seed", "-0", "--ppo.epochs=3", "mdp-h512", "--horizon", "9"]
    )
    assert isinstance(command, Train)
    assert command.preset == "mdp-h512"
    assert not command.settings.features.counts
    assert (command.settings.ppo.epochs, command.settings.ppo.trials, command.settings.horizon) == (3, 64, 9)


@pytest.mark.parametrize(
    ("line", "preset", "family"),
    [
        ("--out mdp-h512 bandit-h100-quick", "bandit-h100-quick", "bandit"),
        ("--out mdp-h512 gridworld-11x11-quick --task.attempts 5", "gridworld-11x11-quick", "gridworld"),
        ("bandit-h100-quick --out mdp-h512", "bandit-h100-quick", "bandit"),
    ],
)
def test_the_value_of_an_option_is_not_taken_for_the_preset(here, line, preset, family):
    command = parse(["train", *line.split()])
    assert isinstance(command, Train)
    assert (command.preset, command.settings.task.family) == (preset, family)


def test_two_dashes_end_nothing():
    command = parse(["train", "mdp-h100-quick", "--", "--policy", "gru"])
    assert isinstance(command, Train)
    assert command.settings.policy.core.core == "gru"


def test_what_is_typed_twice_counts_as_typed_last(here):
    twice = "--method rl2 --method rl3 --policy markov --policy=gru"
    command = parse(["train", "mdp-h100", *twice.split()])
    assert isinstance(command, Train)
    assert (command.method, method_name(command.settings)) == ("rl3", "rl3")
    assert command.settings.policy.core.core == command.policy == "gru"


def test_features_of_ones_own_from_a_file_may_be_made_a_methods(here):
    data = to_dict(tiny.CONFIG)
    data["features"]["advantages"] = False
    (here / "custom.json").write_text(json.dumps(data))
    command = parse(["train", "--config", "custom.json", "--features.advantages"])
    assert isinstance(command, Train)
    assert method_name(command.settings) == "rl3"
    assert method_name(parse(["train", "--config", "custom.json"]).settings) == "custom"


def test_help_into_a_reader_that_has_gone_is_quiet():
    read, write = os.pipe()
    os.close(read)
    line = [sys.executable, "-m", "rl3_jax", "train", "--help"]
    done = subprocess.run(line, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_list_names_everything(capsys):
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for name in (*PRESETS, "bandit", "ood", "rl2", "rl3", "markov", "gru", "model-based", "q-learning"):
        assert name in printed


def test_train_evaluate_and_resume(here, capsys):
    assert main(["train", "bandit-h100-quick", *TINY, "--seed", "4"]) == 0
    path = "runs/bandit-h100-quick-rl3-markov-seed4"
    assert f"rl3 evaluate {path}" in capsys.readouterr().out
    config = run_folder.RunFolder(here / path).read().config
    assert (config.seed, config.horizon, config.ppo.trials) == (4, 10, 8)
    assert main(["evaluate", path, "--num-tasks", "4", "--no-baselines", "--json", "results/x.json"]) == 0
    assert "rl3-markov" in capsys.readouterr().out
    assert json.loads((here / "results/x.json").read_text())["num_tasks"] == 4
    assert main(["resume", path]) == 0
    assert "is complete: 3 iterations" in "".join(capsys.readouterr())
    assert main(["resume", path, "--iterations", "2"]) == 2
    assert "iterations is 2, but 3 are done" in capsys.readouterr().err


def test_a_config_file_trains_the_same_run(here):
    data = to_dict(tiny.vary(iterations=2))
    (here / "mine.json").write_text(json.dumps(data))
    assert main(["train", "--config", "mine.json", "--out", "a"]) == 0
    assert main(["train", "--config", "a/config.json", "--out", "b"]) == 0
    agents = [(here / name / "agent" / "actor.safetensors").read_bytes() for name in "ab"]
    assert agents[0] == agents[1]


def test_baselines_are_tabulated_and_written(here, capsys):
    line = "baselines bandit --num-arms 2 --horizon 10 --num-tasks 8 --json b.json"
    assert main(line.split()) == 0
    assert "clairvoyant" in capsys.readouterr().out
    names = [entry["name"] for entry in json.loads((here / "b.json").read_text())["results"]]
    assert {"random", "thompson", "ucb1", "clairvoyant"} <= set(names)
    assert main([*line.split(), "--names", "ucb1", "random"]) == 0
    names = [entry["name"] for entry in json.loads((here / "b.json").read_text())["results"]]
    assert names == ["random", "ucb1"]


def test_a_run_that_breaks_exits_with_1(here, capsys, monkeypatch):
    monkeypatch.setattr(loop, "params_finite", lambda state: False)
    assert main(["train", "bandit-h100-quick", *TINY]) == 1
    assert "not finite; no checkpoint had been saved" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (
            jax.errors.JaxRuntimeError("INTERNAL: connection closed"),
            "stopped: INTERNAL: connection closed. If",
        ),
        (ValueError("UNKNOWN: Gloo AllGather failed"), "stopped: UNKNOWN: Gloo AllGather failed. If"),
        (ValueError("not of the runtime"), "Traceback"),
    ],
)
def test_of_several_processes_one_that_fails_ends_at_once(error, shown, here, capsys, monkeypatch):
    """At a usual end JAX would wait for the others."""

    def fail(*_, **__):
        raise error

    monkeypatch.setattr(Train, "run", fail)
    with pytest.raises(type(error)):
        main(["train", "bandit-h100-quick"])
    monkeypatch.setattr(hosts, "alone", lambda: False)
    monkeypatch.setattr(hosts, "together", contextlib.nullcontext)
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit, match="1"):
        main(["train", "bandit-h100-quick"])
    output = capsys.readouterr().err
    assert shown in output
    assert "rl3 resume goes on from the last checkpoint" in output
    assert ("Traceback" in output) == (shown == "Traceback")
