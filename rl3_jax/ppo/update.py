"""One PPO update: epochs of minibatches, with the actor's KL stop inside the compiled loop."""

from functools import partial

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from rl3_jax.policies import Params, Policy
from rl3_jax.ppo.config import PPOConfig
from rl3_jax.ppo.loss import Batch, actor_loss, critic_loss, mean_kl


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
      learning_rate: [] Adam's step size.
      entropy_bonus: [] factor of the entropy.
    """

    learning_rate: Float[Array, ""]
    entropy_bonus: Float[Array, ""]


def optimisers(config: PPOConfig) -> dict[str, optax.GradientTransformation]:
    """Return Adam for actor and critic, without the step size, which is scheduled."""
    clip = optax.clip_by_global_norm(config.max_grad_norm) if config.max_grad_norm else optax.identity()
    adam = optax.scale_by_adam(eps=config.adam_epsilon)
    return {
        "actor": optax.chain(clip, adam),
        "critic": optax.chain(clip, optax.add_decayed_weights(config.critic_l2), adam),
    }


def init(config: PPOConfig, policy: Policy, key: PRNGKeyArray) -> PPOState:
    """Return fresh parameters and optimiser states. The key is consumed."""
    params = policy.init(key)
    opt_state = {name: optimiser.init(params[name]) for name, optimiser in optimisers(config).items()}
    return PPOState(params=params, opt_state=opt_state)


def update(
    config: PPOConfig, policy: Policy, state: PPOState, batch: Batch, rates: Rates, key: PRNGKeyArray
) -> tuple[PPOState, dict[str, Float[Array, ""]]]:
    """Run the epochs of one iteration on a batch of B trials. The key is consumed.

    After each epoch the mean KL from the rollout policy is taken over the whole batch; at
    `config.kl_limit` or more the actor stops while the critic goes on.

    Returns:
      The new state, and the metrics `actor_loss`, `entropy`, `critic_loss` (means over the minibatches
      that were learnt from), `kl` (after the actor's last epoch), `actor_epochs`, and
      `max_abs_log_ratio` (in the first minibatch, before any gradient step).
    """

    def epoch(carry, key):
        state, active, kl = carry
        order = jax.random.permutation(key, config.trials)
        order = order.reshape(config.num_minibatches, config.minibatch_trials)
        step = partial(_minibatch_step, config, policy, batch, rates, active)
        state, metrics = jax.lax.scan(step, state, order)
        new_kl = jax.lax.cond(
            active, lambda: mean_kl(policy, state.params["actor"], batch.trajectory), lambda: kl
        )
        carry = (state, active & (new_kl < config.kl_limit), new_kl)
        return carry, metrics | {"active": jnp.broadcast_to(active, (config.num_minibatches,))}

    carry = (state, jnp.bool_(True), jnp.float32(0.0))
    (state, _, kl), metrics = jax.lax.scan(epoch, carry, jax.random.split(key, config.epochs))
    active = metrics["active"]  # [epochs, minibatches]
    return state, {
        "actor_loss": jnp.mean(metrics["actor_loss"], where=active),
        "critic_loss": metrics["critic_loss"].mean(),
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
    actor_active: Bool[Array, ""],
    state: PPOState,
    trials: Int[Array, " b"],
) -> tuple[PPOState, dict[str, Float[Array, ""]]]:
    """Take one gradient step of each network on the named trials."""
    minibatch = jax.tree.map(lambda x: x[trials], batch)

    def actor_step():
        grad, metrics = jax.grad(
            lambda params: actor_loss(config, policy, params, minibatch, rates.entropy_bonus), has_aux=True
        )(state.params["actor"])
        return _descend(config, "actor", state, grad, rates), metrics

    def actor_rests():
        metrics = {name: jnp.float32(0.0) for name in ("actor_loss", "entropy", "max_abs_log_ratio")}
        return (state.params["actor"], state.opt_state["actor"]), metrics

    (actor, actor_opt), metrics = jax.lax.cond(actor_active, actor_step, actor_rests)
    error, grad = jax.value_and_grad(lambda params: critic_loss(config, policy, params, minibatch))(
        state.params["critic"]
    )
    grad = jax.tree.map(lambda g: config.critic_coefficient * g, grad)
    critic, critic_opt = _descend(config, "critic", state, grad, rates)
    state = PPOState(
        params={"actor": actor, "critic": critic},
        opt_state={"actor": actor_opt, "critic": critic_opt},
    )
    return state, metrics | {"critic_loss": error}


def _descend(config: PPOConfig, name: str, state: PPOState, grad: Params, rates: Rates):
    """Return one network's parameters and optimiser state after a step against its gradient."""
    params = state.params[name]
    direction, opt_state = optimisers(config)[name].update(grad, state.opt_state[name], params)
    step = jax.tree.map(lambda d: -rates.learning_rate * d, direction)
    return optax.apply_updates(params, step), opt_state
