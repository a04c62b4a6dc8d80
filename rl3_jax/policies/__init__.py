"""Sequence models behind one interface, and the meta-policy made of them."""

from rl3_jax.policies import categorical
from rl3_jax.policies.base import Core, CoreModule
from rl3_jax.policies.gru import Gru
from rl3_jax.policies.markov import Markov
from rl3_jax.policies.policy import Params, Policy, PolicyConfig
from rl3_jax.policies.registry import CORES, make_core

__all__ = [
    "CORES",
    "Core",
    "CoreModule",
    "Gru",
    "Markov",
    "Params",
    "Policy",
    "PolicyConfig",
    "categorical",
    "make_core",
]
