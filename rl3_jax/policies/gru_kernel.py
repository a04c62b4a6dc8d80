"""The GRU's loops over time as one kernel a direction, for NVIDIA GPUs of the Hopper generation.

A block of a kernel takes 64 trials through all steps. Weights and memories stay on its multiprocessor, and
what else a step reads is copied there while others are computed. A loop of XLA's launches kernels for each
step, which hand the memories over through the GPU's main memory.

Tensor cores multiply bfloat16. A float32 is a sum of three of them, but for 2⁻²⁴ of it, and a product of two
float32 that of six products of such parts: those left out are as small. A trial whose memory is infinite, or
above the largest bfloat16, becomes NaN.

In the kernels names that end in `gm` are of arrays in main memory, the others of the multiprocessor's own.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import mosaic_gpu as plgpu
from jaxtyping import Array, BFloat16, Float

from rl3_jax.policies.gru import open_gates, remember
from rl3_jax.policies.products import Compute

BLOCK = 64
"""Trials of a block: the rows that tensor cores multiply at once."""
_PAIRS = {
    "bfloat16": ((0, 0),),
    "float32": ((2, 0), (0, 2), (1, 1), (1, 0), (0, 1), (0, 0)),
}
"""Parts of the left and of the right operand whose products are summed, by the type of the operands.

The small ones come first: tensor cores cut off what a sum has no room for, towards zero at each addition.
"""
_NUM_PARTS = {compute: 1 + max(map(max, pairs)) for compute, pairs in _PAIRS.items()}
_GATES = range(3)
"""Reset, update and new value."""


def forward(
    kernel: Float[Array, "W 3*W"],
    bias: Float[Array, " W"],
    first: Float[Array, "B W"],
    projected: Float[Array, "T B 3*W"],
    compute: Compute,
    interpret: Any = None,
) -> Float[Array, "T B W"]:
    """Return the memories of B trials after each of T steps.

    h' = (1 − z) n + z h, with r = σ(x_r + h U_r), z = σ(x_z + h U_z) and n = tanh(x_n + r (h U_n + c)).

    Args:
      kernel: [U_r, U_z, U_n].
      bias: c.
      first: the memories before.
      projected: [x_r, x_z, x_n], the inputs' part of each gate.
      compute: the type that products take their operands in.
      interpret: how a kernel is interpreted where there is no such GPU, as `plgpu.kernel` takes it.
    """
    tile = jnp.broadcast_to(bias, (BLOCK, bias.size))
    run = partial(_forward, compute, interpret)
    return _batched(run)(_weights(kernel, compute), tile, first, projected)


def backward(
    kernel: Float[Array, "W 3*W"],
    d_last: Float[Array, "B W"],
    d_outputs: Float[Array, "T B W"],
    factors: Float[Array, "T B 3*W"],
    update: Float[Array, "T B W"],
    compute: Compute,
    interpret: Any = None,
) -> tuple[Float[Array, "B W"], Float[Array, "T B W"]]:
    """Return the gradient of the memories before the first step, and of those after each.

    g_t = d_t + k_{t+1} and k_t = g_t z + [g_t f_r, g_t f_z, g_t f_q] [U_r, U_z, U_n]ᵀ, the last step first.

    Args:
      kernel: [U_r, U_z, U_n].
      d_last: k after the last step.
      d_outputs: d.
      factors: [f_r, f_z, f_q].
      update: z.
      compute: the type that products take their operands in.
      interpret: as `forward` takes it.
    """
    run = partial(_backward, compute, interpret)
    back = _weights(kernel, compute).swapaxes(-1, -2)
    return _batched(run)(back, d_last, d_outputs, factors, update)


def _weights(kernel: Float[Array, "W 3*W"], compute: Compute) -> BFloat16[Array, "P W W"]:
    """Return the parts of the gates' weights: the first part of each of the three, then the second ones."""
    return jnp.concatenate(_parts(jnp.stack(jnp.split(kernel, 3, axis=-1)), compute, _near))


def _near(x: Float[Array, "*shape"]) -> BFloat16[Array, "*shape"]:
    # XLA would take a conversion to bfloat16 and back for nothing at all.
    return jax.lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7).astype(jnp.bfloat16)


def _parts(x: Array, compute: Compute, near: Callable[[Array], Array]) -> list[Array]:
    """Return bfloat16 arrays that x is the sum of, the largest first, or the one nearest to it."""
    found = [near(x)]
    for _ in range(_NUM_PARTS[compute] - 1):
        x = x - found[-1].astype(jnp.float32)
        found.append(near(x))
    return found


