"""One step of an agent, outside this package."""

import json
import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax import make_config
from rl3_jax.cli import main
from rl3_jax.run.agent import agent_in_memory, save_agent
from rl3_jax.run.export import exported_step, write_step
from rl3_jax.testing.cores import opinionated

SHORT = {"horizon": 23}
MLIR = {"float32": "f32", "int32": "i32", "uint32": "ui32", "bool": "i1"}
AGENTS = {
    "mdp": ("mdp-h100-quick", {"policy": "gru", "features": {"previous_state": True}} | SHORT),
    "bandit": ("bandit-h100-quick", SHORT),
    "gridworld": ("gridworld-11x11-quick", SHORT),
    "coarse": ("gridworld-11x11-quick", {"method": "rl3-coarse", "learner": "model-based"} | SHORT),
    "rl2": ("mdp-h100-quick", {"policy": "linear-attention", "method": "rl2"} | SHORT),
}


def make_agent(name):
    preset, changes = AGENTS[name]
    config = make_config(preset, **changes)
    return agent_in_memory(config, opinionated(config.network.init(jax.random.key(0))["actor"]), 1)


@pytest.mark.parametrize("name", AGENTS)
def test_the_program_does_what_the_agent_does_in_a_trial(name, tmp_path):
    """Of a task that it was not exported with; it is told what a program of another kind would know."""
    agent = make_agent(name)
    env = agent.env
    program = jax.export.deserialize(bytearray(write_step(agent, tmp_path)[0].read_bytes()))
    _, told = exported_step(agent)
    # What is in the memory before a trial does not count.
    told = jax.tree.map(lambda x: jnp.full_like(x, 3), told)
    task = env.family.sample_task(jax.random.key(7))
    observation, state = env.start(jax.random.key(1), task)
    carry, changed = agent.init_carry(), False
    told |= {"start": jnp.bool_(True), "state": state.inner.s, "episode_time": state.inner.time}
    for time in range(env.horizon):
        found = program.call(told)
        carry, logits, _ = agent.policy.step({"actor": agent.params}, carry, observation)
        np.testing.assert_allclose(found["logits"], logits, rtol=1e-4, atol=1e-5)
        action = jax.random.categorical(jax.random.key(time), logits).astype(jnp.int32)
        observation, state, reward, _, info = env.step_env(
            jax.random.key(time), state, action, env.default_params
        )
        step = info["step"]
        changed |= bool(step.next_state.index != state.inner.s)
        told = {name: x for name, x in found.items() if name != "logits"} | {
            "start": jnp.bool_(False),
            "action": action,
            "reward": reward,
            "terminated": step.terminated,
            "entered": step.next_state.index,
            "state": state.inner.s,
            "episode_time": state.inner.time,
        }
    assert changed == (name in ("mdp", "bandit", "rl2"))  # an episode of a gridworld may last the trial


def test_the_signature_says_what_goes_in_and_comes_out(tmp_path, capsys):
    config = make_config("bandit-h100-quick", **SHORT)
    save_agent(tmp_path / "agent", config, config.network.init(jax.random.key(0))["actor"], 1)
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.count("written:") == 3
    signature = json.loads((tmp_path / "out" / "step.json").read_text())
    program = jax.export.deserialize(bytearray((tmp_path / "out" / "step.jax").read_bytes()))
    assert signature["platforms"] == list(program.platforms)
    for which, avals in (("inputs", program.in_avals), ("outputs", program.out_avals)):
        described = [(tuple(entry["shape"]), entry["dtype"]) for entry in signature[which]]
        assert described == [(aval.shape, str(aval.dtype)) for aval in avals]
    names = [entry["name"] for entry in signature["inputs"]]
    assert names == sorted(names)
    assert {"action", "reward", "start", "state", "terminated"} < set(names)
    assert signature["outputs"][0] == {"name": "logits", "shape": [5], "dtype": "float32"}
    text = (tmp_path / "out" / "step.mlir").read_text()
    (head,) = re.findall(r"func.func public @main\((.*?)\) -> \((.*?)\) \{", text)
    for which, part in zip(("inputs", "outputs"), head, strict=True):
        kinds = ["x".join([*map(str, entry["shape"]), MLIR[entry["dtype"]]]) for entry in signature[which]]
        assert re.findall(r"tensor<(.*?)>", part) == kinds
    assert str(tmp_path) not in text
    assert "loc(" not in text


@pytest.mark.parametrize("preset", ["point-robot-h100-quick", "frozen-lake-h100-quick"])
def test_states_that_are_more_than_an_integer_are_refused(preset, tmp_path, capsys):
    config = make_config(preset)
    save_agent(tmp_path / "agent", config, config.network.init(jax.random.key(0))["actor"], 1)
    assert main(["export", str(tmp_path)]) == 2
    assert "a state of it is more than one integer" in capsys.readouterr().err
