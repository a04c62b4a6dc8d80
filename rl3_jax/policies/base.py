"""The interface of a sequence core: new cores plug in here."""

import dataclasses
from typing import Any, ClassVar, Protocol, runtime_checkable

from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.policies.products import Compute


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
class CoreModule(Protocol):
    """The linen module of a core: the same function over many steps of many trials and over one of one."""

    def __call__(self, carry: Any, inputs: Float[Array, "B T W"]) -> tuple[Any, Float[Array, "B T W"]]:
        """Return the memories after a part of B trials, and the outputs at each of its T steps.

        The leaves of `carry` lead with B. All tasks come in one call, instead of under `vmap`, so that the
        gradient of a weight is one matrix product.
        """
        ...

    def step(self, carry: Any, inputs: Float[Array, " W"]) -> tuple[Any, Float[Array, " W"]]:
        """Return the memory of one trial after one more step, and its output."""
        ...


@runtime_checkable
class Core(Protocol):
    """Configuration of a sequence core, a frozen dataclass.

    One that leaves choices open, to be made by where a program runs, also has `suited`: see the function of
    that name. Its module takes an open choice as on a CPU.
    """

    core: ClassVar[str]
    """Name of the core."""
    log_prob_tolerance: ClassVar[float]
    """Largest accepted |log-probability in training − in rollout| before an update, in float32."""
    constant_carry: ClassVar[bool]
    """Whether the memory is of one size whatever the horizon.

    Only then may a trial be cut into segments, and last longer than in training.
    """

    def spec_problems(self, spec: CoreSpec) -> list[str]:
        """Return a message for each way in which the core does not fit the sizes."""
        ...

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the core's linen module, a `CoreModule`."""
        ...

    def initial_carry(self, spec: CoreSpec) -> Any:
        """Return the memory at a trial's first step, a pytree of arrays."""
        ...
