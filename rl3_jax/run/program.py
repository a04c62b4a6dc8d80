"""The compiled program of one run or several."""

import dataclasses
import functools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from rl3_jax import training
from rl3_jax.run.devices import device_problems
from rl3_jax.run.machine import available_bytes, num_cores, program_bytes
from rl3_jax.training import Hyper, TrainConfig, TrainState
from rl3_jax.training.plan import abstract_state
from rl3_jax.training.serialise import config_problems


@dataclasses.dataclass(frozen=True)
class Program:
    """The compiled `train_steps` of R runs.

    Attributes:
      compiled: for one run, or for all of them.
      threads: that call it for one run after another; None if it is for all of them, side by side.
    """

    compiled: jax.stages.Compiled
    threads: int | None

    def train(
        self, hypers: Sequence[Hyper], states: Sequence[TrainState], count: int
    ) -> tuple[list[TrainState], list[dict[str, np.ndarray]]]:
        """Return each run's state after some iterations, and its metrics of these.

        The states are not to be used again.
        """
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


def program_problems(
    config: TrainConfig,
    num_runs: int,
    num_devices: int | None,
    devices: Sequence[jax.Device] | None = None,
) -> list[str]:
    """Return a message for each reason why R runs, with the seeds from the configuration's on, make none."""
    found = [] if num_runs >= 1 else [f"num_seeds is {num_runs}; at least 1 run is needed"]
    found += config_problems(config)
    if not found:
        last = dataclasses.replace(config, seed=config.seed + num_runs - 1)
        found += config_problems(last) + device_problems(config, num_devices, devices)
    return found


def compile_chunk(config: TrainConfig, num_runs: int = 1, sharding: Any = None) -> Program:
    """Return the program of R runs whose states lie there, or else where JAX puts them.

    On a CPU threads take one run each, as many as there are cores and memory for: each run is exactly what it
    is alone, and cores are used better than by threads within a run.
    """
    config, sharding = training.program_of(config), sharding or jnp.zeros(()).sharding
    if num_runs > 1 and next(iter(sharding.device_set)).platform != "cpu":
        return Program(compile_steps(config, num_runs, sharding), None)
    compiled = compile_steps(config, 0, sharding)
    threads = min(num_runs, num_cores())
    available, each = available_bytes(), program_bytes(compiled, arguments=False)
    if available is not None and each:
        threads = max(1, min(threads, available // each))
    return Program(compiled, threads)


@functools.lru_cache(maxsize=8)
def compile_steps(config: TrainConfig, num_runs: int, sharding: jax.sharding.Sharding) -> jax.stages.Compiled:
    """Compile for states that lie there, side by side if there are several; kept for further runs.

    The devices need not be there.
    """
    axes = (num_runs,) if num_runs else ()
    state = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((*axes, *leaf.shape), leaf.dtype, sharding=sharding),
        abstract_state(config),
    )
    elsewhere = (
        None if sharding.device_set <= set(jax.devices()) else next(iter(sharding.device_set)).platform
    )
    return training.lower_steps(config, state, elsewhere, side_by_side=num_runs > 0).compile()


def _stack(trees: Sequence[Any]) -> Any:
    """Return trees of like arrays as one, with a first axis for the runs."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
