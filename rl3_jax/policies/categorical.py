"""The categorical distribution over actions, given by logits."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray


def sample(key: PRNGKeyArray, logits: Float[Array, " A"]) -> Int[Array, ""]:
    """Draw an action. The key is consumed."""
    return jax.random.categorical(key, logits)


def log_prob(logits: Float[Array, "... A"], action: Int[Array, "..."]) -> Float[Array, "..."]:
    """Return log π(a)."""
    log_probs = jax.nn.log_softmax(logits)
    # A product with a one-hot is several times faster than a gather on a CPU, forward and backward.
    return (log_probs * jax.nn.one_hot(action, logits.shape[-1])).sum(-1)


def entropy(logits: Float[Array, "... A"]) -> Float[Array, "..."]:
    """Return −Σ_a π(a) log π(a), nats."""
    log_probs = jax.nn.log_softmax(logits)
    return -(jnp.exp(log_probs) * log_probs).sum(-1)


def kl(logits: Float[Array, "... A"], other: Float[Array, "... A"]) -> Float[Array, "..."]:
    """Return KL(π‖π') = Σ_a π(a) (log π(a) − log π'(a)), nats, π' from the other logits."""
    log_probs = jax.nn.log_softmax(logits)
    return (jnp.exp(log_probs) * (log_probs - jax.nn.log_softmax(other))).sum(-1)
