"""The kernels that take all steps of a GRU: interpreted, or run where there is a GPU that they are for."""

from functools import partial
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.pallas.mosaic_gpu.interpret import gpu_callbacks
from jax._src.pallas.mosaic_gpu.interpret.params import InterpretGPUParams

from rl3_jax.errors import ConfigError
from rl3_jax.policies import CoreSpec, Gru, Markov, PolicyConfig, device_problems, gru_kernel
from rl3_jax.policies.gru import INPUT, KERNEL_WIDTHS, RECURRENT
from rl3_jax.presets import make_config
from rl3_jax.run.program import placement
from tests.policies.test_gru import assert_close_trees, loss_of, plain
from tests.reference import recurrent

NUM_TASKS, NUM_STEPS, WIDTH = 70, 4, 64
"""More than a block of 64, and not two."""
HERE = jax.devices()[0]
INTERPRET = (
    None if getattr(HERE, "compute_capability", None) == "9.0" else InterpretGPUParams(detect_races=True)
)
forward = partial(gru_kernel.forward, interpret=INTERPRET)
backward = partial(gru_kernel.backward, interpret=INTERPRET)


@pytest.fixture(autouse=True)
def _no_races():
    """Fail if a kernel read what it had not waited for, or wrote what was still to be read."""
    yield
    races = gpu_callbacks._races  # of the last kernel, if any was interpreted
    assert races is None or not races.races_found


def draw(seed, *shapes):
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    return [jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True)]


def given(seed=0, width=WIDTH):
    """Weights, their bias, memories before the first step and the inputs' part of the gates."""
    wide = 3 * width
    kernel, *others = draw(seed, (width, wide), (width,), (NUM_TASKS, width), (NUM_STEPS, NUM_TASKS, wide))
    return kernel / np.sqrt(width), *others


def cotangents(seed=1, width=WIDTH):
    """What `backward` takes after the weights."""
    steps = (NUM_STEPS, NUM_TASKS, width)
    last, outputs, factors, update = draw(seed, steps[1:], steps, (*steps[:2], 3 * width), steps)
    return last, outputs, factors, jax.nn.sigmoid(update)


def twin(kernel, bias, first, projected):
    """Memories [T, B, W] of the reference, whose inputs are the parts of gates that are given."""
    parts = zip(INPUT, np.split(np.eye(3 * bias.size), 3, axis=1), strict=True)
    params = {name: {"kernel": part, "bias": np.zeros(bias.size)} for name, part in parts}
    of_memory = zip(RECURRENT, np.split(np.asarray(kernel, np.float64), 3, axis=1), strict=True)
    params |= {name: {"kernel": part} for name, part in of_memory}
    params["hn"]["bias"] = bias
    return np.stack([recurrent.gru(params, first[i], projected[:, i]) for i in range(NUM_TASKS)], axis=1)


@pytest.mark.parametrize("width", KERNEL_WIDTHS)
def test_memories_are_those_of_the_numpy_twin(width):
    arrays = given(width=width)
    np.testing.assert_allclose(forward(*arrays, "float32"), twin(*arrays), rtol=0, atol=2e-6)


@pytest.mark.parametrize("width", KERNEL_WIDTHS)
def test_gradients_are_those_of_the_numpy_twin(width):
    arrays = (given(width=width)[0], *cotangents(width=width))
    assert_close_trees(backward(*arrays, "float32"), recurrent.gru_gradient(*arrays), relative=2e-6)


def test_operands_of_products_are_rounded_to_bfloat16():
    kernel, bias, first, projected = given()

    def near(x):
        return x.astype(jnp.bfloat16).astype(jnp.float32)

    one_step = forward(kernel, bias, first, projected[:1], "bfloat16")[0]
    exact = twin(near(kernel), bias, near(first), projected[:1])[0]
    # The reference rounds the memory that is carried on, too, and so far that it is multiplied with.
    update = jax.nn.sigmoid(projected[0, :, 64:128] + near(first) @ near(kernel[:, 64:128]))
    np.testing.assert_allclose(one_step, exact + update * (first - near(first)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 1e-20])
def test_a_float32_is_the_sum_of_its_parts(scale):
    kernel = scale * given()[0]
    parts = jax.jit(gru_kernel._weights, static_argnums=1)(kernel, "float32")
    whole = np.asarray(parts, np.float64).reshape(3, 3, -1, WIDTH).sum(0)
    np.testing.assert_allclose(whole, np.split(np.asarray(kernel, np.float64), 3, axis=1), rtol=2.0**-24)
    # For GPUs XLA leaves out a conversion to bfloat16 and back: the parts after the first would be zeros.
    rounded = [eqn.primitive.name for eqn in jax.make_jaxpr(gru_kernel._near)(kernel).eqns]
    assert rounded == ["reduce_precision", "convert_element_type"]


def on_tensor_cores(left, right):
    """Their product as the kernel takes it, if additions to a sum cut off what float32 has no room for."""
    total = np.zeros((len(left), right.shape[1]), np.float32)
    parts = [
        [np.asarray(part, np.float64) for part in gru_kernel._parts(x, "float32", gru_kernel._near)]
        for x in (left, right)
    ]
    for i, j in gru_kernel._PAIRS["float32"]:
        for at in range(0, len(right), 16):
            exact = total + parts[0][i][:, at : at + 16] @ parts[1][j][at : at + 16]
            total = exact.astype(np.float32)
            total = np.where(abs(total) > abs(exact), np.nextafter(total, np.float32(0)), total)
    return total


