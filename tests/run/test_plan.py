"""What a run takes, and that what cannot fit is refused before it starts."""

import dataclasses
import json
import types

import pytest

from rl3_jax import plan, train
from rl3_jax.cli import main
from rl3_jax.errors import ConfigError
from rl3_jax.policies.linear_attention import LinearAttention
from rl3_jax.policies.transformer import Transformer
from rl3_jax.presets import make_config, vary
from rl3_jax.run import loop, machine, planning, program, tables
from rl3_jax.run.folder import newest_iteration
from rl3_jax.run.machine import available_bytes, refuse_what_cannot_fit
from rl3_jax.training.plan import num_bytes
from tests.run import tiny

LINE = ["bandit-h100-quick", "--policy", "markov", "--horizon", "10", "--iterations", "3"]
LINE += ["--ppo.trials", "8", "--ppo.minibatch-trials", "4", "--ppo.epochs", "2", "--evaluation.every", "0"]
SMALL = {"trials": 8, "minibatch_trials": 4, "epochs": 2}


def short_of(monkeypatch, number):
    """Let there be so many bytes of memory."""
    monkeypatch.setattr(machine, "available_bytes", lambda: number)


def test_a_plan_tells_sizes_and_times_and_its_program_is_the_runs(tmp_path):
    found = plan(tiny.CONFIG)
    sizes, seconds = found["bytes"], found["seconds"]
    assert (found["steps_per_iteration"], found["iterations"]) == (80, 12)
    assert sizes["available"] > sizes["program"] > sizes["parameters"] + sizes["optimiser"]
    assert sizes["trajectory"] > 80 * 4 * 5
    assert seconds["run"] == pytest.approx(12 * seconds["iteration"])
    assert found["steps_per_second"] == pytest.approx(80 / seconds["iteration"])
    compiled = program.compile_steps.cache_info().misses
    train(tiny.CONFIG, tmp_path, progress=False)
    assert program.compile_steps.cache_info().misses == compiled
    assert plan(tiny.CONFIG, probe=False)["seconds"]["iteration"] is None


@pytest.mark.parametrize(
    ("part", "compiled", "fields"),
    [
        (
            "parameters",
            False,
            r"ppo.trials \(8\), horizon \(10\), policy.width \(\d+\) or the sizes of policy.core$",
        ),
        (
            "program",
            True,
            r"ppo.trials \(8\) or ppo.minibatch_trials \(4\), or set ppo.part_steps, or set ppo.seg",
        ),
    ],
)
def test_what_cannot_fit_is_refused_before_anything_is_allocated(monkeypatch, capsys, part, compiled, fields):
    def allocate(*args):
        raise AssertionError

    sizes = plan(tiny.CONFIG, probe=False)["bytes"]
    monkeypatch.setattr("rl3_jax.training.init", allocate)
    short_of(monkeypatch, sizes[part] - 1)
    with pytest.raises(ConfigError, match=r"at least .* kB .*lower " + fields):
        plan(tiny.CONFIG, progress=True)
    assert ("compiling" in capsys.readouterr().err) == compiled


@pytest.mark.parametrize(
    "changes",
    [
        {"horizon": 2**30},
        {"policy.width": 2**30},
        {"ppo.trials": 2**30, "ppo.minibatch_trials": 2**29},
        {"policy.core": Transformer(feed_forward=2**30)},
    ],
    ids=str,
)
def test_what_no_machine_can_hold_is_refused_before_it_is_compiled(monkeypatch, tmp_path, changes):
    monkeypatch.setattr(loop, "compile_chunk", lambda *args: pytest.fail("it is compiled"))
    for out in (None, tmp_path / "run"):
        with pytest.raises(ConfigError, match="training needs at least"):
            train(vary(tiny.CONFIG, changes), out, progress=False)
    assert tiny.tree(tmp_path / "run") == []


def test_sizes_that_are_close_are_told_apart(monkeypatch):
    short_of(monkeypatch, 1_160_000_000)
    with pytest.raises(ConfigError, match=r"at least 1\.24 GB of memory, and 1\.16 GB are available"):
        refuse_what_cannot_fit(tiny.CONFIG, {"state": 1_240_000_000})


