"""The meta-policy: actor and critic, input MLP → core → read-out → head each, or two heads (design, 7)."""

import dataclasses
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rl3_jax.policies.config import PolicyConfig
from rl3_jax.policies.distribution import Action, Distribution
from rl3_jax.policies.exchangeable import ActionParts, ExchangeableLayer, step_each, unroll_each
from rl3_jax.policies.gates import Gates, Parts
from rl3_jax.policies.products import ProductReadOut, dense, head, joined, multiply_few

ACTOR_HEAD_SCALE = 0.01
"""Scale of the actor head's initial weights: the first policy is nearly uniform."""
CRITIC_HEAD_SCALE = 1.0

Params = dict[str, PyTree]
"""Parameters by network: `actor` and `critic`. Acting needs the actor's only."""


class Network(nn.Module):
    """Input MLP → core → read-out → linear head.

    With `actions` each action has units and a memory of its own, [A, W] where else there are [W]. The actor's
    head makes one number of the units of each action; one that is `pooled`, as the critic's, reads their mean
    over actions. Each part of an observation that is `gated` is multiplied by a parameter, 0 at first.
    """

    config: PolicyConfig
    horizon: int
    num_outputs: int
    head_scale: float
    actions: ActionParts | None = None
    pooled: bool = False
    gated: Parts = ()

    def setup(self):
        """Make the parts."""
        config, shared = self.config, self.actions is not None
        self.gates = Gates(self.gated) if self.gated else None
        self.inputs = [
            ExchangeableLayer(units, config.compute, self.actions if index == 0 else None)
            if shared
            else dense(units, config.compute)
            for index, units in enumerate((*config.input_layers, config.width))
        ]
        self.normalise = nn.LayerNorm() if config.layer_norm else None
        self.core = config.core.module(config.spec(self.horizon))
        self.read = ProductReadOut(config.width, config.compute) if config.read_out == "product" else None
        # What is added to all logits alike changes no probability, and Adam would move it at random.
        biased = not shared or self.pooled
        self.head = head(1 if shared else self.num_outputs, self.head_scale, use_bias=biased)

    def __call__(
        self, carry: Any, observations: Float[Array, "*steps D"], one_step: bool = False
    ) -> tuple[Any, Float[Array, "*steps O"], Float[Array, "*steps W"]]:
        """Return the memory after the steps, the head's outputs, and what a critic's head reads.

        Steps are [B, T], a part of B trials, or [], one step of one trial.
        """
        carry, features = self.features(carry, observations, one_step)
        if self.actions is None:
            return carry, self.head(features), features
        mean = features.mean(axis=-2)
        return carry, self.head(mean) if self.pooled else self.head(features)[..., 0], mean

    def features(
        self, carry: Any, observations: Float[Array, "*steps D"], one_step: bool, parts: bool = False
    ) -> tuple[Any, Float[Array, "*steps_and_actions W"]]:
        """Return the memory after the steps, and the units that heads read, of each action with `actions`.

        With `parts` those of a product read-out are its `parts`, [2W].
        """
        core = self.core.step if one_step else self.core
        activation = getattr(nn, self.config.activation)
        hidden = observations if self.gates is None else self.gates(observations)
        if self.actions is not None:
            core = partial(step_each if one_step else unroll_each, self.core)
        for layer in self.inputs:
            hidden = activation(layer(hidden))
        if self.normalise is not None:
            hidden = self.normalise(hidden)
        carry, features = core(carry, hidden)
        if self.read is not None:
            features = (self.read.parts if parts else self.read)(features, hidden)
        return carry, features


