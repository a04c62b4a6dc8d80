"""Which devices share the trials of a run."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from rl3_jax.errors import ConfigError
from rl3_jax.run.machine import Device
from rl3_jax.training import TASKS, TrainConfig, sharing_problems


def device_problems(
    config: TrainConfig, num_devices: int | None, target: Sequence[Device] | None = None
) -> list[str]:
    """Return a message if a run cannot use so many devices, of JAX's or of a target."""
    if num_devices is None:
        return []
    if num_devices < 1:
        return [f"devices is {num_devices}; a run takes at least 1"]
    if num_devices % (processes := _num_processes(target or jax.devices())):
        return [f"devices is {num_devices}, but {processes} processes take equally many each"]
    if target is not None and num_devices > len(target):
        return [f"devices is {num_devices}, but the target has {len(target)}"]
    if target is None and num_devices > len(jax.devices()):
        on_cpu = jax.devices()[0].platform == "cpu"
        more = f"; JAX_NUM_CPU_DEVICES={num_devices} makes more of a CPU" if on_cpu else ""
        return [f"devices is {num_devices}, but JAX has {len(jax.devices())}{more}"]
    return sharing_problems(config, num_devices)


def placement(
    config: TrainConfig,
    num_devices: int | None = None,
    *,
    num_runs: int = 1,
    target: Sequence[Device] | None = None,
) -> jax.sharding.Sharding:
    """Return where the state of a run lies: on so many devices, or as many as can share its trials equally.

    Several runs on a CPU have a thread each, and so one device. The devices are JAX's, or those of a target.

    Raises:
      ConfigError: if the run cannot use so many devices.
    """
    if problems := device_problems(config, num_devices, target):
        raise ConfigError(problems)
    devices = target or jax.devices()
    processes = _num_processes(devices)
    if num_devices is None:
        most = 1 if num_runs > 1 and devices[0].platform == "cpu" else len(devices)
        numbers = [n for n in range(processes, most + 1, processes) if not sharing_problems(config, n)]
        if not numbers:
            raise ConfigError(sharing_problems(config, processes))
        num_devices = numbers[-1]
    if num_devices == 1:
        return SingleDeviceSharding(devices[0])
    of_process: dict[int, list[Device]] = {}
    for device in devices:
        of_process.setdefault(device.process_index, []).append(device)
    each = num_devices // processes
    chosen = [device for process in sorted(of_process) for device in of_process[process][:each]]
    return NamedSharding(Mesh(np.array(chosen), (TASKS,)), PartitionSpec())


def _num_processes(devices: Sequence[Device]) -> int:
    """Return how many processes have a part of some devices."""
    return len({device.process_index for device in devices})
