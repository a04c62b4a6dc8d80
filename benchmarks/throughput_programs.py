"""The compiled programs that `throughput.py` times."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from common import seconds

from rl3_jax import TrainConfig, ppo
from rl3_jax.training import hyper_of, init, lower_steps


class Program:
    """A program and how long it took to compile."""

    def compile(self, lower: Callable[[], jax.stages.Lowered]) -> None:
        """Trace and compile, with the seconds of each."""
        start = time.perf_counter()
        lowered = lower()
        self.trace_seconds = time.perf_counter() - start
        start = time.perf_counter()
        self.compiled = lowered.compile()
        self.compile_seconds = time.perf_counter() - start

    def run(self, iterations: int) -> Any:
        """Run it for some iterations of training; returns what is ready at their end."""
        raise NotImplementedError

    def seconds_of(self, iterations: int) -> float:
        """Return the seconds that some iterations take."""
        return seconds(lambda: self.run(iterations))


class Training(Program):
    """Whole training, and its state."""

    def __init__(self, config: TrainConfig):
        """Compile."""
        self.state = init(config, jax.random.key(config.seed))
        self.hyper = hyper_of(config)
        self.compile(lambda: lower_steps(config, self.state))

    def run(self, iterations: int) -> Any:
        """Train."""
        self.state, metrics = self.compiled(self.hyper, self.state, jnp.int32(iterations))
        return metrics


class Collecting(Program):
    """The part of an iteration that collects trials and estimates advantages, with a fresh policy."""

    def __init__(self, config: TrainConfig):
        """Compile."""
        self.params = init(config, jax.random.key(config.seed)).learnt.params
        self.keys = jax.random.split(jax.random.key(config.seed), config.ppo.trials)
        collect = jax.jit(partial(ppo.collect, config.ppo, config.env, config.network))
        self.compile(lambda: collect.lower(self.params, self.keys))

    def run(self, iterations: int) -> Any:
        """Collect."""
        found = None
        for _ in range(iterations):
            found = jax.block_until_ready(self.compiled(self.params, self.keys))
        return found