@dataclasses.dataclass(frozen=True)
class Policy:
    """A meta-policy for observations of size D; pure functions of its parameters.

    Whole sequences come for B trials at once, steps for one trial; callers `vmap`.

    Attributes:
      config: what the networks look like.
      observation_size: D.
      distribution: what the actor's O outputs mean.
      horizon: H, the longest trial, steps.
      action_starts: where the parts of an observation start that have a number for each action.
      gated: where the parts of an observation stand that are behind gates.
    """

    config: PolicyConfig
    observation_size: int
    distribution: Distribution
    horizon: int
    action_starts: tuple[int, ...] = ()
    gated: Parts = ()

    @property
    def actions(self) -> ActionParts | None:
        """The parts of an observation with a number for each action, if these share one network."""
        shared = self.config.exchangeable_actions
        return ActionParts(self.action_starts, self.distribution.num_outputs) if shared else None

    @property
    def actor(self) -> Network:
        """The network that yields the distribution's outputs."""
        outputs = self.distribution.num_outputs
        return Network(self.config, self.horizon, outputs, ACTOR_HEAD_SCALE, self.actions, gated=self.gated)

    @property
    def critic(self) -> Network | nn.Dense:
        """The network that yields values, or the head that reads them from the actor's features."""
        if self.config.shared_trunk:
            return head(1, CRITIC_HEAD_SCALE)
        return Network(self.config, self.horizon, 1, CRITIC_HEAD_SCALE, self.actions, True, self.gated)

    def init(self, key: PRNGKeyArray) -> Params:
        """Return fresh parameters. The key is consumed."""
        key_actor, key_critic = jax.random.split(key)
        example = (self.initial_carries(1), jnp.zeros((1, 1, self.observation_size)))
        (_, _, features), actor = self.actor.init_with_output(key_actor, *example)
        read = (features,) if self.config.shared_trunk else example
        return {"actor": actor["params"], "critic": self.critic.init(key_critic, *read)["params"]}

    def initial_carry(self) -> Any:
        """Return a network's memory at a trial's first step; with `actions` it leads with A."""
        carry = self.config.core.initial_carry(self.config.spec(self.horizon))
        return carry if self.actions is None else _repeat(carry, self.actions.count)

    def initial_carries(self, num_trials: int) -> Any:
        """Return a network's memories [B, …] at the first step of B trials."""
        return _repeat(self.initial_carry(), num_trials)

    def unroll(
        self, params: Params, carries: Any, observations: Float[Array, "B T D"]
    ) -> tuple[Any, tuple[Float[Array, "B T O"], Float[Array, "B T"] | None]]:
        """Return the actor's memories after a part of B trials, its outputs at each step, and the values.

        Values are None unless the critic reads the actor's features, and its parameters are there.
        """
        carries, outputs, values = self._apply_actor(params, carries, observations)
        return carries, (outputs, values)

    def step(
        self, params: Params, carry: Any, observation: Float[Array, " D"]
    ) -> tuple[Any, Float[Array, " O"], Float[Array, ""] | None]:
        """Return the memory of one trial after one more step, and what `unroll` does for it."""
        return self._apply_actor(params, carry, observation, one_step=True)

    def joined(self, params: Params) -> Params:
        """Return parameters with which `step` makes one product for heads that read the same (`joined`)."""
        if not self.config.shared_trunk or self.actions is not None or "critic" not in params:
            return params
        return params | {"heads": joined(params["actor"], params["critic"], self.config.joins_read_out)}

    def _apply_actor(self, params: Params, carry: Any, observations: Array, one_step: bool = False):
        apply = partial(self.actor.apply, {"params": params["actor"]}, carry, observations, one_step)
        if one_step and "heads" in params:
            carry, features = cast(Any, apply(parts=self.config.joins_read_out, method="features"))
            found = multiply_few(features, params["heads"]["kernel"]) + params["heads"]["bias"]
            return carry, found[:-1], found[-1]
        carry, outputs, features = cast(Any, apply())
        if not self.config.shared_trunk or "critic" not in params:
            return carry, outputs, None
        return carry, outputs, cast(Array, self.critic.apply({"params": params["critic"]}, features))[..., 0]

    def unroll_critic(
        self, params: Params, carries: Any, observations: Float[Array, "B T D"]
    ) -> tuple[Any, Float[Array, "B T"]]:
        """Return what `unroll` does, of a critic of its own: its memories, and the values at each step."""
        found = self.critic.apply({"params": params["critic"]}, carries, observations)
        carries, outputs, _ = cast(Any, found)
        return carries, outputs[..., 0]

    def noise(self, key: PRNGKeyArray, greedy: bool = False) -> Any:
        """Draw what a step of `act` needs: noise for a sample, or None for the mode. The key is consumed."""
        return None if greedy else self.distribution.noise(key)

    def act(
        self, params: Params, carry: Any, observation: Float[Array, " D"], noise: Any
    ) -> tuple[Any, Action, tuple[Action, Float[Array, " O"], Float[Array, ""] | None]]:
        """Return the actor's memory after one more step, and an action for the environment.

        The action is a sample or, without noise, the mode. Also returns the action as drawn, the actor's
        outputs, and the value as `unroll` does.
        """
        carry, outputs, value = self.step(params, carry, observation)
        distribution = self.distribution
        drawn = distribution.mode(outputs) if noise is None else distribution.sample(noise, outputs)
        return carry, distribution.to_env(drawn), (drawn, outputs, value)


def _repeat(tree: Any, count: int) -> Any:
    """Return each array `count` times, along a new first axis."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *leaf.shape)), tree)
