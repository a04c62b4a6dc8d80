"""The meta-policy: separate actor and critic, each input MLP → core → head (design, section 7)."""

import dataclasses
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rl3_jax.policies.base import Core
from rl3_jax.policies.distribution import Action, Distribution
from rl3_jax.policies.gru import Gru

ACTOR_HEAD_SCALE = 0.01
"""Scale of the actor head's initial weights: the first policy is nearly uniform."""
CRITIC_HEAD_SCALE = 1.0

Params = dict[str, PyTree]
"""Parameters of the two networks under the names `actor` and `critic`."""


@dataclasses.dataclass(frozen=True)
class PolicyConfig:
    """What the two networks look like.

    Attributes:
      core: the sequence core.
      width: W, units of each hidden layer and of the core.
      input_layers: hidden layers before the core.
    """

    core: Core = Gru()
    width: int = 64
    input_layers: int = 1

    def problems(self) -> list[str]:
        """Return a message for each field that is wrong."""
        found = self.core.problems()
        if self.width < 1:
            found.append(f"policy.width is {self.width}; a layer has at least 1 unit")
        if self.input_layers < 1:
            found.append(
                f"policy.input_layers is {self.input_layers}; at least 1 maps the observation to the width"
            )
        return found


class Network(nn.Module):
    """Input MLP → core → linear head."""

    config: PolicyConfig
    num_outputs: int
    head_scale: float

    def setup(self):
        """Make the parts."""
        config = self.config
        self.inputs = [nn.Dense(config.width) for _ in range(config.input_layers)]
        self.core = config.core.module(config.width)
        init = nn.initializers.variance_scaling(self.head_scale**2, "fan_in", "truncated_normal")
        self.head = nn.Dense(self.num_outputs, kernel_init=init)

    def __call__(self, observations: Float[Array, "T D"]) -> Float[Array, "T N"]:
        """Return the outputs of a whole trial."""
        return self.head(self.core(self._encode(observations)))

    def step(self, carry: Any, observation: Float[Array, " D"]) -> tuple[Any, Float[Array, " N"]]:
        """Return the memory after one more step, and its output."""
        carry, output = self.core.step(carry, self._encode(observation))
        return carry, self.head(output)

    def _encode(self, observation: Float[Array, "... D"]) -> Float[Array, "... W"]:
        """Apply the input MLP."""
        hidden = observation
        for layer in self.inputs:
            hidden = nn.tanh(layer(hidden))
        return hidden


@dataclasses.dataclass(frozen=True)
class Policy:
    """A meta-policy for observations of size D; pure functions of its parameters.

    Functions are for one trial; callers `vmap`. Acting needs the actor's parameters only.

    Attributes:
      config: what the two networks look like.
      observation_size: D.
      distribution: what the actor's N outputs mean.
    """

    config: PolicyConfig
    observation_size: int
    distribution: Distribution

    @property
    def actor(self) -> Network:
        """The network that yields the distribution's outputs."""
        return Network(self.config, self.distribution.num_outputs, ACTOR_HEAD_SCALE)

    @property
    def critic(self) -> Network:
        """The network that yields values."""
        return Network(self.config, 1, CRITIC_HEAD_SCALE)

    def init(self, key: PRNGKeyArray) -> Params:
        """Return fresh parameters. The key is consumed."""
        key_actor, key_critic = jax.random.split(key)
        example = jnp.zeros((1, self.observation_size))
        return {
            "actor": self.actor.init(key_actor, example)["params"],
            "critic": self.critic.init(key_critic, example)["params"],
        }

    def outputs(self, actor_params: PyTree, observations: Float[Array, "H D"]) -> Float[Array, "H N"]:
        """Return the actor's outputs at each step of a whole trial."""
        return cast(Array, self.actor.apply({"params": actor_params}, observations))

    def values(self, critic_params: PyTree, observations: Float[Array, "H D"]) -> Float[Array, " H"]:
        """Return the critic's output at each step of a whole trial."""
        return cast(Array, self.critic.apply({"params": critic_params}, observations))[..., 0]

    def initial_carry(self) -> Any:
        """Return the actor's memory at a trial's first step."""
        return self.config.core.initial_carry(self.config.width)

    def step(
        self, actor_params: PyTree, carry: Any, observation: Float[Array, " D"]
    ) -> tuple[Any, Float[Array, " N"]]:
        """Return the actor's memory after one more step, and its outputs."""
        carry, outputs = self.actor.apply({"params": actor_params}, carry, observation, method=Network.step)
        return carry, cast(Array, outputs)

    def act(
        self,
        actor_params: PyTree,
        carry: Any,
        observation: Float[Array, " D"],
        key: PRNGKeyArray,
        greedy: bool = False,
    ) -> tuple[Any, Action]:
        """Return the actor's memory after one more step, and an action for the environment.

        Args:
          actor_params: the actor's parameters.
          carry: the memory.
          observation: [D] what it sees.
          key: consumed.
          greedy: take the mode instead of a sample.
        """
        carry, outputs = self.step(actor_params, carry, observation)
        return carry, self.choose(outputs, key, greedy)

    def choose(self, outputs: Float[Array, " N"], key: PRNGKeyArray, greedy: bool = False) -> Action:
        """Return an action for the environment, given the actor's outputs: a sample, or the mode if greedy.

        The key is consumed.
        """
        distribution = self.distribution
        action = distribution.mode(outputs) if greedy else distribution.sample(key, outputs)
        return distribution.to_env(action)
