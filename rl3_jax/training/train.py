"""Training: one iteration (design, section 8).

Random keys are derived from (seed, purpose, iteration, task index) and never carried along. So a resumed run
draws what an uninterrupted one draws, the sample of tasks does not depend on the number of devices, and
evaluation shares no key with training even if the two seeds are equal.
"""

import enum

import jax
import jax.numpy as jnp
from flax import struct
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray

from rl3_jax import ppo
from rl3_jax.programs import jit_of_few
from rl3_jax.training.config import TrainConfig
from rl3_jax.training.hyper import Hyper, bind, program_of, rates

METRICS = (
    "mean_return", "actor_loss", "critic_loss", "entropy", "kl", "actor_epochs", "explained_variance",
    "learning_rate", "entropy_bonus", "novelty_bonus", "max_abs_log_ratio", "dropped_transitions",
    "steps_outside",
)  # fmt: skip
"""Names of the metrics of any run's iteration, before those of its family's summary of trials."""
FIELDS = (
    *("iteration", "steps", "wall_seconds", "steps_per_second", "mean_return", "evaluation_return"),
    *(name for name in METRICS if name not in ("mean_return", "steps_outside")),
)
"""Fields of any run's line of metrics, in order; those that begin with `evaluation_` only where measured.

`steps_outside` is not among them: a run stops where it is not 0."""


Integer = Int[Array, ""] | int


class Purpose(enum.IntEnum):
    """What a stream of keys is for; the numbers are part of a run's identity."""

    INIT = 0
    COLLECT = 1
    UPDATE = 2
    EVALUATION_TASK = 3
    EVALUATION_TRIAL = 4


def stream(root: PRNGKeyArray, purpose: Purpose, iteration: Integer = 0) -> PRNGKeyArray:
    """Return the key for a purpose in an iteration."""
    return jax.random.fold_in(jax.random.fold_in(root, purpose), iteration)


def task_keys(key: PRNGKeyArray, start: Integer, num_tasks: int) -> Key[Array, " B"]:
    """Return [num_tasks] keys for the task indices from `start` on."""
    return jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, start + jnp.arange(num_tasks))


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

    The key, e.g. `jax.random.key(config.seed)`, is the root of all its random streams, kept in the state.
    """
    return _init(program_of(config), key)


@jit_of_few(["config"])
def _init(config: TrainConfig, key: PRNGKeyArray) -> TrainState:
    learnt = ppo.init(config.ppo, config.network, stream(key, Purpose.INIT))
    return TrainState(learnt=learnt, iteration=jnp.int32(0), key=key)


def train_iteration(
    config: TrainConfig, hyper: Hyper, state: TrainState, axis: str | None = None
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """Run one iteration; returns the new state and its metrics, `METRICS` and the summary of trials.

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
    keys = task_keys(key_collect, num_trials * ppo.device_index(axis), num_trials)
    key_update = stream(state.key, Purpose.UPDATE, state.iteration)
    policy, params = config.network, state.learnt.params
    batch, metrics = ppo.collect(config.ppo, config.env, policy, params, keys, now.novelty_bonus, axis)
    learnt, learning = ppo.update(config.ppo, policy, state.learnt, batch, now, key_update)
    metrics |= learning | vars(now)
    return TrainState(learnt=learnt, iteration=state.iteration + 1, key=state.key), metrics
