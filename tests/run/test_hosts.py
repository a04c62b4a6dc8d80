"""Processes that train one run together, over the loopback interface."""

import json
import shutil
import signal
import socket

import jax
import numpy as np
import pytest

from rl3_jax.errors import ConfigError
from rl3_jax.run import Run, resume
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


def go_on(path, *arguments, number=2):
    """Resume a run in so many processes; returns it."""
    port = free_port()
    processes = [
        Process("resume", path, *arguments, *joining(port, number, place), cache=path.parent / "cache")
        for place in range(number)
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
    path, run = arena
    alone = Process(
        "train", "--config", path / "config.json", "--out", tmp_path / "alone", cache=path / "cache"
    )
    code, output = alone.finish()
    assert code == 0, output
    assert far(run, Run(tmp_path / "alone")) < FAR
    assert len(run.metrics) == CONFIG.iterations
    assert RunFolder(run.path).read().device["count"] % 2 == 0
    assert run.evaluate(num_tasks=4)["iteration"] == CONFIG.iterations


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
@pytest.mark.parametrize("lost", [0, 1])
def test_if_one_is_killed_the_other_stops_and_one_alone_goes_on(arena, lost):
    path, undisturbed = arena
    folder = RunFolder(path / f"lost-{lost}")
    processes = start(path, folder.path.name)
    processes[0].wait_until(lines_written(folder, 5))
    processes[lost].stop(signal.SIGKILL)
    code, output = processes[1 - lost].finish(timeout=60.0)
    assert code != 0
    assert "lost" in output or "died" in output
    assert far(undisturbed, resume(folder.path, progress=False)) < FAR


@pytest.mark.slow
def test_one_process_goes_on_with_a_run_of_two_and_two_with_a_run_of_one(arena):
    path, undisturbed = arena
    extended = shutil.copytree(undisturbed.path, path / "extended")
    more, most = CONFIG.iterations + 2, CONFIG.iterations + 4
    assert len(resume(extended, more, progress=False).metrics) == more
    assert len(go_on(extended, "--iterations", most).metrics) == most


@pytest.mark.slow
def test_under_slurm_processes_find_each_other(arena):
    path, undisturbed = arena
    job = {"SLURM_JOB_ID": str(free_port()), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": "2"}
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
def test_processes_with_different_configurations_are_refused(arena):
    path, _ = arena
    processes = start(path, "different", rest=lambda place: ("--seed", place))
    for code, output in [process.finish(timeout=60.0) for process in processes]:
        assert code == 2
        assert "the processes have different configurations" in output
    assert not (path / "different" / "metrics.jsonl").exists()


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
