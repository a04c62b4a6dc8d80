"""Results and runs as the report reads them."""

import numpy as np
import scipy.stats

from rl3_jax.report.agents import Source
from rl3_jax.report.making import Making, Origin

RNG = np.random.default_rng(0)


def entry(name, mean, num_tasks=50):
    """An entry of a result file, of returns about a mean."""
    returns = RNG.normal(mean, 10.0, num_tasks)
    return {
        "name": name,
        "mean_return": float(returns.mean()),
        "standard_error": float(scipy.stats.sem(returns)),
        "returns": returns.tolist(),
        "reward_curve": [0.5, 0.6],
        "adaptation": {
            "episodes": [1, 2],
            "num_tasks": [50, 50],
            "mean": [0.5, 0.6],
            "standard_error": [0.01, 0.02],
        },
    }


RESULT = {
    "family": "bandit",
    "variation": "default",
    "task": {"family": "bandit", "variation": "default", "num_arms": 5},
    "horizon": 100,
    "num_tasks": 50,
    "eval_seed": 0,
    "task_set_sha256": "0123456789abcdef",
    "results": [entry("ucb1", 78.0), entry("clairvoyant", 83.0)],
}
OOD = RESULT | {
    "variation": "ood",
    "task": RESULT["task"] | {"variation": "ood"},
    "task_set_sha256": "fedcba9876543210",
    "results": [entry("ucb1", 79.0), entry("clairvoyant", 85.0)],
}
MDP = RESULT | {
    "family": "mdp",
    "task": {"family": "mdp", "variation": "default", "states": 10, "actions": 5, "steps": 10},
    "results": [entry("psrl (m = 0)", 138.0), entry("psrl", 133.0)],
}


def of_agent(result, mean, iteration=12, greedy=False):
    """A result of an agent beside the baselines of another."""
    results = [entry("rl3-gru", mean), *result["results"]]
    return result | {"results": results, "iteration": iteration, "greedy": greedy}


def run(seed, *results, name="rl3", learning_rate=0.1, folder="runs"):
    """A run with the results of its agent."""
    config = {
        "task": RESULT["task"],
        "horizon": 100,
        "ppo": {"learning_rate": learning_rate},
        "iterations": 12,
        "seed": seed,
        "target_iterations": 12,
        "run_id": f"id-{name}-{seed}",
        "versions": {},
        "device": {},
        "log": None,
    }
    metrics = [
        {"steps": 10 * i, "wall_seconds": 3.0 * i, "mean_return": 50.0 + i + seed} for i in range(1, 13)
    ]
    return Source(f"{folder}/{name}-seed{seed}", results, f"{name}-seed{seed}", config, metrics)


def making(sources, films=(), common=()):
    """How some runs are made again, of a preset."""
    origins = {source.place: Origin(["bandit-h100-quick"]) for source in sources if source.config}
    return Making(origins, dict(films), common)
