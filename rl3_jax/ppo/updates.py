"""One PPO update: its losses, and epochs of minibatches with the actor's KL stop inside the compiled loop."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax.policies import Params, Policy
from rl3_jax.ppo.collection import Batch
from rl3_jax.ppo.config import PPOConfig, optimisers
from rl3_jax.ppo.devices import device_index, largest, local_part, num_devices, sum_over_devices
from rl3_jax.ppo.segments import by_minibatch, unroll_sequences

STD_EPSILON = 1e-8
"""Keeps advantages that are all equal from a division by 0; of no effect on others."""

Metrics = dict[str, Float[Array, ""]]


@struct.dataclass
class PPOState:
    """What PPO learns: the parameters of `actor` and `critic`, and their optimisers' states."""

    params: Params
    opt_state: dict[str, optax.OptState]


@struct.dataclass
class Rates:
    """The scheduled numbers of one iteration, see `PPOConfig`."""

    learning_rate: Float[Array, ""]
    entropy_bonus: Float[Array, ""]
    novelty_bonus: Float[Array, ""]


def init(config: PPOConfig, policy: Policy, key: PRNGKeyArray) -> PPOState:
    """Return fresh parameters and optimiser states. The key is consumed."""
    params = policy.init(key)
    opt_state = {name: optimiser.init(params[name]) for name, optimiser in optimisers(config).items()}
    return PPOState(params=params, opt_state=opt_state)


def loss(
    config: PPOConfig, policy: Policy, params: Params, batch: Batch, entropy_bonus: Float[Array, ""]
) -> tuple[Float[Array, ""], Metrics]:
    """Return −E[min(ρ A, clip(ρ, 1−ε, 1+ε) A)] − entropy_bonus · E[entropy], ρ = π(a)/π_rollout(a).

    Advantages are taken as they are. If the critic shares the actor's trunk, critic_coefficient ·
    E[(V_t − return_t)²] is added. Of several devices each returns its part of the means.

    Also returns the metrics `actor_loss` (first term), `entropy`, `max_abs_log_ratio`, with a shared trunk
    `critic_loss` (that mean square), and with `kl_estimate: minibatches` `kl`, the mean KL
    from the rollout's policy.
    """
    outputs, values = _unroll(config, policy, params, batch)
    trajectory, distribution = batch.trajectory, policy.distribution
    distributions = distribution.parameters(outputs)
    log_ratio = distribution.log_ratio(distributions, trajectory.distributions, trajectory.actions)
    ratio = jnp.exp(log_ratio)
    clipped = jnp.clip(ratio, 1.0 - config.clip, 1.0 + config.clip)
    surrogate = local_part(jnp.minimum(ratio * batch.advantages, clipped * batch.advantages), batch.axis)
    entropy = local_part(distribution.entropy(distributions), batch.axis)
    objective = -surrogate - entropy_bonus * entropy
    metrics = {"actor_loss": -surrogate, "entropy": entropy, "max_abs_log_ratio": jnp.abs(log_ratio).max()}
    if config.kl_estimate == "minibatches":
        metrics["kl"] = local_part(distribution.kl(trajectory.distributions, distributions), batch.axis)
    if values is not None:
        metrics["critic_loss"] = _squared_error(values, batch)
        objective += config.critic_coefficient * metrics["critic_loss"]
    return objective, metrics


def critic_loss(config: PPOConfig, policy: Policy, params: Params, batch: Batch) -> Float[Array, ""]:
    """Return E[(V_t − return_t)²], for a critic of its own; of several devices each returns its part."""
    unroll, observations = partial(policy.unroll_critic, params), batch.trajectory.observations
    values = unroll_sequences(config, policy, unroll, batch.carries.get("critic"), observations)
    return _squared_error(values, batch)


def mean_kl(config: PPOConfig, policy: Policy, params: Params, batch: Batch) -> Float[Array, ""]:
    """Return the mean KL from the rollout policy over all steps of all devices' sequences, nats."""

    def kl(batch):
        found = policy.distribution.parameters(_unroll(config, policy, params, batch)[0])
        return policy.distribution.kl(batch.trajectory.distributions, found)

    return sum_over_devices(local_part(by_minibatch(config, kl, batch), batch.axis), batch.axis)


def _unroll(config: PPOConfig, policy: Policy, params: Params, batch: Batch):
    unroll, observations = partial(policy.unroll, params), batch.trajectory.observations
    return unroll_sequences(config, policy, unroll, batch.carries.get("actor"), observations)


def _squared_error(values: Float[Array, "N L"], batch: Batch) -> Float[Array, ""]:
    """Return this device's part of E[(V_t − return_t)²], given the critic's outputs."""
    return local_part((values * batch.value_scale - batch.returns) ** 2, batch.axis)


