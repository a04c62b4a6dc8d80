"""A run so small that it compiles and trains in seconds, and how to look at what it left."""

import contextlib
import dataclasses

import jax
import numpy as np

from rl3_jax.presets import make_config
from rl3_jax.run.checkpoints import OnDisk
from rl3_jax.run.folder import RunFolder

CONFIG = make_config(
    "bandit-h100-quick",
    # With exchangeable actions arms never tried are alike but for rounding errors: these would choose the
    # greedy action, and are all that the weights of `trial_start` learn from.
    policy={"core": {"core": "markov"}, "exchangeable_actions": False},
    horizon=10,
    iterations=12,
    checkpoint_every=4,
    evaluation={"every": 5, "num_tasks": 4},
    ppo={"trials": 8, "minibatch_trials": 4, "epochs": 2},
)
GRID = make_config(
    "gridworld-11x11-quick",
    policy="markov",
    method="rl2",
    horizon=9,
    iterations=4,
    checkpoint_every=4,
    evaluation={"every": 2, "num_tasks": 4},
    ppo={"trials": 8, "minibatch_trials": 4, "epochs": 1},
)
"""A run on gridworlds, where a trial is summed up; it is too short to find the goal but by luck."""
MEASURED_TIMES = ("wall_seconds", "steps_per_second")


def vary(**changes):
    """The tiny configuration with some fields changed."""
    return dataclasses.replace(CONFIG, **changes)


def first_device():
    """Where a state lies that one device has."""
    return jax.sharding.SingleDeviceSharding(jax.local_devices()[0])


def final_state(path):
    """The newest checkpoint of a run, as arrays of the host; what a kill left over is removed."""
    folder = RunFolder(path)
    with contextlib.ExitStack() as stack:
        run = OnDisk(folder, folder.read(), stack)
        assert run.latest
        run.restore(first_device())
    return on_host(run.state)


def on_host(state):
    """A state as arrays of the host."""
    return jax.tree.map(np.asarray, state.replace(key=jax.random.key_data(state.key)))


def assert_same_outcome(one, other):
    """Two finished runs have the same state, agent and metrics, bit for bit."""
    jax.tree.map(np.testing.assert_array_equal, final_state(one.path), final_state(other.path))
    for file in ("actor.safetensors", "agent.json"):
        assert (one.path / "agent" / file).read_bytes() == (other.path / "agent" / file).read_bytes()
    assert timeless(one.metrics) == timeless(other.metrics)


def timeless(rows):
    """Metrics lines without the fields that measure time."""
    return [{name: row[name] for name in row if name not in MEASURED_TIMES} for row in rows]


def tree(path):
    """Everything below a folder."""
    return sorted(str(entry.relative_to(path)) for entry in path.rglob("*"))
