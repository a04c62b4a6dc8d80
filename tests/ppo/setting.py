"""One small setting in which the parts of PPO are tested."""

import dataclasses
from functools import cache, partial

import jax

from rl3_jax import ppo
from rl3_jax.object_rl import QLearning
from rl3_jax.policies import Policy, PolicyConfig, action_distribution, make_core
from rl3_jax.tasks import RandomMdp
from rl3_jax.testing.cores import opinionated
from rl3_jax.trial import TrialEnv, method_features
from tests.probes import Aim

TRIALS, HORIZON = 8, 10
MDP = RandomMdp(states=3, actions=2, steps=4)
BOX = Aim()
FAMILIES = {"discrete": MDP, "box": BOX}
CONFIG = ppo.PPOConfig(
    trials=TRIALS,
    minibatch_trials=TRIALS,
    epochs=1,
    discount=0.9,
    gae_lambda=0.8,
    kl_limit=1e9,
    critic_l2=0.0,
)


def make_env(method="rl3", family=MDP):
    features = method_features(method, family)
    return TrialEnv(family, horizon=HORIZON, features=features, learner=QLearning())


def make_policy(core="markov", method="rl3", family=MDP, **options):
    env = make_env(method, family)
    distribution = action_distribution(env.action_space())
    core = make_core(core) if isinstance(core, str) else core
    config = PolicyConfig(core=core, width=8, **options)
    return Policy(config, env.observation_size, distribution, HORIZON)


def make_state(policy, config=CONFIG):
    """Parameters far from uniform, so that errors in log-probabilities show."""
    state = ppo.init(config, policy, jax.random.key(0))
    return state.replace(params=opinionated(state.params))


@cache
def collected(core="markov", method="rl3", family=MDP):
    """Return a policy, its parameters and a batch collected with them."""
    policy = make_policy(core, method, family)
    params = make_state(policy).params
    keys = jax.random.split(jax.random.key(5), TRIALS)
    batch, metrics = jax.jit(ppo.collect, static_argnums=(0, 1, 2))(
        CONFIG, make_env(method, family), policy, params, keys
    )
    return policy, params, batch, metrics


@partial(jax.jit, static_argnums=(0, 1))
def update(config, policy, state, batch, rates, key):
    return ppo.update(config, policy, state, batch, rates, key)


def rates(learning_rate, entropy_bonus=0.0):
    return ppo.Rates(
        learning_rate=jax.numpy.float32(learning_rate),
        entropy_bonus=jax.numpy.float32(entropy_bonus),
        novelty_bonus=jax.numpy.float32(0.0),
    )


def configure(**fields):
    return dataclasses.replace(CONFIG, **fields)
