"""Compiled training: many iterations in one call, on one device or several (design, section 8)."""

from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float

from rl3_jax.errors import ConfigError
from rl3_jax.programs import jit_of_few
from rl3_jax.training.config import TrainConfig
from rl3_jax.training.hyper import Hyper, hyper_of, program_of
from rl3_jax.training.train import METRICS, Integer, TrainState, train_iteration

CHUNK_CAPACITY = 64
"""Iterations that one call can run, the length of the metrics it returns."""

TASKS = "tasks"
"""The axis of a mesh along which devices share the trials of an iteration."""


def sharing_problems(config: TrainConfig, num_devices: int) -> list[str]:
    """Return a message if devices cannot share the trials of a minibatch equally."""
    size = config.ppo.minibatch_trials
    if size % num_devices == 0:
        return []
    return [
        f"devices is {num_devices}, which does not divide ppo.minibatch_trials ({size}): each takes equally"
        " many trials of a minibatch; change one of the two"
    ]


def mesh_of(config: TrainConfig, state: TrainState) -> Mesh | None:
    """Return the devices that share the trials of a run: those of the mesh on which it lies, if it does.

    So `jax.device_put(state, NamedSharding(Mesh(jax.devices(), ("tasks",)), PartitionSpec()))` decides it.

    Raises:
      ConfigError: if they cannot share them equally.
    """
    sharding = getattr(state.iteration, "sharding", None)
    if not isinstance(sharding, NamedSharding) or TASKS not in sharding.mesh.axis_names:
        return None
    if problems := sharing_problems(config, sharding.mesh.shape[TASKS]):
        raise ConfigError(problems)
    return cast(Mesh, sharding.mesh)


def train_steps(
    config: TrainConfig, hyper: Hyper, state: TrainState, num_iterations: Integer
) -> tuple[TrainState, dict[str, Float[Array, " C"]]]:
    """Run several iterations in one call.

    One compilation serves calls of any length and all configurations that differ in what `hyper` has. The
    result does not depend on how a run is cut into calls.

    Args:
      config: the run; the numbers that `hyper` has are not read from it.
      hyper: the run's numbers, e.g. `hyper_of(config)`.
      state: its state; donated, so not to be used again. It may lie on several devices, see `mesh_of`.
      num_iterations: at most C = `CHUNK_CAPACITY`, 64.

    Returns:
      The new state, and [C] arrays of metrics, of which the first `num_iterations` entries count.

    Raises:
      ConfigError: if these are more iterations than C, or devices cannot share the trials equally.
    """
    if isinstance(num_iterations, int) and num_iterations > CHUNK_CAPACITY:
        raise ConfigError(f"num_iterations is {num_iterations}; one call runs {CHUNK_CAPACITY} at the most")
    hyper = jax.tree.map(jnp.float32, hyper)
    return _train_steps(program_of(config), hyper, state, num_iterations, mesh_of(config, state))


def lower_steps(
    config: TrainConfig, state: TrainState, platform: str | None = None, *, side_by_side: bool = False
) -> jax.stages.Lowered:
    """Return the program of `train_steps` for states of this form; it takes hyper, state and a number.

    Args:
      config: the run.
      state: its state, or its shapes; where it lies decides the devices, see `mesh_of`.
      platform: `cpu`, `gpu` or `tpu`, which need not be there; the default backend's, if not given.
      side_by_side: for R runs that share a program: the leaves of state and hyper lead with R.
    """
    named = "cuda" if platform == "gpu" else platform
    where = getattr(state.iteration, "sharding", None)
    hyper = jax.tree.map(
        lambda number: jax.ShapeDtypeStruct(state.iteration.shape, number.dtype, sharding=where),
        hyper_of(config),
    )
    num_iterations = jax.ShapeDtypeStruct((), jnp.int32, sharding=where)
    train = _train_side_by_side if side_by_side else _train_steps
    traced = train.trace(program_of(config, platform), hyper, state, num_iterations, mesh_of(config, state))
    return traced.lower(lowering_platforms=None if named is None else (named,))


@jit_of_few(["config", "mesh"], ["states"])
def _train_side_by_side(
    config: TrainConfig, hyper: Hyper, states: TrainState, num_iterations: Integer, mesh: Mesh | None
) -> tuple[TrainState, dict[str, Float[Array, "R C"]]]:
    train = partial(_train_steps, config, mesh=mesh)
    return jax.vmap(train, in_axes=(0, 0, None))(hyper, states, num_iterations)


@jit_of_few(["config", "mesh"], ["state"])
def _train_steps(
    config: TrainConfig, hyper: Hyper, state: TrainState, num_iterations: Integer, mesh: Mesh | None = None
) -> tuple[TrainState, dict[str, Float[Array, " C"]]]:
    names = METRICS + config.task.summary_names
    axis = None if mesh is None else TASKS

    def steps(hyper, state, num_iterations):
        def body(index, carry):
            state, history = carry
            state, metrics = train_iteration(config, hyper, state, axis)
            history = {name: history[name].at[index].set(metrics[name].astype(jnp.float32)) for name in names}
            return state, history

        history = {name: jnp.zeros(CHUNK_CAPACITY) for name in names}
        return jax.lax.fori_loop(0, num_iterations, body, (state, history))

    if mesh is not None:
        # psum is explicit: with JAX's check of replication, gradients would be summed a second time.
        steps = jax.shard_map(steps, mesh=mesh, in_specs=P(), out_specs=P(), check_vma=False)
    return steps(hyper, state, num_iterations)
