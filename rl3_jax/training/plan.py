"""What a run takes, counted before anything of it is computed."""

import dataclasses
import math
from functools import partial
from typing import Any, cast

import jax
from jaxtyping import PyTree

from rl3_jax import ppo
from rl3_jax.policies import Policy
from rl3_jax.training.config import TrainConfig
from rl3_jax.training.evaluation import BATCH
from rl3_jax.training.train import TrainState, init


@dataclasses.dataclass(frozen=True)
class Counts:
    """Sizes of a run, from the shapes that its own functions have.

    Attributes:
      parameters: numbers that are learnt.
      parameter_bytes: of these.
      optimiser_bytes: of the optimisers' states.
      trajectory_bytes: of the batch that an iteration collects and learns from.
      update_bytes: of what the update cannot do without in that batch.
      carry_bytes: of the memories of all trials while they are collected.
      activation_bytes: of what the forward pass over a minibatch stores for the backward pass.
      evaluation_bytes: of the actor's memories of the tasks that are evaluated at once.
    """

    parameters: int
    parameter_bytes: int
    optimiser_bytes: int
    trajectory_bytes: int
    update_bytes: int
    carry_bytes: int
    activation_bytes: int
    evaluation_bytes: int

    @property
    def state_bytes(self) -> int:
        """What a run holds all the time."""
        return self.parameter_bytes + self.optimiser_bytes

    @property
    def least_bytes(self) -> int:
        """What an update holds for certain, whatever the compiler makes of the rest."""
        return self.state_bytes + self.update_bytes

    @property
    def evaluating_bytes(self) -> int:
        """What an evaluation holds for certain, 0 without one."""
        return self.state_bytes + self.evaluation_bytes if self.evaluation_bytes else 0


def count(config: TrainConfig) -> Counts:
    """Return the sizes of a run. Functions are traced; nothing is compiled or allocated."""
    policy, learnt = config.network, abstract_state(config).learnt
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), config.ppo.trials))
    batch, _ = jax.eval_shape(
        lambda params, keys: ppo.collect(config.ppo, config.env, policy, params, keys), learnt.params, keys
    )
    return Counts(
        parameters=sum(leaf.size for leaf in jax.tree.leaves(learnt.params)),
        parameter_bytes=num_bytes(learnt.params),
        optimiser_bytes=num_bytes(learnt.opt_state),
        trajectory_bytes=num_bytes(batch),
        update_bytes=num_bytes(_read_by_the_update(batch)),
        carry_bytes=_carry_bytes(policy, config.ppo.trials),
        activation_bytes=_activation_bytes(config.ppo, policy, learnt.params, batch),
        evaluation_bytes=evaluation_bytes(config),
    )


def evaluation_bytes(config: TrainConfig) -> int:
    """Return the bytes of the actor's memories of the tasks that are evaluated at once; 0 if none are."""
    hyper = config.evaluation
    return _carry_bytes(config.network, min(BATCH, hyper.num_tasks)) if hyper.every else 0


def abstract_state(config: TrainConfig) -> TrainState:
    """Return the shapes of a run's state."""
    return jax.eval_shape(lambda key: init(config, key), jax.random.key(0))


def num_bytes(tree: PyTree) -> int:
    """Return the bytes of all arrays of a tree, or of arrays of their shapes."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")]
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)


def _read_by_the_update(batch: ppo.Batch) -> ppo.Batch:
    """Return the batch without what a compiler may drop: inputs of the advantages, and a constant."""
    trajectory = dataclasses.replace(cast(Any, batch.trajectory), rewards=None, values=None)
    return dataclasses.replace(cast(Any, batch), trajectory=trajectory, value_scale=None)


def _carry_bytes(policy: Policy, num_trials: int) -> int:
    """Return the bytes of one network's memories of some trials."""
    return num_bytes(jax.eval_shape(lambda: policy.initial_carries(num_trials)))


def _activation_bytes(hyper: ppo.PPOConfig, policy: Policy, params: PyTree, batch: ppo.Batch) -> int:
    """Return the bytes of the residuals of a minibatch: of the larger network, as one comes after the other.

    Parameters are among them, as the backward pass reads these too, and are not counted here.
    """

    def part(leaf):
        return jax.ShapeDtypeStruct((leaf.shape[0] // hyper.num_minibatches, *leaf.shape[1:]), leaf.dtype)

    def residuals(loss: Any, *names: str) -> int:
        chosen = {name: params[name] for name in names}

        def backward(chosen, batch):
            return jax.tree.leaves(jax.vjp(lambda params: loss(params, batch), chosen)[1])

        return num_bytes(jax.eval_shape(backward, chosen, jax.tree.map(part, batch))) - num_bytes(chosen)

    def loss(params, batch):
        return ppo.loss(hyper, policy, params, batch, jax.numpy.float32(0.0))[0]

    if policy.config.shared_trunk:
        return max(0, residuals(loss, "actor", "critic"))
    critic_loss = partial(ppo.critic_loss, hyper, policy)
    return max(0, residuals(loss, "actor"), residuals(critic_loss, "critic"))
