"""Runs that are stopped or killed end as if they had not been.

`RL3_KILLS=20 pytest tests/run/test_kill.py` disturbs more runs than the test suite does.
"""

import json
import os
import random
import signal
import time

import pytest

from rl3_jax import Run
from rl3_jax.run.folder import RunFolder, newest_iteration
from rl3_jax.training import EvaluationConfig
from rl3_jax.training.serialise import to_dict
from tests.run import tiny
from tests.run.processes import Process, resume_and_look

KILLS = int(os.environ.get("RL3_KILLS", "3"))
CONFIG = tiny.vary(iterations=60, checkpoint_every=3, evaluation=EvaluationConfig(every=7, num_tasks=4))


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    """A folder with a configuration and a cache, and the run that nobody disturbs."""
    path = tmp_path_factory.mktemp("kill")
    (path / "config.json").write_text(json.dumps(to_dict(CONFIG)))
    process = start(path, "undisturbed")
    process.wait_until(RunFolder(path / "undisturbed").config.exists)
    code, output = process.finish()
    assert code == 0, output
    return path, Run(path / "undisturbed")


def start(path, name):
    return Process("train", "--config", path / "config.json", "--out", path / name, cache=path / "cache")


def being_written(folder, after):
    """Whether a checkpoint is being written, with at least `after` there already."""

    def condition():
        return any(folder.checkpoints.glob(".*.tmp")) and newest_iteration(folder.checkpoints) >= after

    return condition


def lines_written(folder, number):
    """Whether at least so many iterations are in `metrics.jsonl`."""
    return lambda: (
        number == 0 or (folder.metrics.exists() and folder.metrics.read_bytes().count(b"\n") >= number)
    )


def kill_soon(process, chance):
    """Kill a process within 20 ms, long before its end."""
    time.sleep(chance.uniform(0.0, 0.02))
    process.stop()
    code, output = process.finish()
    assert code == -signal.SIGKILL, output


@pytest.mark.slow
@pytest.mark.parametrize("kill", range(KILLS))
def test_a_killed_run_ends_as_if_it_had_not_been_killed(arena, kill):
    """Killed twice: once at any moment, or in a checkpoint's write; and once while it goes on."""
    path, undisturbed = arena
    chance = random.Random(kill)
    folder = RunFolder(path / f"killed-{kill}")
    process = start(path, folder.path.name)
    process.wait_until(folder.config.exists)
    first = chance.randrange(CONFIG.iterations // 2)
    process.wait_until(being_written(folder, after=first) if kill % 2 else lines_written(folder, first))
    kill_soon(process, chance)
    process = Process("resume", folder.path, cache=path / "cache")
    process.wait_until(lines_written(folder, first + chance.randrange(CONFIG.iterations // 3)))
    kill_soon(process, chance)
    tiny.assert_same_outcome(undisturbed, resume_and_look(folder.path, path / "cache"))
    assert tiny.tree(folder.agent) == ["actor.safetensors", "agent.json"]


@pytest.mark.slow
def test_a_stopped_run_saves_and_says_how_to_go_on(arena):
    path, undisturbed = arena
    folder = RunFolder(path / "stopped")
    process = start(path, folder.path.name)
    process.wait_until(lambda: folder.metrics.exists() and folder.metrics.stat().st_size > 0)
    process.stop(signal.SIGTERM)
    code, output = process.finish()
    assert code == 128 + signal.SIGTERM
    assert "SIGTERM: stopping once all is saved" in output
    assert f"Go on with: rl3 resume {folder.path}" in output
    done = len(Run(folder.path).metrics)
    assert 0 < done < CONFIG.iterations
    assert Run(folder.path).load_agent().iteration == done
    tiny.assert_same_outcome(undisturbed, resume_and_look(folder.path, path / "cache"))
