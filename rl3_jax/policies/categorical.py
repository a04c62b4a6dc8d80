"""The categorical distribution over actions, given by log π(·), normalised."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray


def sample(key: PRNGKeyArray, logits: Float[Array, " A"]) -> Int[Array, ""]:
    """Draw an action from softmax(logits). The key is consumed."""
    return jax.random.categorical(key, logits)


def select(table: Float[Array, "*steps A"], action: Int[Array, "*steps"]) -> Float[Array, "*steps"]:
    """Return the entry of each action, e.g. log π(a) from log π(·)."""
    # A product with a one-hot is faster than a gather on a CPU, above all backward.
    return (table * jax.nn.one_hot(action, table.shape[-1])).sum(-1)


def entropy(log_probs: Float[Array, "*steps A"]) -> Float[Array, "*steps"]:
    """Return −Σ_a π(a) log π(a), nats."""
    return -(jnp.exp(log_probs) * log_probs).sum(-1)


def kl(log_probs: Float[Array, "*steps A"], other: Float[Array, "*steps A"]) -> Float[Array, "*steps"]:
    """Return KL(π‖π') = Σ_a π(a) (log π(a) − log π'(a)), nats, with π' the other policy."""
    return (jnp.exp(log_probs) * (log_probs - other)).sum(-1)
