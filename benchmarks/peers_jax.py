"""The plain JAX peer: flax's GRUCell under a scan, autodiff, all of an iteration in one compiled function.

It is what an experienced user would write with flax and optax, in the manner of the single-file trainers of
the field: environments vmapped, networks applied to the batch, time leading.
"""

from functools import partial
from typing import Any, NamedTuple, cast

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from peers_setting import Setting


class ScannedGru(nn.Module):
    """A GRU over the leading axis, time."""

    @partial(nn.scan, variable_broadcast="params", split_rngs={"params": False})
    @nn.compact
    def __call__(self, carry, inputs):
        """Return the memories after the steps, and the outputs."""
        return nn.GRUCell(inputs.shape[-1])(carry, inputs)


class ActorCritic(nn.Module):
    """Input layer → GRU → a head for the actor and one for the critic."""

    width: int
    arms: int

    @nn.compact
    def __call__(self, carry, observations):
        """Return the memories, log-probabilities [T, B, A] and values [T, B]."""
        inputs = nn.tanh(nn.Dense(self.width)(observations))
        carry, features = ScannedGru()(carry, inputs)
        logits = nn.Dense(self.arms, kernel_init=nn.initializers.orthogonal(0.01))(features)
        values = nn.Dense(1, kernel_init=nn.initializers.orthogonal(1.0))(features)
        return carry, jax.nn.log_softmax(logits), values[..., 0]


def forward(network: ActorCritic, params, carry, observations) -> tuple[Any, Any, Any]:
    """Return what the network says of [T, B] observations."""
    return cast(Any, network.apply(params, carry, observations))


class Trajectory(NamedTuple):
    """Steps of trials, [T, B, …]."""

    observations: jax.Array
    actions: jax.Array
    log_probs: jax.Array
    values: jax.Array
    rewards: jax.Array


def observe(setting: Setting, action, reward, time):
    """Return what a network sees of one trial before a step."""
    first = time == 0
    last_arm = jnp.where(first, 0.0, jax.nn.one_hot(action, setting.arms))
    return jnp.concatenate([last_arm, jnp.stack([reward, first, time / setting.horizon])])


def rollout(setting: Setting, network: ActorCritic, params, key) -> Trajectory:
    """Return B whole trials, each on a bandit of its own."""
    key_tasks, key_steps = jax.random.split(key)
    probabilities = jax.random.uniform(key_tasks, (setting.tasks, setting.arms))
    tasks = jnp.arange(setting.tasks)

    def step(state, xs):
        carry, action, reward = state
        key, time = xs
        key_action, key_reward = jax.random.split(key)
        seen = jax.vmap(partial(observe, setting), in_axes=(0, 0, None))(action, reward, time)
        carry, log_policy, values = forward(network, params, carry, seen[None])
        action = jax.random.categorical(key_action, log_policy[0])
        won = jax.random.uniform(key_reward, (setting.tasks,)) < probabilities[tasks, action]
        reward = won.astype(jnp.float32)
        out = Trajectory(seen, action, log_policy[0, tasks, action], values[0], reward)
        return (carry, action, reward), out

    carry = jnp.zeros((setting.tasks, setting.width))
    start = (carry, jnp.zeros(setting.tasks, int), jnp.zeros(setting.tasks))
    keys = jax.random.split(key_steps, setting.horizon)
    return jax.lax.scan(step, start, (keys, jnp.arange(setting.horizon)))[1]


def advantages_of(setting: Setting, trajectory: Trajectory):
    """Return generalised advantage estimates [T, B]; nothing follows the last step."""

    def backward(state, xs):
        advantage, next_value = state
        reward, value = xs
        error = reward + setting.discount * next_value - value
        advantage = error + setting.discount * setting.gae_lambda * advantage
        return (advantage, value), advantage

    zeros = jnp.zeros(setting.tasks)
    xs = (trajectory.rewards, trajectory.values)
    return jax.lax.scan(backward, (zeros, zeros), xs, reverse=True)[1]


def loss(setting: Setting, network: ActorCritic, params, batch):
    """Return PPO's loss on a minibatch of whole trials."""
    trajectory, advantages, returns = batch
    carry = jnp.zeros((trajectory.rewards.shape[1], setting.width))
    _, log_policy, values = forward(network, params, carry, trajectory.observations)
    log_probs = jnp.take_along_axis(log_policy, trajectory.actions[..., None], axis=-1)[..., 0]
    ratio = jnp.exp(log_probs - trajectory.log_probs)
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    clipped = jnp.clip(ratio, 1 - setting.clip, 1 + setting.clip)
    surrogate = jnp.minimum(ratio * advantages, clipped * advantages).mean()
    entropy = -(jnp.exp(log_policy) * log_policy).sum(-1).mean()
    error = ((values - returns) ** 2).mean()
    return setting.critic_coefficient * error - surrogate - setting.entropy_bonus * entropy


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=(2, 3))
def train_iteration(setting: Setting, network: ActorCritic, params, opt_state, key):
    """Return parameters and optimiser state after one iteration, and its mean return."""
    key_rollout, key_update = jax.random.split(key)
    trajectory = rollout(setting, network, params, key_rollout)
    advantages = advantages_of(setting, trajectory)
    batch = (trajectory, advantages, advantages + trajectory.values)

    def minibatch(state, trials):
        params, opt_state = state
        part = jax.tree.map(lambda x: x[:, trials], batch)
        grads = jax.grad(partial(loss, setting, network))(params, part)
        updates, opt_state = optimiser(setting).update(grads, opt_state)
        return (optax.apply_updates(params, updates), opt_state), None

    def epoch(state, key):
        order = jax.random.permutation(key, setting.tasks).reshape(setting.minibatches, -1)
        return jax.lax.scan(minibatch, state, order)

    (params, opt_state), _ = jax.lax.scan(
        epoch, (params, opt_state), jax.random.split(key_update, setting.epochs)
    )
    return params, opt_state, trajectory.rewards.sum(0).mean()


def optimiser(setting: Setting) -> optax.GradientTransformation:
    """Return Adam with clipped gradients."""
    return optax.chain(optax.clip_by_global_norm(setting.max_grad_norm), optax.adam(setting.learning_rate))


class PlainJax:
    """The contestant."""

    def __init__(self, setting: Setting):
        """Compile."""
        self.versions = {"jax": jax.__version__, "flax": flax.__version__, "optax": optax.__version__}
        self.network = ActorCritic(setting.width, setting.arms)
        self.device = f"{jax.devices()[0].platform}: {jax.devices()[0].device_kind}"
        self.key, key_init = jax.random.split(jax.random.key(setting.seed))
        example = jnp.zeros((1, setting.tasks, setting.arms + 3))
        carry = jnp.zeros((setting.tasks, setting.width))
        params = self.network.init(key_init, carry, example)
        self.state: Any = (params, optimiser(setting).init(params))
        self.compiled = train_iteration.lower(setting, self.network, *self.state, self.key).compile()
        self.history: list[jax.Array] = []

    def run(self, iterations: int) -> None:
        """Train."""
        for _ in range(iterations):
            self.key, key = jax.random.split(self.key)
            *self.state, mean_return = self.compiled(*self.state, key)
            self.history.append(mean_return)
        jax.block_until_ready(self.state)

    def returns(self) -> list[float]:
        """Return the mean return of each iteration so far."""
        return [float(x) for x in self.history]
