"""Sequence models behind one interface, and the meta-policy made of them."""

from rl3_jax.policies.base import Core, CoreSpec
from rl3_jax.policies.categorical import Categorical
from rl3_jax.policies.config import CORES, PolicyConfig, device_problems, make_core, suited
from rl3_jax.policies.distribution import Distribution, action_distribution, action_problems
from rl3_jax.policies.gaussian import SquashedGaussian
from rl3_jax.policies.gru import Gru
from rl3_jax.policies.linear_attention import LinearAttention
from rl3_jax.policies.markov import Markov
from rl3_jax.policies.mingru import MinGru
from rl3_jax.policies.policy import Params, Policy
from rl3_jax.policies.products import Compute, dense
from rl3_jax.policies.transformer import Transformer

__all__ = [
    "CORES",
    "Categorical",
    "Compute",
    "Core",
    "CoreSpec",
    "Distribution",
    "Gru",
    "LinearAttention",
    "Markov",
    "MinGru",
    "Params",
    "Policy",
    "PolicyConfig",
    "SquashedGaussian",
    "Transformer",
    "action_distribution",
    "action_problems",
    "dense",
    "device_problems",
    "make_core",
    "suited",
]