def _batched(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return `run`, whose operands and results lead with N policies, for one, or a batch under `vmap`.

    What `vmap` does not batch is copied, and each of its policies has blocks of its own.
    """

    @jax.custom_batching.custom_vmap
    def many(*operands: Array) -> Any:
        return run(*operands)

    @many.def_vmap
    def batch(axis_size, in_batched, *operands):
        def merged(x, batched):
            x = x if batched else jnp.broadcast_to(x, (axis_size, *x.shape))
            return x.reshape(-1, *x.shape[2:])

        found = many(*map(merged, operands, in_batched))
        found = jax.tree.map(lambda x: x.reshape(axis_size, -1, *x.shape[1:]), found)
        return found, jax.tree.map(lambda _: True, found)

    return lambda *operands: jax.tree.map(lambda x: x[0], many(*(x[None] for x in operands)))


@partial(jax.jit, static_argnums=(0, 1))
def _forward(compute: Compute, interpret: Any, weights: Array, bias: Array, first: Array, x: Array) -> Array:
    """Return the memories [N, T, B, W] of N policies; the operands lead with N, too."""
    num_steps, num_trials, width = *x.shape[1:3], first.shape[-1]
    first, x = _filled(first), _filled(x)

    def gru_forward(given, memories_gm, own):
        weights_gm, bias_gm, first_gm, x_gm = given
        weights, parts, bias, out, x, ready, read = own
        policy, trials = _place()

        def fetch(t):
            for gate in _GATES:
                plgpu.copy_gmem_to_smem(x_gm.at[policy, t, trials, _columns(gate, width)], x.at[gate], read)

        def products(*sums):
            for gate in _GATES:
                _multiply(parts, weights, gate, sums[gate], compute)
            return [total[...] for total in sums]

        def step(t, memory):
            recurrent = pl.run_scoped(products, *[_sum(width)] * 3)
            plgpu.barrier_wait(read)
            gates = open_gates(bias[...], [x[gate] for gate in _GATES], recurrent)
            memory = remember(memory, gates)
            plgpu.wait_smem_to_gmem(0, wait_read_only=True)  # the memory of the step before
            out[...] = memory
            _store(memory, parts, compute)
            plgpu.commit_smem()
            plgpu.copy_smem_to_gmem(out, memories_gm.at[policy, t, trials])
            fetch(jnp.minimum(t + 1, num_steps - 1))
            return memory

        plgpu.copy_gmem_to_smem(weights_gm.at[policy], weights, ready)
        plgpu.copy_gmem_to_smem(bias_gm.at[policy], bias, ready)
        plgpu.copy_gmem_to_smem(first_gm.at[policy, trials], out, ready)
        fetch(0)
        plgpu.barrier_wait(ready)
        _store(out[...], parts, compute)
        plgpu.commit_smem()
        jax.lax.fori_loop(0, num_steps, step, out[...])
        plgpu.barrier_wait(read)
        plgpu.wait_smem_to_gmem(0)

    memories = jax.ShapeDtypeStruct((*x.shape[:-1], width), jnp.float32)
    tiles = (_tiles(width), _tiles(width), _tiles(width, 3))
    scratch = [*_operands(width, compute), *tiles, *_barriers(3, 3)]
    return _launch(gru_forward, memories, scratch, interpret)((weights, bias, first, x))[:, :, :num_trials]


@partial(jax.jit, static_argnums=(0, 1))
def _backward(
    compute: Compute, interpret: Any, weights: Array, d_last: Array, d: Array, factors: Array, z: Array
) -> tuple[Array, Array]:
    """Return the gradients [N, B, W] and [N, T, B, W] of N policies; the operands lead with N, too."""
    num_steps, num_trials, width = d.shape[1:]
    d_last, d, factors, z = (_filled(x) for x in (d_last, d, factors, z))

    def gru_backward(given, gradients_gm, own):
        weights_gm, d_last_gm, d_gm, factors_gm, z_gm = given
        d_first_gm, d_memories_gm = gradients_gm
        weights, parts, out, d, z, factors, ready, read = own
        policy, trials = _place()

        def fetch(t):
            plgpu.copy_gmem_to_smem(d_gm.at[policy, t, trials], d, read)
            plgpu.copy_gmem_to_smem(z_gm.at[policy, t, trials], z, read)

        def fetch_factor(t, gate):
            source = factors_gm.at[policy, t, trials, _columns(gate, width)]
            plgpu.copy_gmem_to_smem(source, factors.at[gate], read)

        def step(i, d_memory):
            t = num_steps - 1 - i
            before = jnp.maximum(t - 1, 0)
            plgpu.barrier_wait(read)
            d_memory = d_memory + d[...]
            kept = d_memory * z[...]
            plgpu.wait_smem_to_gmem(0, wait_read_only=True)  # the gradient of the step after
            out[...] = d_memory
            plgpu.commit_smem()
            plgpu.copy_smem_to_gmem(out, d_memories_gm.at[policy, t, trials])
            fetch(before)

            def add(gate, kept):
                _store(d_memory * factors[gate], parts, compute)
                plgpu.commit_smem()
                fetch_factor(before, gate)

                def product(total):
                    _multiply(parts, weights, gate, total, compute)
                    return total[...]  # waits: the next gate's parts take the place of this one's

                return kept + pl.run_scoped(product, _sum(width))

            return jax.lax.fori_loop(0, len(_GATES), add, kept)

        plgpu.copy_gmem_to_smem(weights_gm.at[policy], weights, ready)
        plgpu.copy_gmem_to_smem(d_last_gm.at[policy, trials], out, ready)
        fetch(num_steps - 1)
        for gate in _GATES:
            fetch_factor(num_steps - 1, gate)
        plgpu.barrier_wait(ready)
        d_first = jax.lax.fori_loop(0, num_steps, step, out[...])
        plgpu.barrier_wait(read)
        plgpu.wait_smem_to_gmem(0, wait_read_only=True)
        out[...] = d_first
        plgpu.commit_smem()
        plgpu.copy_smem_to_gmem(out, d_first_gm.at[policy, trials])
        plgpu.wait_smem_to_gmem(0)

    gradients = tuple(jax.ShapeDtypeStruct(x.shape, jnp.float32) for x in (d_last, d))
    tiles = (_tiles(width), _tiles(width), _tiles(width), _tiles(width, 3))
    scratch = [*_operands(width, compute), *tiles, *_barriers(2, 5)]
    run = _launch(gru_backward, gradients, scratch, interpret)
    d_first, d_memories = run((weights, d_last, d, factors, z))
    return d_first[:, :num_trials], d_memories[:, :, :num_trials]


def _filled(array: Float[Array, "*N B V"]) -> Float[Array, "*N C V"]:
    """Return it for a whole number of blocks; trials that there are not are zeros."""
    missing = -array.shape[-2] % BLOCK
    return jnp.pad(array, [(0, 0)] * (array.ndim - 2) + [(0, missing), (0, 0)]) if missing else array


def _launch(
    body: Callable[..., None], outputs: Any, scratch: list[Any], interpret: Any
) -> Callable[..., Any]:
    """Return a kernel of a block for each policy and each 64 trials."""
    shape = jax.tree.leaves(outputs)[0].shape
    run = plgpu.kernel(
        body,
        out_type=[outputs],
        scratch_types=[scratch],
        compiler_params=plgpu.CompilerParams(lowering_semantics=plgpu.LoweringSemantics.Warpgroup),
        grid=(shape[0], shape[-2] // BLOCK),
        grid_names=("policy", "block"),
        interpret=interpret,
    )
    return lambda *operands: run(*operands)[0]


def _place() -> tuple[Any, Any]:
    """Return which policy a block is of, and which trials."""
    return jax.lax.axis_index("policy"), pl.ds(jax.lax.axis_index("block") * BLOCK, BLOCK)


def _columns(gate: Any, width: int) -> Any:
    return pl.ds(gate * width, width)


def _operands(width: int, compute: Compute) -> list[Any]:
    """Return the memory of the weights' parts, and of those of what is multiplied with them."""
    num = _NUM_PARTS[compute]
    shapes = ((3 * num, width, width), (num, BLOCK, width))
    return [plgpu.SMEM(shape, jnp.bfloat16, transforms=_in_rows(2 * width)) for shape in shapes]


def _tiles(width: int, *num: int) -> Any:
    return plgpu.SMEM((*num, BLOCK, width), jnp.float32, transforms=_in_rows(128, of_bytes=4))


def _in_rows(num_bytes: int, of_bytes: int = 2) -> Any:
    """Return how matrices lie in a multiprocessor's memory, for all of its banks to be read at once."""
    return plgpu.TilingTransform((8, num_bytes // of_bytes)), plgpu.SwizzleTransform(num_bytes)


def _sum(width: int) -> Any:
    return plgpu.WGMMAAccumulatorRef((BLOCK, width), jnp.float32)


def _barriers(*num_copies: int) -> list[Any]:
    """Return what to wait at for so many copies each."""
    return [plgpu.Barrier(num_arrivals=num) for num in num_copies]


def _store(x: Float[Array, "B W"], parts: Any, compute: Compute) -> None:
    """Write what is to be multiplied where tensor cores read it."""
    for place, part in enumerate(_parts(x, compute, lambda x: x.astype(jnp.bfloat16))):
        parts[place] = part


def _multiply(parts: Any, weights: Any, gate: Any, total: Any, compute: Compute) -> None:
    """Add the product with a gate's weights to a sum."""
    for left, right in _PAIRS[compute]:
        plgpu.wgmma(total, parts.at[left], weights.at[3 * right + gate])
