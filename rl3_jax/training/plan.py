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


def count(config: TrainConfig) -> dict[str, int]:
    """Return the bytes of a run's arrays. Functions are traced; nothing is compiled or allocated.

    `parameters`, four bytes each; `optimiser`, the optimisers' states; `trajectory`, the batch that an
    iteration collects and learns from; `update`, what the update cannot do without in that batch; `carries`,
    the memories of all trials while they are collected; `activations`, what the forward pass over a part of a
    minibatch stores for the backward pass; `evaluation`, see `evaluation_bytes`.
    """
    policy, learnt = config.network, abstract_state(config).learnt
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), config.ppo.trials))
    batch, _ = jax.eval_shape(
        lambda params, keys: ppo.collect(config.ppo, config.env, policy, params, keys), learnt.params, keys
    )
    # A compiler may drop inputs of the advantages, and a constant.
    trajectory = dataclasses.replace(cast(Any, batch.trajectory), rewards=None, values=None)
    read = dataclasses.replace(cast(Any, batch), trajectory=trajectory, value_scale=None)
    return {
        "parameters": num_bytes(learnt.params),
        "optimiser": num_bytes(learnt.opt_state),
        "trajectory": num_bytes(batch),
        "update": num_bytes(read),
        "carries": _carry_bytes(policy, config.ppo.trials),
        "activations": _activation_bytes(config.ppo, policy, learnt.params, batch),
        "evaluation": evaluation_bytes(config),
    }


def least_bytes(config: TrainConfig) -> int:
    """Return what a run takes at the least: its state, and three numbers of each step of an iteration."""
    return num_bytes(abstract_state(config)) + 3 * 4 * config.steps_per_iteration


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


def _carry_bytes(policy: Policy, num_trials: int) -> int:
    return num_bytes(jax.eval_shape(lambda: policy.initial_carries(num_trials)))


def _activation_bytes(hyper: ppo.PPOConfig, policy: Policy, params: PyTree, batch: ppo.Batch) -> int:
    """Return the bytes of the residuals of a part of a minibatch, of the network that has more of them.

    Parameters are among them, as the backward pass reads these too, and are not counted here.
    """

    num_sequences, length = batch.advantages.shape
    num_sequences //= hyper.num_minibatches
    num_sequences //= hyper.num_parts(num_sequences, length)

    def part(leaf):
        return jax.ShapeDtypeStruct((num_sequences, *leaf.shape[1:]), leaf.dtype)

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
