"""The meta-policy: actor and critic, input MLP → core → read-out → head each, or two heads (design, 7)."""

import dataclasses
from functools import partial
from typing import Any, Literal, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rl3_jax.constraints import Count
from rl3_jax.policies.base import Core, CoreSpec
from rl3_jax.policies.distribution import Action, Distribution
from rl3_jax.policies.gru import Gru
from rl3_jax.policies.products import Compute, dense

ACTOR_HEAD_SCALE = 0.01
"""Scale of the actor head's initial weights: the first policy is nearly uniform."""
CRITIC_HEAD_SCALE = 1.0
BFLOAT16_TOLERANCE = 0.1
"""`log_prob_tolerance` of products of bfloat16, whose operands have eight bits: a number that two programs
compute with the last bit of float32 apart may round to neighbours, 1/256 apart."""

ACTIVATIONS = {"tanh": nn.tanh, "relu": nn.relu}
"""The activations of `PolicyConfig` by name."""

Params = dict[str, PyTree]
"""Parameters of the two networks under the names `actor` and `critic`."""


@dataclasses.dataclass(frozen=True)
class PolicyConfig:
    """What the networks look like.

    Attributes:
      core: the sequence core.
      width: W, units of the core and of the last input layer.
      input_layers: units of the input layers before the last one; the reference has (256,).
      activation: of the input layers.
      layer_norm: whether the input layers' output is normalised (Ba et al. 2016) before the core reads it.
      read_out: what the heads read: the core's output (`core`), or with it products of what is remembered
        and what is seen (`product`).
      shared_trunk: whether the critic is a head on the actor's input layers and core, instead of a network
        of its own. It halves the sequence work; the two then share one gradient.
      compute: type in which the hidden layers' matrix products take their operands; sums, parameters,
        memories, heads and losses are float32.
    """

    core: Core = Gru()
    width: Count = 64
    input_layers: tuple[Count, ...] = ()
    activation: Literal["tanh", "relu"] = "tanh"
    layer_norm: bool = False
    read_out: Literal["core", "product"] = "core"
    shared_trunk: bool = False
    compute: Compute = "float32"

    def horizon_problems(self, horizon: int) -> list[str]:
        """Return a message for each way in which the core does not fit its sizes or trials of this length."""
        return self.core.spec_problems(self.spec(horizon))

    def spec(self, horizon: int) -> CoreSpec:
        """Return the sizes that the core sees."""
        return CoreSpec(width=self.width, horizon=horizon, compute=self.compute)


class Network(nn.Module):
    """Input MLP → core → read-out → linear head."""

    config: PolicyConfig
    horizon: int
    num_outputs: int
    head_scale: float

    def setup(self):
        """Make the parts."""
        config = self.config
        self.inputs = [dense(units, config.compute) for units in (*config.input_layers, config.width)]
        self.normalise = nn.LayerNorm() if config.layer_norm else None
        self.core = config.core.module(config.spec(self.horizon))
        self.read = ProductReadOut(config.width, config.compute) if config.read_out == "product" else None
        self.head = head(self.num_outputs, self.head_scale)

    def __call__(
        self, carries: Any, observations: Float[Array, "B T D"]
    ) -> tuple[Any, Float[Array, "B T O"], Float[Array, "B T W"]]:
        """Return the memories after part of B trials; its outputs at each step; what they are read from."""
        inputs = self._encode(observations)
        carries, features = self.core(carries, inputs)
        features = self._read_out(features, inputs)
        return carries, self.head(features), features

    def step(
        self, carry: Any, observation: Float[Array, " D"]
    ) -> tuple[Any, Float[Array, " O"], Float[Array, " W"]]:
        """Return the memory of one trial after one more step, its outputs, and what they are read from."""
        inputs = self._encode(observation)
        carry, features = self.core.step(carry, inputs)
        features = self._read_out(features, inputs)
        return carry, self.head(features), features

    def _encode(self, observation: Float[Array, "... D"]) -> Float[Array, "... W"]:
        """Apply the input MLP."""
        hidden, activation = observation, ACTIVATIONS[self.config.activation]
        for layer in self.inputs:
            hidden = activation(layer(hidden))
        return hidden if self.normalise is None else self.normalise(hidden)

    def _read_out(self, output: Float[Array, "*steps W"], inputs: Float[Array, "*steps W"]) -> Array:
        """Return what the heads read, given the core's output and input."""
        return output if self.read is None else self.read(output, inputs)


class ProductReadOut(nn.Module):
    """h + A((B h) ⊙ (C x)), of a core's output h and its input x, with biases in A, B and C.

    A step's decision may depend on what is remembered *of what is seen*, such as what happened before in the
    cell in which the agent is: a product of the two, which a core whose memory is linear in what it took,
    such as minGRU, cannot make by itself. Such products are the multiplicative integration of Wu et al. 2016,
    arXiv 1606.06630, here outside the recurrence.
    """

    width: int
    compute: Compute

    @nn.compact
    def __call__(
        self, output: Float[Array, "*steps W"], inputs: Float[Array, "*steps W"]
    ) -> Float[Array, "*steps W"]:
        """Return what the heads read."""
        linear = partial(dense, self.width, self.compute)
        remembered, seen = linear(name="remembered")(output), linear(name="seen")(inputs)
        return output + linear(name="out")(remembered * seen)


def head(num_outputs: int, scale: float) -> nn.Dense:
    """Return a linear head with initial weights of this scale, in float32."""
    init = nn.initializers.variance_scaling(scale**2, "fan_in", "truncated_normal")
    return dense(num_outputs, "float32", kernel_init=init)


