"""One PPO update: epochs of minibatches, with the actor's KL stop inside the compiled loop."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray
from optax import contrib

from rl3_jax.policies import Params, Policy
from rl3_jax.ppo.config import PPOConfig
from rl3_jax.ppo.loss import Batch, Metrics, actor_loss, critic_loss, mean_kl, shared_loss

MUON_SCALE = 0.2
"""Root mean square of the entries of muon's step, about that of Adam's (Liu et al., arXiv 2502.16982)."""


@struct.dataclass
class PPOState:
    """What PPO learns.

    Attributes:
      params: parameters of actor and critic.
      opt_state: the optimisers' states, under the same two names.
    """

    params: Params
    opt_state: dict[str, optax.OptState]


@struct.dataclass
class Rates:
    """The scheduled numbers of one iteration.

    Attributes:
      learning_rate: [] the optimiser's step size.
      entropy_bonus: [] factor of the entropy.
      novelty_bonus: [] reward for entering a state for the first time in a trial.
    """

    learning_rate: Float[Array, ""]
    entropy_bonus: Float[Array, ""]
    novelty_bonus: Float[Array, ""]


def optimisers(config: PPOConfig) -> dict[str, optax.GradientTransformation]:
    """Return the optimisers of actor and critic, without the step size, which is scheduled."""
    clip = optax.clip_by_global_norm(config.max_grad_norm) if config.max_grad_norm else optax.identity()
    if config.optimiser == "muon":
        muon = contrib.muon(1.0, eps=config.adam_epsilon, consistent_rms=MUON_SCALE)
        direction = optax.chain(muon, optax.scale(-1.0))  # up the gradient, as scale_by_adam
    else:
        direction = optax.scale_by_adam(eps=config.adam_epsilon)
    return {
        "actor": optax.chain(clip, direction),
        "critic": optax.chain(clip, optax.add_decayed_weights(config.critic_l2), direction),
    }


def init(config: PPOConfig, policy: Policy, key: PRNGKeyArray) -> PPOState:
    """Return fresh parameters and optimiser states. The key is consumed."""
    params = policy.init(key)
    opt_state = {name: optimiser.init(params[name]) for name, optimiser in optimisers(config).items()}
    return PPOState(params=params, opt_state=opt_state)


def update(
    config: PPOConfig, policy: Policy, state: PPOState, batch: Batch, rates: Rates, key: PRNGKeyArray
) -> tuple[PPOState, Metrics]:
    """Run the epochs of one iteration on a batch of N sequences. The key is consumed.

    After each epoch the mean KL from the rollout policy is taken; at `config.kl_limit` or more the actor
    stops while a critic of its own goes on.

    Returns:
      The new state, and the metrics `actor_loss`, `entropy`, `critic_loss` (means over the minibatches
      that were learnt from), `kl` (after the actor's last epoch, or in it: see `config.kl_estimate`),
      `actor_epochs`, and `max_abs_log_ratio` (in the first minibatch, before any gradient step).
    """
    num_sequences = batch.advantages.shape[0]

    def epoch(carry, key):
        state, active, kl = carry
        order = jax.random.permutation(key, num_sequences).reshape(config.num_minibatches, -1)
        step = partial(_minibatch_step, config, policy, batch, rates, active)
        state, metrics = jax.lax.scan(step, state, order)
        if config.kl_estimate == "minibatches":
            new_kl = jnp.where(active, metrics["kl"].mean(), kl)
        else:
            new_kl = jax.lax.cond(
                active, lambda: mean_kl(config, policy, state.params["actor"], batch), lambda: kl
            )
        carry = (state, active & (new_kl < config.kl_limit), new_kl)
        return carry, metrics | {"active": jnp.broadcast_to(active, (config.num_minibatches,))}

    carry = (state, jnp.bool_(True), jnp.float32(0.0))
    (state, _, kl), metrics = jax.lax.scan(epoch, carry, jax.random.split(key, config.epochs))
    active = metrics["active"]  # [epochs, minibatches]
    critic_active = active if policy.config.shared_trunk else None
    return state, {
        "actor_loss": jnp.mean(metrics["actor_loss"], where=active),
        "critic_loss": jnp.mean(metrics["critic_loss"], where=critic_active),
        "entropy": jnp.mean(metrics["entropy"], where=active),
        "kl": kl,
        "actor_epochs": active[:, 0].sum(),
        "max_abs_log_ratio": metrics["max_abs_log_ratio"][0, 0],
    }


def _minibatch_step(
    config: PPOConfig,
    policy: Policy,
    batch: Batch,
    rates: Rates,
    active: Bool[Array, ""],
    state: PPOState,
    sequences: Int[Array, " b"],
) -> tuple[PPOState, Metrics]:
    """Take one gradient step of each network that is active on the named sequences."""
    minibatch = jax.tree.map(lambda x: x[sequences], batch)
    step = partial(
        _shared_step if policy.config.shared_trunk else _actor_step, config, policy, minibatch, rates
    )
    shapes = jax.eval_shape(step, state)[1]
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    state, metrics = jax.lax.cond(active, step, lambda state: (state, nothing), state)
    if policy.config.shared_trunk:
        return state, metrics
    error, grad = jax.value_and_grad(lambda params: critic_loss(config, policy, params, minibatch))(
        state.params["critic"]
    )
    grad = jax.tree.map(lambda g: config.critic_coefficient * g, grad)
    return _descend(config, state, {"critic": grad}, rates), metrics | {"critic_loss": error}


def _actor_step(
    config: PPOConfig, policy: Policy, minibatch: Batch, rates: Rates, state: PPOState
) -> tuple[PPOState, Metrics]:
    """Take a gradient step of the actor, and return its metrics."""
    grad, metrics = jax.grad(
        lambda params: actor_loss(config, policy, params, minibatch, rates.entropy_bonus), has_aux=True
    )(state.params["actor"])
    return _descend(config, state, {"actor": grad}, rates), metrics


def _shared_step(
    config: PPOConfig, policy: Policy, minibatch: Batch, rates: Rates, state: PPOState
) -> tuple[PPOState, Metrics]:
    """Take a gradient step of actor and critic, which share a trunk, and return their metrics."""
    grads, metrics = jax.grad(
        lambda params: shared_loss(config, policy, params, minibatch, rates.entropy_bonus), has_aux=True
    )(state.params)
    return _descend(config, state, grads, rates), metrics


def _descend(config: PPOConfig, state: PPOState, grads: Params, rates: Rates) -> PPOState:
    """Return the state after a step of the named networks against their gradients."""
    params, opt_state = dict(state.params), dict(state.opt_state)
    for name, grad in grads.items():
        optimiser = optimisers(config)[name]
        direction, opt_state[name] = optimiser.update(grad, opt_state[name], params[name])
        step = jax.tree.map(lambda d: -rates.learning_rate * d, direction)
        params[name] = optax.apply_updates(params[name], step)
    return PPOState(params=params, opt_state=opt_state)
