"""Compiled training: one iteration, and many in one call (design, section 8).

Random keys are derived from (seed, purpose, iteration, task index) and never carried along. So a resumed run
draws what an uninterrupted one draws, the sample of tasks does not depend on the number of devices, and
evaluation shares no key with training even if the two seeds are equal.
"""

import enum
from functools import partial
from typing import cast

import jax
import jax.numpy as jnp
from flax import struct
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from rl3_jax import ppo
from rl3_jax.errors import ConfigError
from rl3_jax.training.config import TrainConfig
from rl3_jax.training.hyper import Hyper, bind, hyper_of, program_of, rates

CHUNK_CAPACITY = 64
"""Iterations that one call can run, the length of the metrics it returns."""

TASKS = "tasks"
"""The axis of a mesh along which devices share the trials of an iteration."""

METRICS = (
    "mean_return", "actor_loss", "critic_loss", "entropy", "kl", "actor_epochs", "explained_variance",
    "learning_rate", "entropy_bonus", "novelty_bonus", "max_abs_log_ratio", "dropped_transitions",
)  # fmt: skip
"""Names of the metrics of any run's iteration; `max_abs_log_ratio` is that of its first minibatch."""


class Purpose(enum.IntEnum):
    """What a stream of keys is for; the numbers are part of a run's identity."""

    INIT = 0
    COLLECT = 1
    UPDATE = 2
    EVALUATION_TASK = 3
    EVALUATION_TRIAL = 4


def stream(root: PRNGKeyArray, purpose: Purpose, iteration: Int[Array, ""] | int = 0) -> PRNGKeyArray:
    """Return the key for a purpose in an iteration."""
    return jax.random.fold_in(jax.random.fold_in(root, purpose), iteration)


