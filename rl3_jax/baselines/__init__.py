"""Classic bandit and MDP algorithms, and clairvoyant optima, on the same trials."""

from rl3_jax.baselines.common import Baseline
from rl3_jax.baselines.registry import asked_names, baseline_env, baseline_names, make_baselines, plain_name

__all__ = ["Baseline", "asked_names", "baseline_env", "baseline_names", "make_baselines", "plain_name"]
