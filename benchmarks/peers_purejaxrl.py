"""A checkout of PureJaxRL as a contestant of `peers.py`: its `ppo_rnn.py` on trials of bandits.

The file is executed as it stands, apart from its width, 128 throughout, which becomes the setting's. Its
network has one more hidden layer in each head than the other contestants'. Packages that its other
environments need are not asked for. Where distrax is missing, its one distribution is stood in for, and where
chex is, the names of two types, which is all that is used of it.
"""

import importlib.metadata
import importlib.util
import sys
import types
from functools import partial
from pathlib import Path
from typing import Any

import flax
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments import spaces
from peers_setting import Setting

UNUSED = ("brax", "brax.envs", "brax.envs.wrappers", "brax.envs.wrappers.training", "navix")
"""What its wrappers import for environments of other kinds."""


@struct.dataclass
class State:
    """A trial: the bandit [A], the last arm and reward, and the steps taken."""

    probabilities: jax.Array
    action: jax.Array
    reward: jax.Array
    time: jax.Array


class BanditTrials:
    """Trials with one bandit each, as an environment whose episode is a trial; the next starts by itself."""

    def __init__(self, setting: Setting):
        """Keep the sizes."""
        self.setting = setting

    def reset(self, key, params=None):
        """Start a trial with a new bandit."""
        probabilities = jax.random.uniform(key, (self.setting.arms,))
        state = State(probabilities, jnp.int32(0), jnp.float32(0.0), jnp.int32(0))
        return self.observe(state), state

    def step(self, key, state, action, params=None):
        """Pull an arm."""
        key_reward, key_reset = jax.random.split(key)
        reward = (jax.random.uniform(key_reward) < state.probabilities[action]).astype(jnp.float32)
        pulled = State(state.probabilities, action.astype(jnp.int32), reward, state.time + 1)
        done = pulled.time >= self.setting.horizon
        _, fresh = self.reset(key_reset, params)
        state = jax.tree.map(partial(jnp.where, done), fresh, pulled)
        return self.observe(state), state, reward, done, {}

    def observe(self, state):
        """Return what the network sees."""
        first = state.time == 0
        last_arm = jnp.where(first, 0.0, jax.nn.one_hot(state.action, self.setting.arms))
        return jnp.concatenate(
            [last_arm, jnp.stack([state.reward, first, state.time / self.setting.horizon])]
        )

    def observation_space(self, params=None):
        """Vectors."""
        return spaces.Box(0.0, 1.0, (self.setting.arms + 3,), jnp.float32)

    def action_space(self, params=None):
        """Arms."""
        return spaces.Discrete(self.setting.arms)


class Categorical:
    """What stands in for distrax's distribution."""

    def __init__(self, logits):
        """Normalise."""
        self.logits = jax.nn.log_softmax(logits)

    def sample(self, seed):
        """Draw."""
        return jax.random.categorical(seed, self.logits)

    def log_prob(self, value):
        """Return log-probabilities."""
        return jnp.take_along_axis(self.logits, value[..., None], axis=-1)[..., 0]

    def entropy(self):
        """Return the entropy."""
        return -(jnp.exp(self.logits) * self.logits).sum(-1)


class OldCell:
    """flax's GRU cell with the interface of 2023, which the file is written for."""

    def __init__(self, width: int):
        """Keep the width, which that cell took from its memory."""
        self.width = width

    def __call__(self) -> nn.GRUCell:
        """Return the cell."""
        return nn.GRUCell(self.width)

    def initialize_carry(self, key: jax.Array, batch: tuple[int, ...], width: int) -> jax.Array:
        """Return zeros."""
        return jnp.zeros((*batch, width))


def load(checkout: Path, setting: Setting) -> types.ModuleType:
    """Return the checkout's recurrent PPO, with the setting's width and environment."""
    folder = checkout / "purejaxrl"
    for name in UNUSED:
        module = types.ModuleType(name)
        module.__dict__.update(envs=None, EpisodeWrapper=None, AutoResetWrapper=None)
        sys.modules.setdefault(name, module)
    if importlib.util.find_spec("distrax") is None:
        sys.modules["distrax"] = types.ModuleType("distrax")
        sys.modules["distrax"].__dict__["Categorical"] = Categorical
    if importlib.util.find_spec("chex") is None:
        sys.modules["chex"] = types.ModuleType("chex")
        sys.modules["chex"].__dict__.update(Array=jax.Array, PRNGKey=jax.Array)
    sys.path.insert(0, str(folder))
    module = types.ModuleType("ppo_rnn")
    source = (folder / "ppo_rnn.py").read_text().replace("128", str(setting.width))
    exec(compile(source, str(folder / "ppo_rnn.py"), "exec"), module.__dict__)
    module.__dict__["nn"] = types.SimpleNamespace(**vars(nn) | {"GRUCell": OldCell(setting.width)})
    module.__dict__["gymnax"] = types.SimpleNamespace(make=lambda _: (BanditTrials(setting), None))
    return module


class PureJaxRL:
    """The contestant. Its trainer starts anew at each call and runs for a fixed number of updates."""

    def __init__(self, setting: Setting, checkout: Path, iterations: int, learning_iterations: int):
        """Compile training that lasts `iterations`, and prepare one that lasts `learning_iterations`."""
        self.setting, self.module = setting, load(checkout, setting)
        self.device = f"{jax.devices()[0].platform}: {jax.devices()[0].device_kind}"
        self.versions = {
            "jax": jax.__version__,
            "flax": flax.__version__,
            "gymnax": importlib.metadata.version("gymnax"),
            "distrax": "installed" if sys.modules["distrax"].__spec__ else "stood in for",
        }
        self.key = jax.random.PRNGKey(setting.seed)
        self.iterations, self.learning_iterations = iterations, learning_iterations
        self.compiled = self.training(iterations).lower(self.key).compile()

    def training(self, iterations: int) -> Any:
        """Return the trainer, jitted."""
        setting = self.setting
        config = {
            "LR": setting.learning_rate,
            "NUM_ENVS": setting.tasks,
            "NUM_STEPS": setting.horizon,
            "TOTAL_TIMESTEPS": setting.steps * iterations,
            "UPDATE_EPOCHS": setting.epochs,
            "NUM_MINIBATCHES": setting.minibatches,
            "GAMMA": setting.discount,
            "GAE_LAMBDA": setting.gae_lambda,
            "CLIP_EPS": setting.clip,
            "ENT_COEF": setting.entropy_bonus,
            "VF_COEF": setting.critic_coefficient,
            "MAX_GRAD_NORM": setting.max_grad_norm,
            "ENV_NAME": "bandit trials",
            "ANNEAL_LR": False,
        }
        return jax.jit(self.module.make_train(config))

    def run(self, iterations: int) -> None:
        """Train for as long as was compiled; only a call for one iteration, before all others, may differ."""
        assert iterations in (1, self.iterations)
        jax.block_until_ready(self.compiled(self.key))

    def returns(self) -> list[float]:
        """Return the mean return of each iteration of a training as long as the others'."""
        info = self.training(self.learning_iterations)(self.key)["metric"]
        return np.asarray(info["returned_episode_returns"])[:, -1].mean(-1).tolist()
