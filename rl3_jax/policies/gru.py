"""A gated recurrent unit as core (Cho et al. 2014); RL²'s original choice."""

import dataclasses
import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, cast

import jax
import jax.numpy as jnp
from annotated_types import Ge
from flax import linen as nn
from jaxtyping import Array, Float

from rl3_jax.policies.base import CoreSpec
from rl3_jax.policies.gru_kernel import Gates, advance, gru, project

CPU_BLOCK = 32
"""Tasks to a block on a CPU. With many tasks no other size is faster (docs/measurements.md)."""
ALL = 2**31 - 1
"""More tasks than there are."""


@dataclasses.dataclass(frozen=True)
class Gru:
    """One GRU layer whose memory lasts the whole trial.

    Attributes:
      block: tasks that a whole sequence is computed for at once, one block after another, so that more of
        it stays in cache. 0 means what is fastest where it runs: 32 on a CPU, all tasks elsewhere.
    """

    core: ClassVar[str] = "gru"
    log_prob_tolerance: ClassVar[float] = 1e-5
    constant_carry: ClassVar[bool] = True

    block: Annotated[int, Ge(0), "0 for the default"] = 0

    def spec_problems(self, spec: CoreSpec) -> list[str]:
        """Return no messages: it fits all sizes."""
        return []

    def suited(self, platform: str) -> "Gru":
        """Return it with the size of blocks that is fastest on a platform."""
        return dataclasses.replace(self, block=self.block or (CPU_BLOCK if platform == "cpu" else ALL))

    def module(self, spec: CoreSpec) -> nn.Module:
        """Return the linen module."""
        return GruModule(self.block, spec)

    def initial_carry(self, spec: CoreSpec) -> Float[Array, " W"]:
        """Return the memory at a trial's first step: zeros."""
        return jnp.zeros(spec.width)


class GruModule(nn.Module):
    """A GRU over parts of trials, or one step at a time."""

    block: int
    spec: CoreSpec

    def setup(self):
        """Make the weights."""
        self.cell = GruCell(self.spec.width)

    def __call__(
        self, carry: Float[Array, "B W"], inputs: Float[Array, "B T W"]
    ) -> tuple[Float[Array, "B W"], Float[Array, "B T W"]]:
        """Return the memories after a part of B trials, and the outputs at each step."""
        gates, compute = cast(Gates, self.cell()), self.spec.compute

        def whole(carry, inputs):
            carry, outputs = cast(Any, gru(gates, carry, inputs.swapaxes(0, 1), compute))
            return carry, outputs.swapaxes(0, 1)

        return by_blocks(whole, self.block or CPU_BLOCK, carry, inputs)

    def step(
        self, carry: Float[Array, " W"], inputs: Float[Array, " W"]
    ) -> tuple[Float[Array, " W"], Float[Array, " W"]]:
        """Return the memory after one more step, and its output."""
        gates, compute = cast(Gates, self.cell()), self.spec.compute
        carry, _ = advance(gates, carry, project(gates, inputs, compute), compute)
        return carry, carry


class GruCell(nn.Module):
    """The weights of a GRU, with the names, shapes and initial values of flax's `GRUCell`."""

    width: int

    @nn.compact
    def __call__(self) -> Gates:
        """Return the weights."""
        width = self.width
        input_reset, bias_reset = Linear(width, name="ir")()
        input_update, bias_update = Linear(width, name="iz")()
        input_new, bias_new = Linear(width, name="in")()
        hidden_new, bias_hidden = Linear(width, recurrent=True, name="hn")()
        return Gates(
            input_reset=input_reset,
            input_update=input_update,
            input_new=input_new,
            hidden_reset=Linear(width, recurrent=True, use_bias=False, name="hr")()[0],
            hidden_update=Linear(width, recurrent=True, use_bias=False, name="hz")()[0],
            hidden_new=hidden_new,
            bias_reset=bias_reset,
            bias_update=bias_update,
            bias_new=bias_new,
            bias_hidden=bias_hidden,
        )


class Linear(nn.Module):
    """The weights of one gate: LeCun-normal of inputs, orthogonal of a memory, and zero biases."""

    width: int
    recurrent: bool = False
    use_bias: bool = True

    @nn.compact
    def __call__(self) -> Any:
        """Return the matrix [W, W] and the bias [W], zeros without one."""
        init = nn.initializers.orthogonal() if self.recurrent else nn.initializers.lecun_normal()
        kernel = self.param("kernel", init, (self.width, self.width))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.width,)) if self.use_bias else None
        return kernel, jnp.zeros(self.width) if bias is None else bias


def by_blocks(
    function: Callable[[Array, Array], tuple[Array, Array]],
    block: int,
    carry: Float[Array, "B W"],
    inputs: Float[Array, "B T W"],
) -> tuple[Float[Array, "B W"], Float[Array, "B T W"]]:
    """Return function(carry, inputs), taken on one block of tasks after another, none larger than `block`.

    All are of one size, as equal to each other as can be: where it does not divide B, the last is filled
    up with zeros.
    """
    num_tasks = carry.shape[0]
    num_blocks = math.ceil(num_tasks / block)
    if num_blocks == 1:
        return function(carry, inputs)
    size = math.ceil(num_tasks / num_blocks)

    def cut(array):
        filled = jnp.pad(array, [(0, num_blocks * size - num_tasks)] + [(0, 0)] * (array.ndim - 1))
        return filled.reshape(num_blocks, size, *array.shape[1:])

    parts = jax.lax.map(lambda part: function(*part), (cut(carry), cut(inputs)))
    after, outputs = (part.reshape(-1, *part.shape[2:])[:num_tasks] for part in parts)
    return after, outputs