def minibatches(config: PPOConfig, batch: Batch, key: PRNGKeyArray) -> Int[Array, "M b"]:
    """Return which of its N sequences this device puts into each of M minibatches. The key is consumed.

    Groups of M consecutive sequences are each shuffled alone, and minibatch m takes entry m of each group. So
    no sequence leaves its device, and the choice does not depend on how many devices there are.
    """
    number = config.num_minibatches
    num_groups = batch.advantages.shape[0] // number
    entries = jnp.broadcast_to(jnp.arange(number), (num_groups * num_devices(batch.axis), number))
    shuffled = jax.random.permutation(key, entries, axis=1, independent=True)
    own = jax.lax.dynamic_slice_in_dim(shuffled, num_groups * device_index(batch.axis), num_groups)
    return (number * jnp.arange(num_groups)[:, None] + own).T


def normalised(batch: Batch, order: Int[Array, "M b"]) -> Float[Array, "M b L"]:
    """Return the advantages of each minibatch less their mean, over their standard deviation."""
    advantages = batch.advantages[order]

    def mean(x):
        return sum_over_devices(x.mean((1, 2), keepdims=True) / num_devices(batch.axis), batch.axis)

    centred = advantages - mean(advantages)
    return centred / (jnp.sqrt(mean(centred**2)) + STD_EPSILON)


def update(
    config: PPOConfig, policy: Policy, state: PPOState, batch: Batch, rates: Rates, key: PRNGKeyArray
) -> tuple[PPOState, Metrics]:
    """Run the epochs of one iteration on a batch of N sequences. The key is consumed.

    Devices with a part of the batch each sum their gradients at each step, what advantages are normalised by
    and the KL once an epoch, and the metrics at the end.

    After each epoch the mean KL from the rollout policy is taken; at `config.kl_limit` or more the actor
    stops while a critic of its own goes on.

    Returns:
      The new state, and the metrics `actor_loss`, `entropy`, `critic_loss` (means over the minibatches
      that were learnt from), `kl` (after the actor's last epoch, or in it: see `config.kl_estimate`),
      `actor_epochs`, and `max_abs_log_ratio` (in the first minibatch, before any gradient step).
    """

    def epoch(carry, key):
        state, active, kl = carry
        order = minibatches(config, batch, key)
        advantages = normalised(batch, order) if config.normalise_advantages else batch.advantages[order]
        state, metrics = _epoch(config, policy, active, state, batch, rates, (order, advantages))
        if config.kl_estimate == "minibatches":
            new_kl = jnp.where(active, sum_over_devices(metrics["kl"].mean(), batch.axis), kl)
        else:
            new_kl = jax.lax.cond(active, lambda: mean_kl(config, policy, state.params, batch), lambda: kl)
        carry = (state, active & (new_kl < config.kl_limit), new_kl)
        return carry, metrics | {"active": jnp.broadcast_to(active, (config.num_minibatches,))}

    carry = (state, jnp.bool_(True), jnp.float32(0.0))
    (state, _, kl), metrics = jax.lax.scan(epoch, carry, jax.random.split(key, config.epochs))
    active = metrics["active"]  # [epochs, minibatches]
    means = {
        "actor_loss": jnp.mean(metrics["actor_loss"], where=active),
        "critic_loss": jnp.mean(metrics["critic_loss"], where=active if policy.config.shared_trunk else None),
        "entropy": jnp.mean(metrics["entropy"], where=active),
    }
    return state, sum_over_devices(means, batch.axis) | {
        "kl": kl,
        "actor_epochs": active[:, 0].sum(),
        "max_abs_log_ratio": largest(metrics["max_abs_log_ratio"][0, 0], batch.axis),
    }


