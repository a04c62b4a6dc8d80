"""The interface of a sequence core: new cores plug in here."""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Annotated, Any, ClassVar, Protocol, runtime_checkable

from annotated_types import Ge, Le
from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.policies.products import Compute

Layers = Annotated[int, Ge(1), Le(100), "each is compiled by itself"]
"""How many layers a core may have, one on top of the other."""
Step = Float[Array, " W"]
"""What a core reads or yields at one step of one trial."""
Steps = Float[Array, "B T W"]
"""The same at T steps of B trials."""


@dataclasses.dataclass(frozen=True)
class CoreSpec:
    """What a policy tells its core.

    Attributes:
      width: W, the size of the core's inputs and of its outputs.
      horizon: H, the longest trial, steps.
      compute: the type of matrix products.
    """

    width: int
    horizon: int
    compute: Compute = "float32"


@runtime_checkable
class Core(Protocol):
    """Configuration of a sequence core, a frozen dataclass; one that inherits from this has its defaults.

    One that leaves choices open, to be made by where a program runs, also has `suited`: see the function of
    that name. Its module takes an open choice as on a CPU. One that some devices cannot train has
    `device_problems`, likewise.
    """

    core: ClassVar[str]
    """Name of the core."""
    log_prob_tolerance: ClassVar[float] = 1e-5
    """Largest accepted difference of log-probabilities in training and in rollout, before an update."""

    @property
    def constant_carry(self) -> bool:
        """Whether the memory is of one size whatever the horizon; a core may set it as a class variable.

        Only then may a trial be cut into segments, and last longer than in training.
        """
        return True

    def spec_problems(self, spec: CoreSpec) -> list[str]:
        """Return a message for each way in which the core does not fit the sizes; by default it fits all."""
        return []

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the core's linen module: one function over many steps of many trials, and over one of one.

        Called with memories, whose leaves lead with B, and inputs [B, T, W] of a part of B trials, it returns
        the memories after it and the outputs [B, T, W]. All tasks come in one call, instead of under `vmap`,
        so that the gradient of a weight is one matrix product. Its `step` does the same for the memory of one
        trial and the input [W] of one more step.
        """
        ...

    def initial_carry(self, spec: CoreSpec) -> Any:
        """Return the memory at a trial's first step, a pytree of arrays."""
        ...


def through_layers(
    layers: Iterable[Callable[[Any, Any], tuple[Any, Any]]], carry: tuple[Any, ...], hidden: Any
) -> tuple[tuple[Any, ...], Any]:
    """Return the memory of each layer, and the output of the last; a layer maps both to the next ones."""
    after = []
    for layer, memory in zip(layers, carry, strict=True):
        memory, hidden = layer(memory, hidden)
        after.append(memory)
    return tuple(after), hidden