def task_keys(key: PRNGKeyArray, start: int | Int[Array, ""], num_tasks: int) -> Key[Array, " B"]:
    """Return [num_tasks] keys for the task indices from `start` on."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, start + jnp.arange(num_tasks))


def metric_names(config: TrainConfig) -> tuple[str, ...]:
    """Return the names of a run's metrics: those of any run, then those of its family's summary of trials."""
    return METRICS + config.task.summary_names


@struct.dataclass
class TrainState:
    """All that changes in a run; saved and restored whole.

    Attributes:
      learnt: parameters and optimiser states.
      iteration: [] iterations done.
      key: [] root of all training streams, from the seed; constant.
    """

    learnt: ppo.PPOState
    iteration: Int[Array, ""]
    key: PRNGKeyArray


def init(config: TrainConfig, key: PRNGKeyArray) -> TrainState:
    """Return the state of a run before its first iteration.

    Args:
      config: the run.
      key: root of all its random streams, e.g. `jax.random.key(config.seed)`; kept in the state.
    """
    return _init(program_of(config), key)


@partial(jax.jit, static_argnames="config")
def _init(config: TrainConfig, key: PRNGKeyArray) -> TrainState:
    """Return what `init` does, compiled once for all runs that share a program."""
    learnt = ppo.init(config.ppo, config.network, stream(key, Purpose.INIT))
    return TrainState(learnt=learnt, iteration=jnp.int32(0), key=key)


def mesh_of(state: TrainState) -> Mesh | None:
    """Return the devices that share the trials of a run: those of the mesh on which it lies, if it does.

    So `jax.device_put(state, NamedSharding(Mesh(jax.devices(), ("tasks",)), PartitionSpec()))` decides it.
    """
    sharding = getattr(state.iteration, "sharding", None)
    if isinstance(sharding, NamedSharding) and TASKS in sharding.mesh.axis_names:
        return cast(Mesh, sharding.mesh)
    return None


def train_iteration(
    config: TrainConfig, hyper: Hyper, state: TrainState, axis: str | None = None
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """Run one iteration; returns the new state and its metrics, named by `metric_names`.

    Args:
      config: the run; the numbers that `hyper` has are not read from it.
      hyper: the run's numbers, e.g. `hyper_of(config)`.
      state: its state.
      axis: of a mesh, under `jax.shard_map`: its devices take equally many trials each, and return the same.
    """
    now = rates(hyper, state.iteration)
    config = bind(config, hyper)
    num_trials = config.ppo.trials // ppo.num_devices(axis)
    key_collect = stream(state.key, Purpose.COLLECT, state.iteration)
    keys = task_keys(key_collect, num_trials * ppo.place(axis), num_trials)
    key_update = stream(state.key, Purpose.UPDATE, state.iteration)
    policy, params = config.network, state.learnt.params
    batch, metrics = ppo.collect(config.ppo, config.env, policy, params, keys, now.novelty_bonus, axis)
    learnt, learning = ppo.update(config.ppo, policy, state.learnt, batch, now, key_update)
    metrics |= learning | vars(now)
    return TrainState(learnt=learnt, iteration=state.iteration + 1, key=state.key), metrics


def train_steps(
    config: TrainConfig, hyper: Hyper, state: TrainState, num_iterations: Int[Array, ""] | int
) -> tuple[TrainState, dict[str, Float[Array, " C"]]]:
    """Run several iterations in one call.

    The number of iterations is an argument, not a constant of the program, as are the run's numbers: one
    compilation serves calls of any length and all configurations that differ in what `hyper` has. The result
    does not depend on how a run is cut into calls.

    Args:
      config: the run; the numbers that `hyper` has are not read from it.
      hyper: the run's numbers, e.g. `hyper_of(config)`.
      state: its state; donated, so not to be used again. It may lie on several devices, see `mesh_of`.
      num_iterations: at most C = `CHUNK_CAPACITY`, 64.

    Returns:
      The new state, and [C] arrays of metrics, of which the first `num_iterations` entries count.

    Raises:
      ConfigError: if these are more iterations than C.
    """
    if isinstance(num_iterations, int) and num_iterations > CHUNK_CAPACITY:
        raise ConfigError(f"num_iterations is {num_iterations}; one call runs {CHUNK_CAPACITY} at the most")
    hyper = jax.tree.map(jnp.float32, hyper)
    return _train_steps(program_of(config), hyper, state, num_iterations, mesh_of(state))


def lower_steps(
    config: TrainConfig, state: TrainState, platform: str | None = None, *, side_by_side: bool = False
) -> jax.stages.Lowered:
    """Return the program of `train_steps` for states of this form; it takes hyper, state and a number.

    Args:
      config: the run.
      state: its state, or its shapes; where it lies decides the devices, see `mesh_of`.
      platform: `cpu`, `gpu` or `tpu`, which need not be there; the default backend's, if not given.
      side_by_side: for R runs, which differ in their seeds and in what `hyper` has alone: the leaves of state
        and hyper lead with R.
    """
    named, hyper, train = "cuda" if platform == "gpu" else platform, hyper_of(config), _train_steps
    if side_by_side:
        hyper = jax.tree.map(lambda number: jnp.full(state.iteration.shape, number), hyper)
        train = _train_side_by_side
    traced = train.trace(program_of(config, platform), hyper, state, jnp.int32(1), mesh_of(state))
    return traced.lower(lowering_platforms=None if named is None else (named,))


@partial(jax.jit, static_argnames=("config", "mesh"), donate_argnames="states")
def _train_side_by_side(
    config: TrainConfig,
    hyper: Hyper,
    states: TrainState,
    num_iterations: Int[Array, ""] | int,
    mesh: Mesh | None,
) -> tuple[TrainState, dict[str, Float[Array, "R C"]]]:
    """Return what `train_steps` does for each of R runs."""
    train = partial(_train_steps, config, mesh=mesh)
    return jax.vmap(train, in_axes=(0, 0, None))(hyper, states, num_iterations)


@partial(jax.jit, static_argnames=("config", "mesh"), donate_argnames="state")
def _train_steps(
    config: TrainConfig,
    hyper: Hyper,
    state: TrainState,
    num_iterations: Int[Array, ""] | int,
    mesh: Mesh | None = None,
) -> tuple[TrainState, dict[str, Float[Array, " C"]]]:
    """Return what `train_steps` does, on the devices of a mesh."""
    if mesh is None:
        return _steps(config, None, hyper, state, num_iterations)
    steps = partial(_steps, config, TASKS)
    # The sums are said by hand: JAX's own bookkeeping of what devices share would add others.
    return jax.shard_map(steps, mesh=mesh, in_specs=P(), out_specs=P(), check_vma=False)(
        hyper, state, num_iterations
    )


def _steps(
    config: TrainConfig,
    axis: str | None,
    hyper: Hyper,
    state: TrainState,
    num_iterations: Int[Array, ""] | int,
) -> tuple[TrainState, dict[str, Float[Array, " C"]]]:
    """Return what `train_steps` does, on one device or on each along an axis."""
    names = metric_names(config)

    def body(index, carry):
        state, history = carry
        state, metrics = train_iteration(config, hyper, state, axis)
        history = {name: history[name].at[index].set(metrics[name].astype(jnp.float32)) for name in names}
        return state, history

    history = {name: jnp.zeros(CHUNK_CAPACITY) for name in names}
    return jax.lax.fori_loop(0, num_iterations, body, (state, history))
