"""Microseconds a step and task of each object-level learner and planner.

    taskset -c 0 python benchmarks/object_rl.py --json object_rl.json     # on one core

Experience is a uniform random walk with slips: on a 13x13 grid with obstacles (S=169, A=5, at most 5
successors, H=350), and on random successor lists (S=10, A=5, at most 5 successors, H=100). Each program
updates the learner with a batch of tasks' transitions and reads the values of the next states, for whole
trials; dense planners of 169 states for the first steps only (column `steps`), as they take minutes.
Times are the median of several runs; on a CPU they are processor time of this program, so that other
programs on the same core do not count.
"""

import dataclasses
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from common import machine, write

from rl3_jax.object_rl import DynaQ, Learner, ModelBased, QLearning, RMax, TableSpec, Transition
from rl3_jax.tasks import Gridworld

SPECS = {
    10: TableSpec(10, 5, 10, num_successors=5, horizon=100),
    169: TableSpec(169, 5, 350, num_successors=5, horizon=350, grid=Gridworld("13x13").grid),
}
SLIP, OBSTACLES = 0.2, 0.16
COLUMNS = {
    "learner": "learner",
    "states": "states",
    "tasks": "tasks",
    "steps": "steps",
    "microseconds": "µs a step",
    "compile_seconds": "compile, s",
}


@dataclasses.dataclass(frozen=True)
class Options:
    """What to measure, and how.

    Attributes:
      states: sizes of tasks: 10 or 169.
      tasks: numbers of tasks at once.
      learners: parts of the names of the learners to measure; all of them if none is given.
      dense_steps: steps that dense planners of 169 states make.
      repeats: timed runs of each program.
      json: file for the results.
    """

    states: tuple[int, ...] = (10, 169)
    tasks: tuple[int, ...] = (128, 1024)
    learners: tuple[str, ...] = ()
    dense_steps: int = 20
    repeats: int = 3
    json: Path | None = None


def learners(num_states: int) -> dict[str, tuple[Learner, bool]]:
    """Return learners by name, each with whether it shows standard errors."""
    smoothing = 0.1 if num_states == 10 else 0.01
    plan = partial(ModelBased, smoothing=smoothing)
    named: dict[str, tuple[Learner, bool]] = {}
    for planner in ("dense", "counts", "sparse", "visited"):
        for sweeps in (1, 2):
            name = f"{planner}, {sweeps} warm sweep{'s' * (sweeps > 1)}"
            warm = plan(planner=planner, tolerance=0.0, max_sweeps=sweeps, warm_start_length=1)
            named[name] = warm, False
        tolerance = 0.01 if num_states == 10 else 0.1
        named[f"{planner}, stop rule"] = plan(planner=planner, tolerance=tolerance), False
    for planner in ("sparse", "visited"):
        likeliest = plan(planner=planner, tolerance=0.0, max_sweeps=4, warm_start_length=1)
        likeliest = dataclasses.replace(likeliest, smoothing=0.0, untried="stay")
        named[f"{planner}, 4 warm sweeps, stay"] = likeliest, False
    both = plan(planner="visited", tolerance=0.0, max_sweeps=2, warm_start_length=1)
    named["visited, 2 warm sweeps, standard errors"] = both, True
    named["q-learning"] = QLearning(), False
    named["dyna-q"] = DynaQ(), False
    if num_states == 169:
        named["r-max, 16 warm sweeps"] = RMax(), False
    return named


def main() -> None:
    """Measure, print a table, and write JSON."""
    options = tyro.cli(Options, description=__doc__)
    results = []
    print(
        f"{'learner':<42}{'states':>7}{'tasks':>7}{'steps':>7}{'us a step':>11}{'compile s':>11}", flush=True
    )
    for num_states in options.states:
        for num_tasks in options.tasks:
            stream = walk(num_states, num_tasks)
            for name, (learner, errors) in learners(num_states).items():
                if options.learners and not any(part in name for part in options.learners):
                    continue
                spec = dataclasses.replace(SPECS[num_states], standard_errors=errors)
                few = num_states == 169 and name.startswith(("dense", "counts"))
                steps = options.dense_steps if few else spec.horizon
                part = jax.tree.map(lambda x, steps=steps: x[:steps], stream)
                result = {"learner": name, "states": num_states, "tasks": num_tasks, "steps": steps}
                results.append(result | measure(learner, spec, part, options.repeats))
                print(row(results[-1]), flush=True)
    report = machine() | {
        "benchmark": "object_rl",
        "clock": "process" if jax.default_backend() == "cpu" else "wall",
    }
    print(report, file=sys.stderr)
    if options.json is not None:
        write(options.json, report | {"results": results})


