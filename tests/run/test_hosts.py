"""Processes that train one run together, over the loopback interface."""

import dataclasses
import json
import random
import shutil
import signal
import socket

import jax
import numpy as np
import pytest

from rl3_jax import Run, resume, train
from rl3_jax.errors import ConfigError
from rl3_jax.run import hosts
from rl3_jax.run.folder import RunFolder
from rl3_jax.startup import join_hosts
from rl3_jax.training import EvaluationConfig
from rl3_jax.training.serialise import to_dict
from tests.ports import free_port
from tests.run import tiny
from tests.run.processes import Process
from tests.run.test_kill import lines_written

CONFIG = tiny.vary(iterations=60, checkpoint_every=3, evaluation=EvaluationConfig(every=7, num_tasks=4))
FAR = 1e-4
"""Parameters of runs on one process and on two differ by less: sums are taken in another order."""


def start(path, name, *, number=2, port=None, rest=lambda _: ()):
    """Start the processes of a run."""
    port = port or free_port()
    return [
        Process(
            *("train", "--config", path / "config.json", "--out", path / name, *joining(port, number, place)),
            *rest(place),
            cache=path / "cache",
        )
        for place in range(number)
    ]


def joining(port, number, place):
    return ["--coordinator", f"127.0.0.1:{port}", "--num-processes", number, "--process-id", place]


def go_on(path, *arguments, number=2, environment=None):
    """Resume a run in so many processes; returns it."""
    port, cache = free_port(), path.parent / "cache"
    processes = [
        Process("resume", path, *arguments, *joining(port, number, x), cache=cache, environment=environment)
        for x in range(number)
    ]
    for code, output in [process.finish() for process in processes]:
        assert code == 0, output
    return Run(path)


def far(one, other):
    """How far the parameters of two runs are from each other."""
    params = [jax.tree.leaves(tiny.final_state(run.path).learnt.params) for run in (one, other)]
    return max(float(np.abs(x - y).max()) for x, y in zip(*params, strict=True))


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    """A folder with a configuration and a cache, and the run of two processes that nobody disturbs."""
    path = tmp_path_factory.mktemp("hosts")
    (path / "config.json").write_text(json.dumps(to_dict(CONFIG)))
    outputs = [process.finish() for process in start(path, "undisturbed")]
    for code, output in outputs:
        assert code == 0, output
    assert "the agent is in" in outputs[0][1]
    assert "iteration" not in outputs[1][1]  # one tells of it
    return path, Run(path / "undisturbed")


def test_two_processes_learn_what_one_learns(arena, tmp_path):
    _, run = arena
    assert far(run, train(CONFIG, tmp_path / "alone", progress=False)) < FAR
    assert len(run.metrics) == CONFIG.iterations
    assert RunFolder(run.path).read().device["processes"] == 2
    assert run.evaluate(num_tasks=4)["iteration"] == CONFIG.iterations


@pytest.mark.slow
def test_a_signal_to_one_stops_all_at_one_iteration_and_they_go_on_as_if_they_had_not(arena):
    path, undisturbed = arena
    folder = RunFolder(path / "stopped")
    processes = start(path, "stopped")
    processes[0].wait_until(lines_written(folder, 1))
    processes[1].stop(signal.SIGTERM)
    for code, output in [process.finish() for process in processes]:
        assert code == 128 + signal.SIGTERM, output
    assert 0 < len(Run(folder.path).metrics) < CONFIG.iterations
    tiny.assert_same_outcome(undisturbed, go_on(folder.path))


@pytest.mark.slow
@pytest.mark.parametrize("moment", range(10))
def test_if_one_is_killed_the_other_stops_and_one_alone_goes_on(arena, moment):
    path, undisturbed = arena
    folder, lost = RunFolder(path / f"lost-{moment}"), moment % 2
    processes = start(path, folder.path.name)
    processes[0].wait_until(lines_written(folder, random.Random(moment).randrange(1, CONFIG.iterations)))
    processes[lost].stop(signal.SIGKILL)
    code, output = processes[1 - lost].finish(timeout=60.0)
    if lost == 1:
        assert code == 1, output
        assert "stopped: " in output
        assert "rl3 resume goes on from the last checkpoint" in output
        assert "Traceback" not in output
    else:  # JAX ends those that the first process has left, within C++
        assert code != 0
        assert "another task died" in output or "rl3 resume goes on" in output
    assert far(undisturbed, resume(folder.path, progress=False)) < FAR


