"""Deep Q-learning inside a trial (Mnih et al. 2015; design, section 5.6)."""

import dataclasses
from itertools import pairwise
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Float

from rl3_jax.constraints import Count, Fraction, Natural, Positive
from rl3_jax.object_rl.base import ActionValues, Learner, TableSpec, Transition, error_problems, size_problems
from rl3_jax.object_rl.features import Visits, Width

Network = tuple[tuple[Array, Array], ...]
"""Weights [i, o] and biases [o] of each layer."""


@struct.dataclass
class DeepQState:
    """The networks of one trial, and what they learn from.

    Attributes:
      network: θ, whose values are shown.
      target: θ', from which targets are made.
      optimiser: state of Adam.
      visits: places and actions of the trial's steps.
      next_places: [H, n] the states that they led to.
      rewards: [H] paid for them.
      follows: [H] γ, or 0 where an episode terminated.
    """

    network: Network
    target: Network
    optimiser: Any
    visits: Visits
    next_places: Float[Array, "H n"]
    rewards: Float[Array, " H"]
    follows: Float[Array, " H"]


@dataclasses.dataclass(frozen=True)
class DeepQ(Learner):
    """A small network, which after each step learns from steps of its own trial, drawn at random.

    With θ the network and θ' its slow copy, an update takes a minibatch of steps so far, uniformly and with
    replacement, follows the gradient of the mean of ½ (r + γ max_a' Q_θ'(x',a') − Q_θ(x,a))² by Adam, and
    moves θ' ← θ' + τ (θ − θ'). Two hidden layers, with relu; fresh values are 0. Counts are pseudo-counts:
    each visit counts as much as it is near.

    Attributes:
      discount: γ.
      units: of each hidden layer.
      updates: after each step.
      minibatch: steps that one takes.
      learning_rate: of Adam.
      target_rate: τ.
      count_width: the distance, with coordinates scaled to [0, 1], at which a visit counts 0.61.
      seed: of the first weights and the draws, which are the same numbers for every task: they depend on the
        seed and the number of steps alone.
    """

    learner: ClassVar[str] = "deep-q"
    sees_vectors: ClassVar[bool] = True

    discount: Fraction = 0.95
    units: Count = 32
    updates: Count = 1
    minibatch: Count = 16
    learning_rate: Positive = 3e-3
    target_rate: Fraction = 0.05
    count_width: Width = 0.1
    seed: Natural = 0

    @property
    def adam(self) -> optax.GradientTransformation:
        """The optimiser."""
        return optax.adam(self.learning_rate)

    def table_problems(self, spec: TableSpec) -> list[str]:
        """Return a message for each thing about such states that this learner cannot do."""
        return size_problems(self, spec, ", or fewer learner.units") + error_problems(self, spec)

    def init(self, spec: TableSpec) -> DeepQState:
        """Return the state of a learner that has seen nothing."""
        horizon, num_coordinates = spec.horizon, len(spec.bounds)
        sizes = (num_coordinates, self.units, self.units)
        keys = jax.random.split(jax.random.key(self.seed), 2)
        hidden = zip(keys, pairwise(sizes), strict=True)
        last = (jnp.zeros((self.units, spec.num_actions)), jnp.zeros(spec.num_actions))
        network = (*((he_normal(key, shape), jnp.zeros(shape[1])) for key, shape in hidden), last)
        return DeepQState(
            network=network,
            target=network,
            optimiser=self.adam.init(network),
            visits=Visits.none(horizon, num_coordinates),
            next_places=jnp.zeros((horizon, num_coordinates)),
            rewards=jnp.zeros(horizon),
            follows=jnp.zeros(horizon),
        )

    def update(self, spec: TableSpec, state: DeepQState, transition: Transition) -> DeepQState:
        """Keep the transition, then learn from those so far."""
        horizon = len(state.rewards)
        at, steps = state.visits.number % horizon, state.visits.number
        follows = jnp.where(transition.terminated, 0.0, self.discount)
        state = dataclasses.replace(
            state,
            visits=state.visits.after(transition.s, transition.a),
            next_places=state.next_places.at[at].set(transition.next_s),
            rewards=state.rewards.at[at].set(transition.r),
            follows=state.follows.at[at].set(follows),
        )
        key = jax.random.fold_in(jax.random.key(self.seed), steps)
        draws = jax.random.uniform(key, (self.updates, self.minibatch))
        chosen = (draws * jnp.minimum(steps + 1, horizon)).astype(jnp.int32)
        return jax.lax.scan(lambda state, rows: (self.learn(state, rows), None), state, chosen)[0]

    def learn(self, state: DeepQState, rows: Array) -> DeepQState:
        """Return the state after one update from these steps."""
        x, a, next_x = state.visits.places[:, rows].T, state.visits.actions[rows], state.next_places[rows]
        targets = state.rewards[rows] + state.follows[rows] * outputs(state.target, next_x).max(-1)

        def loss(network: Network) -> Float[Array, ""]:
            q = jnp.take_along_axis(outputs(network, x), a[:, None], axis=1)[:, 0]
            return 0.5 * ((targets - q) ** 2).mean()

        changes, optimiser = self.adam.update(jax.grad(loss)(state.network), state.optimiser)
        network: Any = optax.apply_updates(state.network, changes)
        target: Any = optax.incremental_update(network, state.target, self.target_rate)
        return dataclasses.replace(state, network=network, target=target, optimiser=optimiser)

    def values(self, spec: TableSpec, state: DeepQState, s: Float[Array, " n"]) -> ActionValues:
        """Return the current action values and pseudo-counts of a vector."""
        counts = state.visits.counts(s, self.count_width, spec.num_actions)
        return ActionValues(outputs(state.network, s), counts)


def outputs(network: Network, x: Float[Array, "*B n"]) -> Float[Array, "*B A"]:
    """Return Q_θ(x, ·)."""
    *hidden, (last, bias) = network
    for weights, biases in hidden:
        x = jax.nn.relu(x @ weights + biases)
    return x @ last + bias


def he_normal(key: Array, shape: tuple[int, int]) -> Float[Array, "i o"]:
    """Return first weights for relu, of variance 2/i (He et al. 2015). The key is consumed."""
    return jax.random.normal(key, shape) * (2.0 / shape[0]) ** 0.5