def test_a_run_that_cannot_fit_leaves_an_empty_folder(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        short_of(patch, 20_000)
        with pytest.raises(ConfigError, match=r"20\.00 kB are available"):
            train(tiny.CONFIG, tmp_path / "run", progress=False)
    assert tiny.tree(tmp_path / "run") == []
    assert len(train(tiny.CONFIG, tmp_path / "run", progress=False).metrics) == 12


def test_a_run_that_cannot_fit_replaces_no_other(monkeypatch, tmp_path):
    train(tiny.CONFIG, tmp_path, progress=False)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    short_of(monkeypatch, 20_000)
    with pytest.raises(ConfigError, match=r"20\.00 kB are available"):
        train(tiny.vary(seed=1), tmp_path, overwrite=True, progress=False)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_run_that_replaces_another_is_asked_once_whether_it_fits(monkeypatch, tmp_path):
    train(tiny.CONFIG, tmp_path, progress=False)
    enough = plan(tiny.CONFIG, probe=False)["bytes"]["program"]
    # Each time it is asked, less is free: what there is before a run, and what its state leaves of that.
    left = iter([enough, enough, 0])
    monkeypatch.setattr(machine, "available_bytes", lambda: next(left))
    monkeypatch.setattr(planning, "available_bytes", lambda: None)
    assert len(train(tiny.vary(seed=1), tmp_path, overwrite=True, progress=False).metrics) == 12


def test_a_state_that_is_held_is_not_asked_for_again(monkeypatch, tmp_path):
    sizes = plan(tiny.CONFIG, probe=False)["bytes"]
    short_of(monkeypatch, sizes["program"] - sizes["parameters"] - sizes["optimiser"])
    assert len(train(tiny.CONFIG, tmp_path, progress=False).metrics) == 12


@pytest.mark.parametrize(
    ("core", "hyper", "text"),
    [
        ("gru", {}, r"set ppo.segment_length to a divisor of the horizon \(10\)$"),
        ("gru", {"segment_length": 5}, r"ppo.segment_length \(5\)$"),
        ("gru", {"part_steps": 40}, r"ppo.part_steps \(40\), or set ppo.segment_length to a divisor"),
        ("transformer", {}, r"horizon \(10\), or set policy.core.remat=true$"),
        (Transformer(remat=True), {}, r"horizon \(10\)$"),
        (LinearAttention(), {}, r"a divisor of the horizon \(10\), or set policy.core.remat=true$"),
    ],
)
def test_the_fields_to_lower_are_those_of_the_run(monkeypatch, core, hyper, text):
    name = core if isinstance(core, str) else core.core
    config = make_config("bandit-h100-quick", policy=name, horizon=10, ppo=hyper)
    if not isinstance(core, str):
        config = dataclasses.replace(config, policy=dataclasses.replace(config.policy, core=core))
    short_of(monkeypatch, 10)
    with pytest.raises(ConfigError, match=r"ppo.minibatch_trials \(\d+\), or .*" + text):
        refuse_what_cannot_fit(config, {"program": 11, "evaluation": 9})


def test_an_evaluation_that_cannot_fit_is_refused(monkeypatch, tmp_path):
    evaluation = {"every": 5, "num_tasks": 600}
    config = make_config("bandit-h100-quick", policy="gru", horizon=2, evaluation=evaluation, ppo=SMALL)
    sizes = plan(config, probe=False)["bytes"]
    assert sizes["evaluation"] == 500 * num_bytes(config.network.initial_carry())
    assert plan(tiny.CONFIG, probe=False)["bytes"]["evaluation"] == 0  # no memory
    monkeypatch.setattr(program, "program_bytes", lambda *args, **options: 1)
    text = r"lower evaluation.num_tasks \(600\) below 500, horizon \(2\) or policy.width"
    short_of(monkeypatch, sizes["parameters"] + sizes["optimiser"] + sizes["evaluation"] - 1)
    with pytest.raises(ConfigError, match=text):
        plan(config, probe=False)
    short_of(monkeypatch, sizes["evaluation"] - 1)  # beside the state
    with pytest.raises(ConfigError, match=text):
        train(config, tmp_path, progress=False)


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
        assert "20.00 kB are available" in capsys.readouterr().err


def test_what_a_program_for_a_target_does_is_printed(capsys):
    step = {
        "kernels": 21,
        "conditionals": 1,
        "open_loops": 2,
        "collectives": 4,
        "flops": 1622016,
        "bytes": 2048,
    }
    found = {
        "device": {"platform": "gpu", "kind": "H100", "count": 2},
        "parameters": 12678,
        "iterations": 400,
        "steps_per_iteration": 12800,
        "bytes": dict.fromkeys(tables.PLANNED_SIZES, None),
        "seconds": {"compile": 2.0, "iteration": None, "run": None},
        "steps_per_second": None,
        "costs": {"rollout_step": step},
    }
    tables.print_plan(found)
    row = next(line for line in capsys.readouterr().out.splitlines() if "rollout step" in line)
    assert row.split()[2:] == ["21", "3", "4", "1,622,016", "2.05", "kB"]
    tables.print_plan(found | {"costs": {}})
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.endswith("were not found in the program, so nothing is counted")


def test_memory_that_is_available(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    assert available_bytes() is None
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   8 kB\n")
    assert available_bytes() == 8 * 1024
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert available_bytes() == 8 * 1024
    (tmp_path / "memory.max").write_text("4000\n")
    assert available_bytes() == 3000
    # Caches of files are given back when memory is asked for; what is kept in a tmpfs is not.
    (tmp_path / "memory.stat").write_text(
        "anon 300\nfile 700\nshmem 100\ninactive_file 400\nactive_file 200\n"
    )
    assert available_bytes() == 3600
    (tmp_path / "memory.current").write_text("500\n")  # read before the caches grew
    assert available_bytes() == 4000


def test_of_an_accelerator_what_is_in_use_is_not_available(monkeypatch):
    device = types.SimpleNamespace(
        platform="gpu", memory_stats=lambda: {"bytes_limit": 100, "bytes_in_use": 30}
    )
    monkeypatch.setattr(machine.jax, "local_devices", lambda: [device])
    assert available_bytes() == 70


def test_only_a_run_without_a_checkpoint_goes_with_its_error(monkeypatch, tmp_path):
    def fail(*args):
        raise ConfigError("the logger has had enough")

    monkeypatch.setattr(loop, "held_out_figures", fail)  # after 5 iterations, and a checkpoint after 4
    for every, left in [(4, 4), (10, None)]:
        config, path = tiny.vary(checkpoint_every=every), tmp_path / str(every)
        with pytest.raises(ConfigError, match="had enough"):
            train(config, path, progress=False)
        assert (tiny.tree(path) == []) == (left is None)
        if left is not None:
            assert newest_iteration(path / "checkpoints") == left
            assert (path / "metrics.jsonl").exists()
