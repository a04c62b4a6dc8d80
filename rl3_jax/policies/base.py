"""The interface of a sequence core: new cores plug in here."""

from typing import Any, ClassVar, Protocol, runtime_checkable

from flax import linen as nn
from jaxtyping import Array, Float


@runtime_checkable
class CoreModule(Protocol):
    """The linen module of a core: the same function over a whole sequence and one step at a time."""

    def __call__(self, inputs: Float[Array, "T W"]) -> Float[Array, "T W"]:
        """Return the outputs of a whole trial, from its first step on."""
        ...

    def step(self, carry: Any, inputs: Float[Array, " W"]) -> tuple[Any, Float[Array, " W"]]:
        """Return the memory after one more step, and its output."""
        ...


@runtime_checkable
class Core(Protocol):
    """Configuration of a sequence core, a frozen dataclass.

    W is the policy's width: the size of the core's inputs and of its outputs.
    """

    core: ClassVar[str]
    """Name of the core."""
    log_prob_tolerance: ClassVar[float]
    """Largest accepted |log-probability in training − in rollout| before an update, in float32."""

    def problems(self) -> list[str]:
        """Return a message for each field that is wrong."""
        ...

    def module(self, width: int) -> nn.Module:
        """Return the core's linen module, a `CoreModule`."""
        ...

    def initial_carry(self, width: int) -> Any:
        """Return the memory at a trial's first step, a pytree of arrays."""
        ...
