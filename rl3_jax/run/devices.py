"""Which devices share the trials of a run."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from rl3_jax.errors import ConfigError
from rl3_jax.training import TASKS, TrainConfig


def device_problems(
    config: TrainConfig, num_devices: int | None, devices: Sequence[jax.Device] | None = None
) -> list[str]:
    """Return a message if a run cannot use so many devices, of these or else of JAX's."""
    if num_devices is None:
        return []
    devices = devices or jax.devices()
    there, size = len(devices), config.ppo.minibatch_trials
    if num_devices < 1:
        return [f"devices is {num_devices}; a run takes at least 1"]
    if num_devices > there:
        on_cpu = devices[0].platform == "cpu"
        more = f"; JAX_NUM_CPU_DEVICES={num_devices} makes more of a CPU" if on_cpu else ""
        return [f"devices is {num_devices}, but JAX has {there}{more}"]
    if size % num_devices:
        return [
            f"devices is {num_devices}, which does not divide ppo.minibatch_trials ({size}): each takes"
            " equally many trials of a minibatch; change one of the two"
        ]
    return []


def placement(
    config: TrainConfig,
    num_devices: int | None = None,
    *,
    num_runs: int = 1,
    devices: Sequence[jax.Device] | None = None,
) -> jax.sharding.Sharding:
    """Return where the state of a run lies: on so many devices, or as many as can share its trials equally.

    Several runs on a CPU have a thread each, and so one device. The devices are JAX's, if not given.

    Raises:
      ConfigError: if the run cannot use so many devices.
    """
    if problems := device_problems(config, num_devices, devices):
        raise ConfigError(problems)
    devices = devices or jax.devices()
    if num_devices is None:
        most = 1 if num_runs > 1 and devices[0].platform == "cpu" else len(devices)
        num_devices = max(n for n in range(1, most + 1) if config.ppo.minibatch_trials % n == 0)
    if num_devices == 1:
        return SingleDeviceSharding(devices[0])
    return NamedSharding(Mesh(np.array(devices[:num_devices]), (TASKS,)), PartitionSpec())
