"""Devices of one machine that share the trials of a run; a process of its own has two CPU devices."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rl3_jax import ConfigError, resume, train
from rl3_jax.cli import main
from rl3_jax.run.folder import RunFolder
from rl3_jax.run.program import placement
from tests.run import tiny

ROOT = Path(__file__).parents[2]
TRAINED = """
import dataclasses, json, re, sys
from pathlib import Path
import jax, numpy as np
from rl3_jax import ConfigError, hyper_of, init, resume, train, train_seeds, train_steps
from rl3_jax.run import folder as run_folder, machine, on_disk
from rl3_jax.run.program import compile_chunk, placement
from rl3_jax.run.planning import names_kept
from rl3_jax.training import lower_steps
from rl3_jax.training.hlo import training_costs
from tests.run import tiny

out = Path(sys.argv[1])
both, alone = (train(tiny.CONFIG, out / str(n), devices=n, progress=False) for n in (2, 1))

def params(run):
    return jax.tree.leaves(tiny.final_state(run.path).learnt.params)

def far(one, other):
    return max(float(np.abs(x - y).max()) for x, y in zip(params(one), params(other), strict=True))

odd = tiny.vary(iterations=1, ppo=dataclasses.replace(tiny.CONFIG.ppo, minibatch_trials=1))
"""
COMPILED = """
refused = ""
try:
    lying_on_both = jax.device_put(init(odd, jax.random.key(0)), placement(tiny.CONFIG, 2))
    train_steps(odd, hyper_of(odd), lying_on_both, 1)
except ConfigError as error:
    refused = str(error)
shared = compile_chunk(tiny.CONFIG, 1, placement(tiny.CONFIG, 2))

state = jax.device_put(init(tiny.CONFIG, jax.random.key(0)), placement(tiny.CONFIG, 2))
with names_kept():
    program = lower_steps(tiny.CONFIG, state).compile().as_text()
numbers = sum(x.size for x in jax.tree.leaves(state.learnt.params))
sums = [int(n) for n in re.findall(r"f32\\[(\\d+)\\][^=]* all-reduce\\(", program)]
print(json.dumps({
    "far": far(alone, both),
    "recorded": [run_folder.RunFolder(run.path).read().device["count"] for run in (both, alone)],
    "numbers": numbers, "sums": sums, "costs": training_costs(program), "refused": refused,
    "bytes": [machine.program_bytes(shared.compiled), shared.num_bytes()],
    "threads": compile_chunk(tiny.CONFIG, 2, placement(tiny.CONFIG, 2)).threads,
}))
"""
MORE = """
default = train(tiny.CONFIG, out / "default", progress=False)
tiny.assert_same_outcome(default, both)
changed = []
for first, then in ((2, 1), (1, 2)):
    folder = run_folder.create(out / f"{first}-{then}", tiny.CONFIG, log=None)
    record = dataclasses.replace(folder.read(), target_iterations=6)
    on_disk.train_to_target([(folder, record)], visible=False, devices=first)
    changed.append(resume(folder.path, 12, devices=then, progress=False))
again = run_folder.create(out / "again", tiny.CONFIG, log=None)
half = dataclasses.replace(again.read(), target_iterations=6)
on_disk.train_to_target([(again, half)], visible=False, devices=1)
tiny.assert_same_outcome(resume(again.path, 12, progress=False), alone)  # on as many as before
seeds = train_seeds(tiny.CONFIG, [out / "seed0", out / "seed1"], devices=2, progress=False)
tiny.assert_same_outcome(seeds[0], both)
in_memory = train(tiny.CONFIG, devices=2, progress=False).evaluate(num_tasks=4)
assert in_memory["results"] == both.evaluate(num_tasks=4)["results"]
train(odd, out / "odd")
print(json.dumps({"far": [far(alone, run) for run in changed]}))
"""


def found_by(script, out):
    """What a process with two CPU devices finds, after it has trained on both and on one."""
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "2", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", TRAINED + script, str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"shown": done.stderr, "out": out}


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return found_by(COMPILED, tmp_path_factory.mktemp("devices"))


def test_two_devices_learn_what_one_learns(found):
    assert found["far"] < 1e-4
    assert found["recorded"] == [2, 1]


@pytest.mark.slow
def test_devices_are_changed_between_chosen_and_left_out(tmp_path):
    """A run may change between them; unless told, it takes those that can share, and goes on with as many."""
    found = found_by(MORE, tmp_path)
    assert len(found["far"]) == 2
    assert max(found["far"]) < 1e-4
    assert "1 of 2 devices: more do not divide ppo.minibatch_trials (1)" in found["shown"]


def test_a_run_of_two_devices_goes_on_where_there_is_one(found, capfd):
    run = resume(found["out"] / "2", 14)
    assert len(run.metrics) == 14
    assert RunFolder(run.path).read().device["count"] == 1
    assert "devices 2 × cpu -> 1 × cpu; the result may not be the same" in capfd.readouterr().err


def test_devices_of_a_cpu_share_its_memory_and_wait_for_each_other(found):
    each, both = found["bytes"]
    assert both == 2 * each
    assert found["threads"] == 1


def test_a_mesh_that_does_not_divide_a_minibatch_is_refused(found):
    assert "devices is 2, which does not divide ppo.minibatch_trials (1)" in found["refused"]


def test_a_gradient_step_has_one_all_reduce_and_a_step_of_trials_none(found):
    """It sums all gradients, or the critic's once the actor has stopped; others sum a few numbers."""
    sums = sorted(size for size in found["sums"] if size > 20)
    assert len(sums) == 2
    assert sums[1] == found["numbers"]
    assert [found["costs"][name]["collectives"] for name in ("rollout_step", "gradient_step")] == [0, 1]


@pytest.mark.parametrize(
    ("devices", "message"), [(0, "at least 1"), (3, "but JAX has 1; JAX_NUM_CPU_DEVICES=3 makes more")]
)
def test_devices_that_are_not_there_are_refused(devices, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        train(tiny.CONFIG, tmp_path / "run", devices=devices, progress=False)
    out = ["--out", str(tmp_path / "run"), "--devices", str(devices)]
    assert main(["train", "bandit-h100-quick", *out]) == main(["plan", "bandit-h100-quick", *out]) == 2
    assert tiny.tree(tmp_path) == []


def test_devices_must_divide_a_minibatch(monkeypatch):
    class Device:
        platform = "gpu"
        process_index = 0

    monkeypatch.setattr("rl3_jax.run.program.jax.devices", lambda: [Device()] * 3)
    with pytest.raises(ConfigError, match=r"devices is 3, which does not divide ppo.minibatch_trials \(4\)"):
        placement(tiny.CONFIG, 3)
