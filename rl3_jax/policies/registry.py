"""The sequence cores by name."""

from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.policies.base import Core
from rl3_jax.policies.gru import Gru
from rl3_jax.policies.linear_attention import LinearAttention
from rl3_jax.policies.markov import Markov
from rl3_jax.policies.mingru import MinGru
from rl3_jax.policies.transformer import Transformer

CORES: dict[str, type[Core]] = {
    core.core: core for core in (Markov, Gru, MinGru, Transformer, LinearAttention)
}


def make_core(name: str) -> Core:
    """Return the core of that name with its default configuration.

    Raises:
      ConfigError: if there is none of that name.
    """
    if name not in CORES:
        raise ConfigError(unknown_choice("policy", name, list(CORES)))
    return CORES[name]()