def row(result: dict[str, Any]) -> str:
    """Return one line of the table."""
    sizes = f"{result['learner']:<42}{result['states']:>7}{result['tasks']:>7}{result['steps']:>7}"
    return f"{sizes}{result['microseconds']:>11.3f}{result['compile_seconds']:>11.2f}"


def measure(learner: Learner, spec: TableSpec, stream: Transition, repeats: int) -> dict[str, float]:
    """Return the figures of one learner on stacked transitions [H, B]."""
    clock = time.process_time if jax.default_backend() == "cpu" else time.perf_counter
    start = clock()
    compiled = jax.jit(jax.vmap(partial(run_trial, learner, spec), in_axes=1)).lower(stream).compile()
    compile_seconds = clock() - start
    dropped = jax.block_until_ready(compiled(stream))[1]
    if dropped.any():
        raise RuntimeError(f"{int(dropped.sum())} transitions were dropped")
    seconds = statistics.median(timed(clock, compiled, stream) for _ in range(repeats))
    return {
        "microseconds": round(seconds / stream.s.size * 1e6, 4),
        "compile_seconds": round(compile_seconds, 2),
    }


def timed(clock: Callable[[], float], compiled: Callable[[Transition], Any], stream: Transition) -> float:
    """Return the seconds of one run."""
    start = clock()
    jax.block_until_ready(compiled(stream))
    return clock() - start


def run_trial(learner: Learner, spec: TableSpec, stream: Transition) -> tuple[jax.Array, jax.Array]:
    """Return the sum over a trial of all values shown, and the transitions that were dropped."""

    def step(carry, transition):
        state, total = carry
        state = learner.update(spec, state, transition)
        shown = learner.values(spec, state, transition.next_s)
        return (state, total + sum(leaf.sum() for leaf in jax.tree.leaves(shown))), None

    (state, total), _ = jax.lax.scan(step, (learner.init(spec), jnp.float32(0.0)), stream)
    return total, learner.dropped(spec, state)


def walk(num_states: int, num_tasks: int) -> Transition:
    """Return transitions [H, B] of uniform random behaviour, never ending."""
    rng = np.random.default_rng(0)
    after = grid_moves(rng, num_tasks) if num_states == 169 else random_moves(rng, num_tasks, num_states)
    horizon, tasks = SPECS[num_states].horizon, np.arange(num_tasks)
    s = np.full(num_tasks, num_states // 2 if num_states == 169 else 0)
    steps = []
    for _ in range(horizon):
        a = rng.integers(0, 5, num_tasks)
        next_s = after(tasks, s, a)
        steps.append((s, a, next_s))
        s = next_s
    states, actions, next_states = (
        jnp.asarray(np.stack(part), jnp.int32) for part in zip(*steps, strict=True)
    )
    no = jnp.zeros(states.shape, bool)
    rewards = jnp.asarray(rng.normal(-1.0, 0.1, states.shape), jnp.float32)
    return Transition(s=states, a=actions, r=rewards, next_s=next_states, terminated=no, truncated=no)


def random_moves(rng: np.random.Generator, num_tasks: int, num_states: int) -> Callable[..., np.ndarray]:
    """Return the dynamics of tasks where each state has five successors, all as likely."""
    lists = rng.permuted(np.tile(np.arange(num_states), (num_tasks, num_states, 1)), axis=-1)[..., :5]
    return lambda tasks, s, a: lists[tasks, s, rng.integers(0, 5, a.shape)]


def grid_moves(rng: np.random.Generator, num_tasks: int) -> Callable[..., np.ndarray]:
    """Return the dynamics of 13x13 grids with obstacles: stay, N, E, S, W, and slips to the side."""
    moves = np.array([[0, 0], [-1, 0], [0, 1], [1, 0], [0, -1]])
    blocked = rng.random((num_tasks, 13, 13)) < OBSTACLES

    def after(tasks: np.ndarray, s: np.ndarray, a: np.ndarray) -> np.ndarray:
        slips = (rng.random(a.shape) < SLIP) & (a > 0)
        direction = np.where(slips, (a - 1 + rng.choice([1, 3], a.shape)) % 4 + 1, a)
        here = np.stack(np.divmod(s, 13), axis=-1)
        there = here + moves[direction]
        inside = ((there >= 0) & (there < 13)).all(axis=-1)
        row, column = np.clip(there, 0, 12).T
        free = inside & ~blocked[tasks, row, column]
        return np.where(free, row * 13 + column, s)

    return after


if __name__ == "__main__":
    main()