WIDE = dataclasses.replace(
    CONFIG,
    iterations=20,
    ppo=dataclasses.replace(CONFIG.ppo, trials=16, minibatch_trials=8),
    evaluation=EvaluationConfig(),
)
"""Trials enough for eight devices."""


def train_wide(path, name, *, devices=1, processes=1):
    """Start the wide run, on fake devices of each process; returns it once it is over."""
    environment = {"JAX_NUM_CPU_DEVICES": str(devices)}
    line = ["train", "--config", path / "wide.json", "--out", path / name]
    port = free_port()
    started = [
        Process(
            *line,
            *(joining(port, processes, place) if processes > 1 else ()),
            cache=path / "cache",
            environment=environment,
        )
        for place in range(processes)
    ]
    for code, output in [process.finish(timeout=300.0) for process in started]:
        assert code == 0, output
    run = Run(path / name)
    assert RunFolder(run.path).read().device["count"] == devices * processes
    return run


@pytest.mark.slow
def test_all_numbers_of_devices_and_processes_learn_the_same(tmp_path):
    (tmp_path / "wide.json").write_text(json.dumps(to_dict(WIDE)))
    one = train_wide(tmp_path, "alone")
    for devices in (2, 4, 8):
        assert far(one, train_wide(tmp_path, f"devices-{devices}", devices=devices)) < FAR
    for processes in (2, 4):
        assert far(one, train_wide(tmp_path, f"processes-{processes}", processes=processes)) < FAR
    # And if the number changes on the way.
    longer = Run(shutil.copytree(one.path, tmp_path / "longer"))
    resume(longer.path, 50, progress=False)
    changing = Run(shutil.copytree(tmp_path / "devices-4", tmp_path / "changing"))
    cache, four = tmp_path / "cache", {"JAX_NUM_CPU_DEVICES": "4"}
    resume(changing.path, 30, progress=False)
    go_on(changing.path, "--iterations", 40, environment={"JAX_NUM_CPU_DEVICES": "1"})
    last = Process("resume", changing.path, "--iterations", 50, "--devices", 4, cache=cache, environment=four)
    code, output = last.finish()
    assert code == 0, output
    assert "2 × cpu of 2 processes -> 4 × cpu" in " ".join(output.split())
    assert far(longer, changing) < FAR


@pytest.mark.slow
def test_under_slurm_processes_find_each_other(arena):
    path, undisturbed = arena
    job = {
        "SLURM_JOB_ID": "1",
        "JAX_COORDINATOR_PORT": str(free_port()),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
    }
    line = ["train", "--config", path / "config.json", "--out", path / "slurm", "--coordinator", "auto"]
    processes = [
        Process(
            *line,
            cache=path / "cache",
            environment=job | {"SLURM_PROCID": str(place), "SLURM_LOCALID": str(place)},
        )
        for place in range(2)
    ]
    for code, output in [process.finish() for process in processes]:
        assert code == 0, output
    tiny.assert_same_outcome(undisturbed, Run(path / "slurm"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (lambda place, _: ("--seed", place), "the processes differ in their arguments"),
        (lambda place, _: ("--devices", 2) if place else (), "the processes differ in their arguments"),
        (lambda place, path: ("--out", path / f"own-{place}"), "own-1"),
        (lambda _, __: ("--num-seeds", 2), "several processes train one run at a time"),
        (lambda place, _: ("--plugin", "nowhere.to_be_found") if place else (), "nowhere"),
    ],
)
def test_what_processes_do_not_agree_on_is_refused(arena, tmp_path, rest, message):
    path, _ = arena
    processes = start(path, "different", rest=lambda place: rest(place, tmp_path))
    for code, output in [process.finish(timeout=60.0) for process in processes]:
        assert code == 2, output
        assert message in output
        assert "Traceback" not in output
    assert not (path / "different" / "metrics.jsonl").exists()