def _epoch(
    config: PPOConfig,
    policy: Policy,
    active: Bool[Array, ""],
    state: PPOState,
    batch: Batch,
    rates: Rates,
    chosen: tuple[Int[Array, "M b"], Float[Array, "M b L"]],
) -> tuple[PPOState, dict[str, Float[Array, " M"]]]:
    """Take a gradient step on each minibatch of an epoch: of the actor if it is active, and of the critic.

    One condition an epoch, as an accelerator waits for the host at each. Of several runs under `jax.vmap` a
    condition computes both sides, so all actors learn, and those that have stopped keep what they were.
    """

    def learn(names, numbers, state, batch, rates, chosen):
        step = partial(_minibatch_step, dataclasses.replace(config, **numbers), policy, batch, rates, names)
        return jax.lax.scan(jax.named_scope("minibatch")(step), state, chosen)

    shared = policy.config.shared_trunk
    all_learn = partial(learn, ("actor", "critic"))
    others_learn = partial(learn, () if shared else ("critic",))

    @jax.custom_batching.custom_vmap
    def learn_one(active, *arguments):
        return jax.lax.cond(active, all_learn, others_learn, *arguments)

    @learn_one.def_vmap
    def learn_many(axis_size, in_batched, *arguments):
        def one(active, numbers, state, *rest):
            found, metrics = all_learn(numbers, state, *rest)
            stopped = state
            if not shared:
                opt_state = found.opt_state | {"actor": state.opt_state["actor"]}
                stopped = PPOState(found.params | {"actor": state.params["actor"]}, opt_state)
            return jax.tree.map(partial(jnp.where, active), found, stopped), metrics

        in_axes = jax.tree.map(lambda batched: 0 if batched else None, tuple(in_batched))
        found = jax.vmap(one, in_axes, axis_size=axis_size)(*arguments)
        return found, jax.tree.map(lambda _: True, found)

    # Numbers that may differ between the runs have to be arguments.
    numbers = {name: value for name, value in vars(config).items() if isinstance(value, jax.Array)}
    return learn_one(active, numbers, state, batch, rates, chosen)


def _minibatch_step(
    config: PPOConfig,
    policy: Policy,
    batch: Batch,
    rates: Rates,
    names: tuple[str, ...],
    state: PPOState,
    chosen: tuple[Int[Array, " b"], Float[Array, "b L"]],
) -> tuple[PPOState, Metrics]:
    """Take one gradient step of the named networks on the chosen sequences, with these advantages.

    A metric of a network that does not learn is 0.
    """
    kl = ("kl",) if config.kl_estimate == "minibatches" else ()
    known = ("actor_loss", "entropy", "max_abs_log_ratio", "critic_loss", *kl)
    metrics = {name: jnp.float32(0.0) for name in known}
    if not names:
        return state, metrics
    part = partial(_part_gradients, config, policy, batch, rates.entropy_bonus, names, state.params)
    num_parts = config.num_parts(*chosen[1].shape)
    if num_parts == 1:
        grads, found = part(chosen)
    else:
        parts = jax.tree.map(lambda x: x.reshape(num_parts, -1, *x.shape[1:]), chosen)
        learning = {name: params for name, params in state.params.items() if name in names}
        none = jax.tree.map(jnp.zeros_like, learning)

        def add(total, chosen):
            grads, found = part(chosen)
            return jax.tree.map(jnp.add, total, grads), found

        grads, found = jax.lax.scan(add, none, parts)
        grads = jax.tree.map(lambda g: g / num_parts, grads)
        found = {name: x.max() if name == "max_abs_log_ratio" else x.mean() for name, x in found.items()}
    return _descend(config, state, sum_over_devices(grads, batch.axis), rates), metrics | found


def _part_gradients(
    config: PPOConfig,
    policy: Policy,
    batch: Batch,
    entropy_bonus: Float[Array, ""],
    names: tuple[str, ...],
    params: Params,
    chosen: tuple[Int[Array, " b"], Float[Array, "b L"]],
) -> tuple[Params, Metrics]:
    """Return the named networks' gradients on the chosen sequences, and their metrics."""
    sequences, advantages = chosen
    minibatch = jax.tree.map(lambda x: x[sequences], batch).replace(advantages=advantages)
    trunk, grads, metrics = policy.config.shared_trunk, {}, {}
    if "actor" in names:
        objective = partial(loss, config, policy, batch=minibatch, entropy_bonus=entropy_bonus)
        grads, metrics = jax.grad(objective, has_aux=True)(params if trunk else {"actor": params["actor"]})
    if not trunk:
        metrics["critic_loss"], of_critic = jax.value_and_grad(
            lambda params: critic_loss(config, policy, params, minibatch)
        )({"critic": params["critic"]})
        grads |= jax.tree.map(lambda g: config.critic_coefficient * g, of_critic)
    return grads, metrics


def _descend(config: PPOConfig, state: PPOState, grads: Params, rates: Rates) -> PPOState:
    """Return the state after a step of the named networks against their gradients."""
    params, opt_state = dict(state.params), dict(state.opt_state)
    for name, grad in grads.items():
        optimiser = optimisers(config)[name]
        direction, opt_state[name] = optimiser.update(grad, opt_state[name], params[name])
        step = jax.tree.map(lambda d: -rates.learning_rate * d, direction)
        params[name] = optax.apply_updates(params[name], step)
    return PPOState(params=params, opt_state=opt_state)
