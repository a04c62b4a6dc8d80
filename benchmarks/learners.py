"""What each object-level learner is worth where states are vectors, and what it costs, beside RL².

    python benchmarks/learners.py point-robot-h100-quick reacher-h200-quick --json learners.json

Each preset is trained by RL² and by RL³ with each learner, all else equal: the same steps, the same seeds,
and the same held-out tasks, on which returns are paired seed by seed. Learners are behind gates, unless told
otherwise; those that need a table have the family's tiles. `useless` learns nothing and shows noise, which
asks whether a policy can ignore it. What object-level RL costs is the part of an iteration that goes when it
learns nothing and values and counts are 0; programs take turns.
"""

import dataclasses
import statistics
import sys
from functools import reduce
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from common import in_turn, lasting, machine, markdown, median_ratio, override, processor_share, write
from throughput_programs import Training

import rl3_jax
from rl3_jax import ConfigError, TrainConfig, make_config, train
from rl3_jax.object_rl import ActionValues, Learner, NoLearner
from rl3_jax.report.statistics import Estimate, difference

COLUMNS = {
    "preset": "preset",
    "learner": "learner",
    "returns": "return of each seed",
    "differences": "more than RL²",
    "in_errors": "in standard errors",
    "microseconds": "µs a step",
    "share": "of an iteration",
    "seconds": "training, s",
}
RL2 = "rl2"
TIMED_ITERATIONS = 3


@rl3_jax.register
@dataclasses.dataclass(frozen=True)
class Useless(Learner):
    """Draws values and counts anew after each step, whatever happened.

    Attributes:
      scale: standard deviation of the values; here the family's scale, which brings them near 1.
    """

    learner: ClassVar[str] = "useless"

    scale: float = 1.0

    def init(self, spec: Any) -> Any:
        """Return the number that the first draw begins with."""
        return jnp.uint32(0)

    def update(self, spec: Any, state: Any, transition: Any) -> Any:
        """Return a number that depends on all that was seen, so that trials differ."""
        reward = jax.lax.bitcast_convert_type(jnp.float32(transition.r), jnp.uint32)
        return state * jnp.uint32(0x85EBCA6B) + reward + transition.a.astype(jnp.uint32) + 1

    def values(self, spec: Any, state: Any, s: Any) -> ActionValues:
        """Return noise."""
        key_values, key_counts = jax.random.split(jax.random.key(state))
        counts = jax.random.randint(key_counts, (spec.num_actions,), 0, 20).astype(jnp.float32)
        return ActionValues(q=self.scale * jax.random.normal(key_values, counts.shape), counts=counts)


@dataclasses.dataclass(frozen=True)
class Options:
    """What to compare.

    Attributes:
      presets: names of presets.
      learners: names of learners, beside RL².
      seeds: training seeds.
      num_tasks: held-out tasks.
      millions: environment steps of a training, millions; 0 for the preset's own number of iterations.
      gates: whether what comes from object-level RL is behind gates.
      set: changes of any field, for all, e.g. `ppo.novelty_bonus=1.0`.
      shares: whether to measure what object-level RL costs.
      repeats: timed runs of each program.
      json: file for the results, instead of standard output.
    """

    presets: tyro.conf.Positional[tuple[str, ...]] = ("point-robot-h100-quick", "reacher-h200-quick")
    learners: tuple[str, ...] = ("model-based", "q-learning", "linear-q", "lstd-q", "kernel", "deep-q")
    seeds: tuple[int, ...] = (0, 1)
    num_tasks: int = 1000
    millions: float = 0.0
    gates: bool = True
    set: tuple[str, ...] = ()
    shares: bool = True
    repeats: int = 5
    json: Path | None = None


def main() -> None:
    """Compare, print a table as it grows, and write JSON."""
    options, rows = tyro.cli(Options, description=__doc__), []
    for preset in options.presets:
        configs = {name: configure(options, preset, name) for name in (RL2, *options.learners)}
        costs = measure(configs, options.repeats) if options.shares else {}
        base: dict[int, np.ndarray] = {}
        for name, config in configs.items():
            rows.append(
                {"preset": preset, "learner": name} | costs.get(name, {}) | earn(options, config, base)
            )
            print(markdown(rows, COLUMNS), file=sys.stderr, flush=True)
    report = machine() | {"benchmark": "learners", "processor_share": processor_share()}
    write(options.json, report | {"results": rows})


def configure(options: Options, preset: str, learner: str) -> TrainConfig:
    """Return the configuration of RL², or of RL³ with a learner."""
    try:
        if learner == RL2:
            config = make_config(preset, method=RL2)
        else:
            config = make_config(preset, learner=learner, policy={"gates": options.gates})
        if learner == Useless.learner:
            config = override(config, f"learner.scale={config.features.value_scale}")
        config = reduce(override, options.set, config)
        config = lasting(config, options.millions, 1) if options.millions else config
        config.validate()
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    return dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, every=0))


def earn(options: Options, config: TrainConfig, base: dict[int, np.ndarray]) -> dict[str, Any]:
    """Train and evaluate each seed; the first configuration's returns become the `base` of the others."""
    each, seconds = {}, []
    for seed in options.seeds:
        run = train(dataclasses.replace(config, seed=seed), progress=False)
        seconds.append(run.metrics[-1]["wall_seconds"])
        each[seed] = np.array(run.evaluate(num_tasks=options.num_tasks)["results"][0]["returns"])
    found: dict[str, Any] = {
        "mean_returns": [float(returns.mean()) for returns in each.values()],
        "returns": listed(f"{returns.mean():.2f}" for returns in each.values()),
        "seconds": round(statistics.mean(seconds), 1),
    }
    if not base:
        base.update(each)
        return found
    more = [difference(each[seed][None], base[seed][None]) for seed in options.seeds]
    return found | {
        "paired": [[one.value, one.standard_error] for one in more],
        "differences": listed(map(str, more)),
        "in_errors": listed(map(in_errors, more)),
    }


def in_errors(one: Estimate) -> str:
    """Return how many standard errors a difference is away from 0, if returns differ at all."""
    return f"{one.value / one.standard_error:+.1f}" if one.standard_error else "none"


def listed(texts: Any) -> str:
    """Return texts one after another."""
    return ", ".join(texts)


def measure(configs: dict[str, TrainConfig], repeats: int) -> dict[str, dict[str, float]]:
    """Return what object-level RL costs, by learner: microseconds a step, and the share of an iteration."""
    programs = {}
    for name, config in configs.items():
        if name != RL2:
            programs[name, "whole"] = Training(config)
            programs[name, "without"] = Training(dataclasses.replace(config, learner=NoLearner()))
    turns = {key: lambda program=program: program.run(TIMED_ITERATIONS) for key, program in programs.items()}
    in_turn(turns, 1)
    times = in_turn(turns, repeats)
    found = {}
    for name, config in configs.items():
        if name != RL2:
            whole, without = times[name, "whole"], times[name, "without"]
            extra = statistics.median(x - y for x, y in zip(whole, without, strict=True))
            share = 1.0 - median_ratio(without, whole)
            steps = TIMED_ITERATIONS * config.steps_per_iteration
            found[name] = {"microseconds": extra / steps * 1e6, "share": round(share, 3)}
    return found


if __name__ == "__main__":
    main()
