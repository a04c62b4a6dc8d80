"""What a run takes: memory, and time from a short probe."""

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from rl3_jax import training
from rl3_jax.errors import ConfigError
from rl3_jax.run.compile_cache import compile_cache
from rl3_jax.run.loop import compile_chunk
from rl3_jax.run.machine import available_bytes, device, program_bytes, refuse_what_cannot_fit
from rl3_jax.run.progress import TrainProgress
from rl3_jax.training import TrainConfig
from rl3_jax.training.plan import count
from rl3_jax.training.serialise import config_problems

PROBE_SECONDS = 2.0
"""How long the probe's timed iterations should take; there is at least one."""


@compile_cache()
def plan(config: TrainConfig, *, probe: bool = True, progress: bool = False) -> dict[str, Any]:
    """Return what a run takes: sizes are counted, the program is compiled, a few iterations are timed.

    Args:
      config: the run.
      probe: run these iterations; without it, only sizes are told.
      progress: show it.

    Returns:
      `device`; `parameters`, a count; `iterations`; `steps_per_iteration`; `bytes`, with `parameters`,
      `optimiser`, `trajectory` (what an iteration collects), `carries` (the memories of all trials),
      `activations` (what the forward pass over a minibatch stores for the backward pass), `evaluation` (the
      memories of an evaluation, 0 without one), `program` (all that the compiled program holds at its peak)
      and `available`, the last two None if unknown; `seconds`, with `compile` (less if the program is on
      disk from an earlier start), `iteration` and `run` (all iterations, without evaluations and
      checkpoints); `steps_per_second`. The last two are None without a probe.

    Raises:
      ConfigError: listing every problem of the configuration, or if the run does not fit into memory.
    """
    if problems := config_problems(config):
        raise ConfigError(problems)
    with TrainProgress(config.iterations, visible=progress) as shown:
        shown.phase("counting")
        counts = count(config)
        refuse_what_cannot_fit(config, {"state": counts.least_bytes})
        shown.phase("compiling")
        started = time.perf_counter()
        program = compile_chunk(config)
        compiled = time.perf_counter()
        needed = program_bytes(program)
        # A program and an evaluation come one after the other, beside the same state.
        refuse_what_cannot_fit(config, {"program": needed or 0, "evaluation": counts.evaluating_bytes})
        shown.phase("probing")
        seconds = _seconds_each(config, program) if probe else None
    return {
        "device": device(),
        "parameters": counts.parameters,
        "iterations": config.iterations,
        "steps_per_iteration": config.steps_per_iteration,
        "bytes": {
            "parameters": counts.parameter_bytes,
            "optimiser": counts.optimiser_bytes,
            "trajectory": counts.trajectory_bytes,
            "carries": counts.carry_bytes,
            "activations": counts.activation_bytes,
            "evaluation": counts.evaluation_bytes,
            "program": needed,
            "available": available_bytes(),
        },
        "seconds": {
            "compile": round(compiled - started, 2),
            "iteration": seconds,
            "run": None if seconds is None else seconds * config.iterations,
        },
        "steps_per_second": None if seconds is None else config.steps_per_iteration / seconds,
    }


def _seconds_each(config: TrainConfig, program: jax.stages.Compiled) -> float:
    """Return how long an iteration takes: one to warm up, then as many as are timed."""
    train = functools.partial(program, training.hyper_of(config))
    state = training.init(config, jax.random.key(config.seed))
    state, first = _timed(train, state, 1)
    number = int(np.clip(PROBE_SECONDS / first, 1, training.CHUNK_CAPACITY))
    _, seconds = _timed(train, state, number)
    return seconds / number


def _timed(train: Callable[..., Any], state: Any, number: int) -> tuple[Any, float]:
    """Return the state after some iterations, and how long they took."""
    started = time.perf_counter()
    state, _ = jax.block_until_ready(train(state, np.int32(number)))
    return state, time.perf_counter() - started
