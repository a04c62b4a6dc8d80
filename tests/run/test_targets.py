"""Programs for accelerators that are not there."""

import json
import os
import subprocess
import sys
from unittest import mock

import jax
import pytest

from rl3_jax import extras
from rl3_jax.cli import main
from rl3_jax.errors import ConfigError
from rl3_jax.presets import make_config
from rl3_jax.run import planning, program

TARGETS = {"h100": 1, "h100:4": 4, "tpu-v5e:2x4": 8}
"""With the number of devices."""
KERNELS = {
    ("h100", "bandit-h100-quick"): (13, 108),
    ("h100", "mdp-h100-quick"): (15, 60),
    ("h100", "gridworld-11x11-quick"): (20, 257),
    ("h100", "point-robot-h100-quick"): (45, 1285),
    ("tpu-v5e:2x4", "bandit-h100-quick"): (45, 590),
    ("tpu-v5e:2x4", "mdp-h100-quick"): (82, 141),
    ("tpu-v5e:2x4", "gridworld-11x11-quick"): (155, 734),
}
"""The most kernels of a step of all trials and of a gradient step: up to a tenth over those of jax 0.11.2, or
the 15 and 20 that a step of MDPs and of gridworlds is to have."""


@pytest.mark.parametrize("name", ["a100", "h100:0", "tpu-v5e", "tpu-v1:2x2", "v5e", "tpu-h100:2x4", ""])
def test_an_unknown_target_is_refused(name, capsys):
    with pytest.raises(ConfigError, match="is not known; give one like h100, tpu-v5e:2x4"):
        planning.target_devices(name)
    assert main(["plan", "bandit-h100-quick", "--target", name]) == 2
    assert "is not known" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "extra"), [("h100", "cuda-plan"), ("tpu-v5e:2x4", "tpu-plan")])
def test_an_extra_that_is_missing_is_named(name, extra, monkeypatch, capsys):
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    assert main(["plan", "bandit-h100-quick", "--target", name]) == 2
    assert f"pip install 'rl3-jax[{extra}]'" in capsys.readouterr().err


@pytest.mark.parametrize(("platform", "scan"), [("cpu", "sequential"), ("gpu", "associative")])
def test_a_program_is_made_for_the_devices_that_it_is_for(platform, scan, monkeypatch):
    device = mock.Mock(platform=platform)
    where = mock.Mock(device_set={device}, addressable_devices=[device])
    compiled = mock.Mock(jax.stages.Compiled, memory_analysis=mock.Mock(return_value=None))
    made = []
    monkeypatch.setattr(program, "compile_steps", lambda config, *_: made.append(config) or compiled)
    program.compile_chunk(make_config("bandit-h100-quick", policy="mingru"), sharding=where)
    assert made[0].policy.core.scan == scan


def platform_of(name):
    return "tpu" if name.startswith("tpu") else "gpu"


def planned(folder, name, *line):
    """Return what `rl3 plan` finds, in a process of its own: the platform is chosen before JAX starts."""
    module, extra = planning.EXTRAS[platform_of(name)]
    if not extras.is_installed(module):
        pytest.skip(f"needs the extra {extra}")
    file = folder / "plan.json"
    command = [sys.executable, "-m", "rl3_jax", "plan", *line, "--target", name, "--json", str(file)]
    subprocess.run(command, check=True, env=os.environ)
    return json.loads(file.read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("compute", "seeds", "most"),
    [("float32", 1, 134), ("float32", 3, 167), ("bfloat16", 1, 158), ("bfloat16", 3, 185)],
)
def test_all_steps_of_the_gru_are_one_kernel(compute, seeds, most, tmp_path):
    line = ["point-robot-h100-quick", "--policy.core.gradient", "kernel", "--policy.compute", compute]
    found = planned(tmp_path, "h100", *line, "--num-seeds", str(seeds))
    assert found["costs"]["gradient_step"]["kernels"] <= most  # a tenth over, where a loop has a thousand


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_the_command_line(name, tmp_path):
    sizes = ["--ppo.trials", "64", "--ppo.minibatch-trials", "16", "--horizon", "8"]
    found = planned(tmp_path, name, "bandit-h100-quick", "--policy", "markov", *sizes)
    assert found["device"]["count"] == TARGETS[name]
    assert found["device"]["platform"] == platform_of(name)
    assert found["seconds"]["iteration"] is None
    assert found["bytes"]["program"] > found["bytes"]["parameters"]
    assert 3 < found["costs"]["rollout_step"]["kernels"] < 60
    assert found["costs"]["rollout_step"]["collectives"] == 0
    # One sum of the gradients.
    assert found["costs"]["gradient_step"]["collectives"] == (TARGETS[name] > 1)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "preset"), KERNELS)
def test_accelerators_are_given_few_kernels_and_never_wait_for_the_host(name, preset, tmp_path):
    costs = planned(tmp_path, name, preset)["costs"]
    rollout, update = costs["rollout_step"], costs["gradient_step"]
    for part, most in zip((rollout, update), KERNELS[name, preset], strict=True):
        assert part["kernels"] <= most
        # What depends on a number that the device has computed.
        assert part["conditionals"] == part["open_loops"] == 0
    assert rollout["collectives"] == 0
    assert update["collectives"] == (TARGETS[name] > 1)