@pytest.mark.slow
def test_processes_that_resume_to_different_iterations_are_refused(arena):
    path, undisturbed = arena
    port = free_port()
    processes = [
        Process(
            "resume", undisturbed.path, "--iterations", 70 + x, *joining(port, 2, x), cache=path / "cache"
        )
        for x in range(2)
    ]
    for code, output in [process.finish(timeout=60.0) for process in processes]:
        assert code == 2, output
        assert "the processes differ in their arguments" in output
    assert len(undisturbed.metrics) == CONFIG.iterations


@pytest.mark.slow
def test_a_plan_is_made_by_one(arena):
    path, _ = arena
    port = free_port()
    line = ["plan", "--config", path / "config.json"]
    processes = [Process(*line, *joining(port, 2, place), cache=path / "cache") for place in range(2)]
    for code, output in [process.finish(timeout=60.0) for process in processes]:
        assert code == 2, output
        assert "rl3 plan takes one process" in output


@pytest.mark.slow
def test_what_one_cannot_do_none_does(arena):
    """The folder is there already, which the first process alone looks at."""
    path, undisturbed = arena
    for code, output in [process.finish(timeout=60.0) for process in start(path, undisturbed.path.name)]:
        assert code == 2
        assert "already holds a run" in output


@pytest.mark.slow
@pytest.mark.parametrize("taken", [False, True])
def test_a_coordinator_that_cannot_be_reached_or_a_port_in_use_is_named(arena, taken):
    path, _ = arena
    with socket.create_server(("", 0)) as other:
        port = other.getsockname()[1] if taken else free_port()
        first, second = start(path, "none", port=port)
        if not taken:
            first.stop(signal.SIGKILL)
        code, output = second.finish(timeout=60.0)
        assert code == 2
        assert f"127.0.0.1:{port}" in output
        assert "Traceback" not in output
        code, output = first.finish(timeout=60.0)
        if taken:
            assert code == 2
            assert f"cannot listen at port {port}" in output
    assert not (path / "none").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--coordinator", "here:1"],
        ["--coordinator", "here:1", "--num-processes", "2"],
        ["--num-processes", "2", "--process-id", "0"],
        ["--coordinator", "here:1", "--num-processes", "two", "--process-id", "0"],
        ["--coordinator", "auto", "--process-id", "0"],
    ],
)
def test_half_of_what_is_needed_is_refused(arguments):
    with pytest.raises(ConfigError, match="give --coordinator HOST:PORT, --num-processes N and"):
        join_hosts(arguments)


def test_a_process_that_is_alone_joins_nobody():
    join_hosts(["train", "mdp-h100-quick"])
    assert jax.process_count() == 1


def test_what_goes_wrong_in_one_process_is_raised_in_all(monkeypatch):
    """The other process is made up here."""
    others, gathered = [], []

    def gather(text):
        gathered.append(json.loads(bytes(text)))
        other = json.dumps(others).encode().ljust(hosts.TEXT_BYTES)
        return np.stack([text, np.frombuffer(other, np.uint8)])

    monkeypatch.setattr(hosts, "alone", lambda: False)
    monkeypatch.setattr(hosts.multihost_utils, "process_allgather", gather)
    with hosts.together():
        pass
    with pytest.raises(KeyError, match="mine"), hosts.together():
        raise KeyError("mine")
    with pytest.raises(SystemExit), hosts.together():
        raise SystemExit(2)
    assert gathered == [[], ["process 0 failed: KeyError: 'mine'"], ["process 0 failed: SystemExit: 2"]]
    others.append("process 1 failed")
    with pytest.raises(ConfigError, match=r"^mine\nprocess 1 failed$"), hosts.together():
        raise ConfigError("mine")
    with pytest.raises(ConfigError, match=r"^process 1 failed$"), hosts.together():
        pass
    with pytest.raises(ConfigError, match="xxx"), hosts.together():
        raise ConfigError(["x" * hosts.TEXT_BYTES, "y"])