def test_additions_that_cut_off_lose_little():
    left, right = draw(0, (NUM_TASKS, WIDTH), (WIDTH, WIDTH))
    exact = np.asarray(left, np.float64) @ np.asarray(right, np.float64)
    error = np.sqrt(np.mean((on_tensor_cores(left, right) - exact) ** 2))
    assert error < 1.5e-7 * np.sqrt(np.mean(exact**2))


def test_policies_side_by_side_are_each_what_it_is_alone():
    each = [given(seed) for seed in (0, 1)]
    together = [jnp.stack(arrays) for arrays in zip(*each, strict=True)]
    found = jax.vmap(lambda *arrays: forward(*arrays, "float32"))(*together)
    np.testing.assert_array_equal(found, [forward(*arrays, "float32") for arrays in each])
    kernel, others = together[0], cotangents()
    back = jax.vmap(lambda kernel: backward(kernel, *others, "float32"))(kernel)  # all else is shared
    alone = [backward(one, *others, "float32") for one in kernel]
    for place, arrays in enumerate(zip(*alone, strict=True)):
        np.testing.assert_array_equal(back[place], arrays)


def events(jaxpr):
    """What happens to a multiprocessor's memory in turn, loops twice: operations with the arrays' types."""
    for eqn in jaxpr.eqns:
        parts = jax.tree.leaves(list(eqn.params.values()), is_leaf=lambda x: hasattr(x, "eqns"))
        inner = [
            getattr(part, "jaxpr", part) for part in parts if hasattr(getattr(part, "jaxpr", part), "eqns")
        ]
        for part in inner * (2 if eqn.primitive.name in ("scan", "while") else 1):
            yield from events(part)
        if not inner:
            yield eqn.primitive.name, [str(var.aval) for var in eqn.invars]


@pytest.mark.parametrize("compute", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("kernel", "arrays"),
    [(gru_kernel.forward, given), (gru_kernel.backward, lambda: (given()[0], *cotangents()))],
)
def test_memory_is_shared_with_other_units_in_order(kernel, arrays, compute):
    """What interpretation cannot tell, as all is in turn there; tensor cores and copies run beside it."""
    written, read, leaving, multiplying, seen = False, set(), False, False, set()
    for name, types in events(jax.make_jaxpr(lambda *arrays: kernel(*arrays, compute))(*arrays()).jaxpr):
        seen.add(name)
        if name == "commit_smem":
            written, read = False, set()
        elif name == "get":
            read.add(types[0])
        elif name == "swap":
            assert not (leaving and "{float32" in types[0])  # it would be overwritten while it is copied
            assert not (multiplying and "{bfloat16" in types[0])
            written = True
        elif name in ("wgmma_ref", "copy_smem_to_gmem"):
            assert not written
            leaving |= name == "copy_smem_to_gmem"
            multiplying |= name == "wgmma_ref"
        elif name.startswith(("wgmma_wait", "wgmma_accumulator_deref")):
            multiplying = False
        elif name == "wait_smem_to_gmem":
            leaving = False
        elif name == "copy_gmem_to_smem":
            assert types[1] not in read  # by some of the threads, and perhaps not yet by others
    assert not leaving
    assert seen >= {"swap", "get", "commit_smem", "wgmma_ref", "copy_smem_to_gmem", "copy_gmem_to_smem"}


@pytest.mark.usefixtures("as_on_gpu")
def test_the_core_is_that_of_autodiff(monkeypatch):
    monkeypatch.setattr(gru_kernel, "forward", forward)
    monkeypatch.setattr(gru_kernel, "backward", backward)
    spec = CoreSpec(width=WIDTH, horizon=NUM_STEPS)
    carry, inputs, last, weights = draw(0, *((NUM_TASKS, WIDTH), (NUM_TASKS, NUM_STEPS, WIDTH)) * 2)
    module = Gru(gradient="kernel").module(spec)
    params = module.init(jax.random.key(1), carry, inputs)["params"]
    found, expected = (
        jax.value_and_grad(loss_of(function, (last, weights)), (0, 1, 2))(params, carry, inputs)
        for function in (lambda params, *arrays: module.apply({"params": params}, *arrays), plain)
    )
    assert_close_trees(found, expected)


def test_a_width_that_it_is_not_for_is_refused():
    assert all(Gru(gradient="kernel").spec_problems(CoreSpec(width, 10)) == [] for width in KERNEL_WIDTHS)
    assert Gru().spec_problems(CoreSpec(48, 10)) == []
    (message,) = Gru(gradient="kernel").spec_problems(CoreSpec(48, 10))
    assert "a width of 32 or 64, and policy.width is 48" in message


def test_a_gpu_that_it_is_not_for_is_refused():
    ampere = mock.Mock(platform="gpu", compute_capability="8.0", device_kind="NVIDIA A100")
    hopper = mock.Mock(platform="gpu", compute_capability="9.0", device_kind="NVIDIA H100")
    (message,) = device_problems(Gru(gradient="kernel"), ampere)
    assert "NVIDIA A100 has 8.0" in message
    config = make_config("bandit-h100-quick", policy=PolicyConfig(core=Gru(gradient="kernel")))
    with pytest.raises(ConfigError, match=r"NVIDIA A100 has 8\.0"):
        placement(config, target=[ampere])
    assert device_problems(Gru(), ampere) == device_problems(Gru(gradient="kernel"), hopper) == []
    assert device_problems(Gru(gradient="kernel"), jax.local_devices(backend="cpu")[0]) == []
    assert device_problems(Markov(), ampere) == []
