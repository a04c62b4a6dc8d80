"""What the networks of a meta-policy look like, and the sequence cores by name."""

import dataclasses
from typing import Any, Literal

from rl3_jax.constraints import Count
from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.policies.base import Core, CoreSpec
from rl3_jax.policies.gru import Gru
from rl3_jax.policies.linear_attention import LinearAttention
from rl3_jax.policies.markov import Markov
from rl3_jax.policies.mingru import MinGru
from rl3_jax.policies.products import Compute
from rl3_jax.policies.transformer import Transformer

CORES: dict[str, type[Core]] = {
    core.core: core for core in (Markov, Gru, MinGru, Transformer, LinearAttention)
}

CONSTANT_CARRIES = (
    "policy gru, mingru or linear-attention, or transformer with policy.core.positions=rotary and"
    " policy.core.window=N (N steps back)"
)
"""Where a memory that grows with the trial is in the way: what has one of constant size."""


@dataclasses.dataclass(frozen=True)
class PolicyConfig:
    """What the networks look like.

    Attributes:
      core: the sequence core.
      width: W, units of the core and of the last input layer.
      input_layers: units of the input layers before the last one; the reference has (256,).
      activation: of the input layers.
      layer_norm: whether the input layers' output is normalised (Ba et al. 2016) before the core reads it.
      read_out: what the heads read: the core's output (`core`), or with it products of what is remembered
        and what is seen (`product`).
      shared_trunk: whether the critic is a head on the actor's input layers and core, instead of a network
        of its own. It halves the sequence work; the two then share one gradient.
      exchangeable_actions: whether all actions share one network, in which each has W units and a memory of
        its own, so that relabelling the actions relabels the policy and changes nothing else. Its parameters
        fit any A; what it costs grows with A (docs/measurements.md).
      gates: whether what comes from object-level RL (values, counts, standard errors) is multiplied by a
        parameter for each part, 0 at first: RL³ then starts as RL², and reads as much of them as pays.
      compute: type in which the hidden layers' matrix products take their operands; sums, parameters,
        memories, heads and losses are float32.
    """

    core: Core = Gru()
    width: Count = 64
    input_layers: tuple[Count, ...] = ()
    activation: Literal["tanh", "relu"] = "tanh"
    layer_norm: bool = False
    read_out: Literal["core", "product"] = "core"
    shared_trunk: bool = False
    exchangeable_actions: bool = False
    gates: bool = False
    compute: Compute = "float32"

    @property
    def joins_read_out(self) -> bool:
        """Whether heads may be joined with the layer before them, which has no rounding of its own."""
        return self.read_out == "product" and self.compute == "float32"

    def spec(self, horizon: int) -> CoreSpec:
        """Return the sizes that the core sees."""
        return CoreSpec(width=self.width, horizon=horizon, compute=self.compute)

    def length_problems(self, trained: int, horizon: int) -> list[str]:
        """Return a message if a policy trained on trials of one length cannot act in those of another."""
        if horizon <= trained or self.core.constant_carry:
            return []
        return [
            f"horizon is {horizon}, but this policy's {self.core.core} was trained for trials of {trained}"
            f" steps and has no room for more; ask for {trained} or fewer, or train an agent whose memory"
            f" does not grow: {CONSTANT_CARRIES}"
        ]


def suited(core: Core, platform: str) -> Core:
    """Return a core with the choices that it leaves open made for a platform: `cpu`, `gpu` or `tpu`."""
    make: Any = getattr(core, "suited", None)
    return core if make is None else make(platform)


def device_problems(core: Core, device: Any) -> list[str]:
    """Return a message for each reason why a core cannot be trained on a `jax.Device`."""
    find: Any = getattr(core, "device_problems", None)
    return [] if find is None else find(device)


def make_core(name: str) -> Core:
    """Return the core of that name with its default configuration.

    Raises:
      ConfigError: if there is none of that name.
    """
    if name not in CORES:
        raise ConfigError(unknown_choice("policy", name, list(CORES)))
    return CORES[name]()
