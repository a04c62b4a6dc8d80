"""The compiled program of one run or several, and the devices that share their trials."""

import dataclasses
import functools
import itertools
import operator
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from rl3_jax import policies, training
from rl3_jax.errors import ConfigError
from rl3_jax.object_rl import Learner
from rl3_jax.programs import MOST_PROGRAMS
from rl3_jax.run import hosts
from rl3_jax.run.machine import Device, available_bytes, program_bytes
from rl3_jax.run.signals import answering
from rl3_jax.startup import num_cores
from rl3_jax.tasks import TaskFamily, family_problems
from rl3_jax.training import TASKS, Hyper, TrainConfig, TrainState, sharing_problems
from rl3_jax.training.plan import abstract_state
from rl3_jax.training.serialise import config_problems


@dataclasses.dataclass(frozen=True)
class Program:
    """The compiled `train_steps` of R runs.

    Attributes:
      compiled: for one run, or for all of them.
      threads: that call it for one run after another; None if it is for all of them, side by side.
      num_parts: devices that share a run and one memory, that of a CPU; 1 where each has a memory of its own.
    """

    compiled: jax.stages.Compiled
    threads: int | None
    num_parts: int = 1

    def num_bytes(self, *, arguments: bool = True) -> int | None:
        """Return what one call holds in a memory at its peak; see `machine.program_bytes`."""
        each = program_bytes(self.compiled, arguments=arguments)
        return None if each is None else each * self.num_parts

    def train(
        self, hypers: Sequence[Hyper], states: Sequence[TrainState], count: int
    ) -> tuple[list[TrainState], list[dict[str, np.ndarray]]]:
        """Return each run's state after some iterations, and its metrics of these; the states are donated."""
        if self.threads is None:
            together = self.compiled(_stack(hypers), _stack(states), np.int32(count))
            found = [jax.tree.map(lambda x, place=place: x[place], together) for place in range(len(states))]
        else:

            def train_one(hyper: Hyper, state: TrainState) -> Any:
                return jax.block_until_ready(self.compiled(hyper, state, np.int32(count)))

            with ThreadPoolExecutor(self.threads) as pool:
                found = list(pool.map(train_one, hypers, states))
        histories = [{name: np.asarray(values[:count]) for name, values in each.items()} for _, each in found]
        return [state for state, _ in found], histories


def device_problems(
    config: TrainConfig, num_devices: int | None, target: Sequence[Device] | None = None
) -> list[str]:
    """Return a message if a run cannot use so many devices, of JAX's or of a target, or none of them."""
    devices, core = target or jax.devices(), config.policy.core
    found = {problem: None for device in devices for problem in policies.device_problems(core, device)}
    return [*found, *_number_problems(config, num_devices, target)]


def _number_problems(
    config: TrainConfig, num_devices: int | None, target: Sequence[Device] | None
) -> list[str]:
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
    Raises a `ConfigError` if the run cannot use so many.
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
    by_process = itertools.groupby(sorted(devices, key=_process), key=_process)
    chosen = [device for _, own in by_process for device in list(own)[: num_devices // processes]]
    return NamedSharding(Mesh(np.array(chosen), (TASKS,)), PartitionSpec())


_process = operator.attrgetter("process_index")


def _num_processes(devices: Sequence[Device]) -> int:
    return len(set(map(_process, devices)))


def program_problems(
    config: TrainConfig,
    num_runs: int,
    num_devices: int | None,
    target: Sequence[Device] | None = None,
) -> list[str]:
    """Return a message for each reason why R runs, with the seeds from the configuration's on, make none."""
    found = [] if num_runs >= 1 else [f"num_seeds is {num_runs}; at least 1 run is needed"]
    found += config_problems(config)
    if not found:
        last = dataclasses.replace(config, seed=config.seed + num_runs - 1)
        found += config_problems(last) + device_problems(config, num_devices, target)
    return found or outside_problems(config)


def outside_problems(config: TrainConfig) -> list[str]:
    """Return a message for each way in which a user's own family or learner does not fit a trial."""
    found = list(family_problems(config.task)) if is_from_outside(config.task) else []
    if not found and config.env.features.uses_object_rl and is_from_outside(config.learner):
        found += _learner_problems(config)
    return found


def _learner_problems(config: TrainConfig) -> list[str]:
    """Return a message for each kind of values of which a learner has not one number for each action."""
    learner, table = config.learner, config.env.object_rl.table
    known = jax.eval_shape(lambda: learner.values(table, learner.init(table), jnp.int32(0)))
    return [
        f"{type(learner).__name__}.values returns {name} of shape {np.shape(values)}; return one number for"
        f" each of the {table.num_actions} actions. rl3_jax.testing.check_learner checks all of a learner"
        for name, values in (("q", known.q), ("counts", known.counts))
        if np.shape(values) != (table.num_actions,)
    ]


def is_from_outside(part: TaskFamily | Learner) -> bool:
    """Whether a family or learner is not one of this package, which are known to work."""
    return not type(part).__module__.startswith("rl3_jax.")


def compile_chunk(config: TrainConfig, num_runs: int = 1, sharding: Any = None) -> Program:
    """Return the program of R runs whose states lie there, or else where JAX puts them.

    On a CPU threads take one run each, as many as there are cores and memory for: each run is exactly what it
    is alone on one device, and cores are used better than by threads within a run. Runs on several devices
    come one after the other, as these wait for each other.
    """
    sharding = sharding or jnp.zeros(()).sharding
    platform = next(iter(sharding.device_set)).platform
    config, on_cpu = training.program_of(config, platform), platform == "cpu"
    if num_runs > 1 and not on_cpu:
        return Program(compile_steps(config, num_runs, sharding), None)
    one = Program(compile_steps(config, 0, sharding), 1, len(sharding.addressable_devices) if on_cpu else 1)
    if len(sharding.device_set) > 1:
        return one
    threads = min(num_runs, num_cores())
    available, each = available_bytes(), one.num_bytes(arguments=False)
    if available is not None and each:
        threads = max(1, min(threads, available // each))
    return dataclasses.replace(one, threads=threads)


@functools.lru_cache(maxsize=MOST_PROGRAMS)
def compile_steps(config: TrainConfig, num_runs: int, sharding: jax.sharding.Sharding) -> jax.stages.Compiled:
    """Compile for states on devices that need not be there, side by side if there are several; cached.

    Raises `Abandoned` on a signal to stop.
    """
    axes = (num_runs,) if num_runs else ()
    state = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((*axes, *leaf.shape), leaf.dtype, sharding=sharding),
        abstract_state(config),
    )
    device = next(iter(sharding.device_set))
    elsewhere = None if device in jax.devices() else device.platform
    lowered = training.lower_steps(config, state, elsewhere, side_by_side=num_runs > 0)
    # Several processes stop together, and so only after they have compiled.
    return answering(lowered.compile) if hosts.alone() else lowered.compile()


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