@dataclasses.dataclass(frozen=True)
class Policy:
    """A meta-policy for observations of size D; pure functions of its parameters.

    Whole sequences come for B trials at once, steps for one trial; callers `vmap`. Acting needs the actor's
    parameters only.

    Attributes:
      config: what the networks look like.
      observation_size: D.
      distribution: what the actor's O outputs mean.
      horizon: H, the longest trial, steps.
    """

    config: PolicyConfig
    observation_size: int
    distribution: Distribution
    horizon: int

    @property
    def actor(self) -> Network:
        """The network that yields the distribution's outputs."""
        return Network(self.config, self.horizon, self.distribution.num_outputs, ACTOR_HEAD_SCALE)

    @property
    def critic(self) -> Network | nn.Dense:
        """The network that yields values, or the head that reads them from the actor's features."""
        if self.config.shared_trunk:
            return head(1, CRITIC_HEAD_SCALE)
        return Network(self.config, self.horizon, 1, CRITIC_HEAD_SCALE)

    @property
    def log_prob_tolerance(self) -> float:
        """Largest accepted |log-probability in training − in rollout| before an update."""
        float32 = self.config.core.log_prob_tolerance
        return float32 if self.config.compute == "float32" else max(float32, BFLOAT16_TOLERANCE)

    def trial_problems(self, horizon: int) -> list[str]:
        """Return a message if it cannot act in trials of this length."""
        if horizon <= self.horizon or self.config.core.constant_carry:
            return []
        return [
            f"horizon is {horizon}, but this policy's {self.config.core.core} was trained for trials of"
            f" {self.horizon} steps and has no room for more; ask for {self.horizon} or fewer"
        ]

    def init(self, key: PRNGKeyArray) -> Params:
        """Return fresh parameters. The key is consumed."""
        key_actor, key_critic = jax.random.split(key)
        carries, observations = self.initial_carries(1), jnp.zeros((1, 1, self.observation_size))
        example = (carries, observations)
        read = (jnp.zeros((1, 1, self.config.width)),) if self.config.shared_trunk else example
        return {
            "actor": self.actor.init(key_actor, *example)["params"],
            "critic": self.critic.init(key_critic, *read)["params"],
        }

    def initial_carry(self) -> Any:
        """Return a network's memory at a trial's first step."""
        return self.config.core.initial_carry(self.config.spec(self.horizon))

    def initial_carries(self, num_trials: int) -> Any:
        """Return a network's memories [B, …] at the first step of B trials."""
        return jax.tree.map(
            lambda leaf: jnp.broadcast_to(leaf, (num_trials, *leaf.shape)), self.initial_carry()
        )

    def outputs(
        self, actor_params: PyTree, carries: Any, observations: Float[Array, "B T D"]
    ) -> tuple[Any, Float[Array, "B T O"]]:
        """Return the actor's memories after a part of B trials, and its outputs at each step."""
        carries, outputs, _ = cast(Any, self.actor.apply({"params": actor_params}, carries, observations))
        return carries, outputs

    def values(
        self, critic_params: PyTree, carries: Any, observations: Float[Array, "B T D"]
    ) -> tuple[Any, Float[Array, "B T"]]:
        """Return what `outputs` does, for the one output of a critic with a core of its own."""
        carries, outputs, _ = cast(Any, self.critic.apply({"params": critic_params}, carries, observations))
        return carries, outputs[..., 0]

    def outputs_and_values(
        self, params: Params, carries: Any, observations: Float[Array, "B T D"]
    ) -> tuple[Any, tuple[Float[Array, "B T O"], Float[Array, "B T"]]]:
        """Return what `outputs` does, with the values that the critic reads from the shared trunk."""
        found = self.actor.apply({"params": params["actor"]}, carries, observations)
        carries, outputs, features = cast(Any, found)
        return carries, (outputs, self._read_values(params, features))

    def step(
        self, actor_params: PyTree, carry: Any, observation: Float[Array, " D"]
    ) -> tuple[Any, Float[Array, " O"]]:
        """Return the actor's memory after one more step, and its outputs."""
        found = self.actor.apply({"params": actor_params}, carry, observation, method=Network.step)
        carry, outputs, _ = cast(Any, found)
        return carry, outputs

    def step_with_value(
        self, params: Params, carry: Any, observation: Float[Array, " D"]
    ) -> tuple[Any, Float[Array, " O"], Float[Array, ""]]:
        """Return what `step` does, with the value that the critic reads from the shared trunk."""
        found = self.actor.apply({"params": params["actor"]}, carry, observation, method=Network.step)
        carry, outputs, features = cast(Any, found)
        return carry, outputs, self._read_values(params, features)

    def _read_values(self, params: Params, features: Float[Array, "*steps W"]) -> Float[Array, "*steps"]:
        """Return the value that the critic's head reads from the actor's features."""
        assert self.config.shared_trunk, "a critic of its own reads no features of the actor"
        return cast(Array, self.critic.apply({"params": params["critic"]}, features))[..., 0]

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

    def choose(self, outputs: Float[Array, " O"], key: PRNGKeyArray, greedy: bool = False) -> Action:
        """Return an action for the environment, given the actor's outputs: a sample, or the mode if greedy.

        The key is consumed.
        """
        distribution = self.distribution
        action = distribution.mode(outputs) if greedy else distribution.sample(key, outputs)
        return distribution.to_env(action)
