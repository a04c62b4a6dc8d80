"""The categorical distribution, over integer actions."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from rl3_jax.platforms import largest_of

PerStep = Float[Array, "*steps"]
LogProbs = Float[Array, "*steps A"]
Actions = Int[Array, "*steps"]


@dataclasses.dataclass(frozen=True)
class Categorical:
    """A `Distribution` over A actions. The outputs are logits, the parameters log π(·), normalised."""

    num_actions: int

    @property
    def num_outputs(self) -> int:
        """One logit an action."""
        return self.num_actions

    @property
    def dtype(self) -> Any:
        """The type of an action as it is drawn."""
        return jnp.int32

    def parameters(self, outputs: Float[Array, "*steps A"]) -> LogProbs:
        """Return log π(·)."""
        return jax.nn.log_softmax(outputs)

    def noise(self, key: PRNGKeyArray) -> Float[Array, " A"]:
        """Draw what `sample` needs, one number of Gumbel's distribution an action. The key is consumed."""
        return jax.random.gumbel(key, (self.num_actions,))

    def sample(self, noise: Float[Array, " A"], outputs: Float[Array, " A"]) -> Int[Array, ""]:
        """Return an action drawn from softmax(outputs): argmax of outputs + noise (Gumbel 1954)."""
        return largest_of(outputs + noise)

    def mode(self, outputs: Float[Array, " A"]) -> Int[Array, ""]:
        """Return the likeliest action."""
        return largest_of(outputs)

    def to_env(self, action: Actions) -> Actions:
        """Return the action as it is."""
        return action

    def log_prob(self, parameters: LogProbs, action: Actions) -> PerStep:
        """Return log π(a)."""
        # A product with a one-hot is faster than a gather on a CPU, above all backward.
        return (parameters * jax.nn.one_hot(action, self.num_actions)).sum(-1)

    def log_ratio(self, parameters: LogProbs, other: LogProbs, action: Actions) -> PerStep:
        """Return log π(a) − log π'(a), with π' the other policy."""
        # One selection from the difference: the same number, and half the work of selecting from each.
        return self.log_prob(parameters - other, action)

    def entropy(self, parameters: LogProbs) -> PerStep:
        """Return −Σ_a π(a) log π(a), nats."""
        return -(jnp.exp(parameters) * parameters).sum(-1)

    def kl(self, parameters: LogProbs, other: LogProbs) -> PerStep:
        """Return KL(π‖π') = Σ_a π(a) (log π(a) − log π'(a)), nats, with π' the other policy."""
        return (jnp.exp(parameters) * (parameters - other)).sum(-1)
