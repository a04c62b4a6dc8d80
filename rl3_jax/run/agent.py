"""A trained agent: on disk the actor's parameters as safetensors, and as JSON what else acting needs."""

import dataclasses
import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from rl3_jax.errors import ConfigError, problems_of
from rl3_jax.policies import Policy
from rl3_jax.run import hosts, hub
from rl3_jax.run.digests import digest, packed, unpacked
from rl3_jax.run.files import read_json, write_atomically
from rl3_jax.run.shipped import shipped_folder
from rl3_jax.tasks import Action
from rl3_jax.training import Agent, TrainConfig, serialise
from rl3_jax.training.recording import TrialSteps, record_trials
from rl3_jax.trial import TrialEnv

PARAMS_FILE = "actor.safetensors"
CONFIG_FILE = "agent.json"
ACTING = ("task", "horizon", "features", "learner", "abstraction", "policy")
"""The fields of `TrainConfig` that acting needs."""


@dataclasses.dataclass(frozen=True)
class LoadedAgent:
    """A trained agent, ready to act.

    Attributes:
      env: the trial it was trained on.
      policy: its meta-policy.
      params: the actor's parameters.
      config: the content of `agent.json`.
      iteration: iterations of training behind it.
    """

    env: TrialEnv
    policy: Policy
    params: PyTree
    config: dict[str, Any]
    iteration: int

    def init_carry(self) -> Any:
        """Return the memory at a trial's first step."""
        return self.policy.initial_carry()

    def act(
        self, carry: Any, observation: Float[Array, " D"], key: PRNGKeyArray, greedy: bool = False
    ) -> tuple[Any, Action]:
        """Return the memory after one more step, and an action for `env.step_env`.

        Args:
          carry: the memory, from `init_carry` or the last call. A transformer's without a window has no
            room for steps beyond the horizon it was trained on.
          observation: [D] what the trial shows now.
          key: consumed.
          greedy: take the mode of its distribution instead of a sample.
        """
        return _act(self.policy, self.params, carry, observation, key, greedy)

    def rollout(self, key: PRNGKeyArray, num_tasks: int, greedy: bool = False) -> TrialSteps:
        """Return one trial on each of `num_tasks` new tasks, step by step, from one compiled call.

        All arrays lead with [num_tasks, H], so the memory that they take grows with both. The first trials do
        not depend on how many there are. Those of `jax.random.key(S)` are the ones that `rl3 evaluate
        --seed S` takes. A call with the same `num_tasks` does not compile again.

        Args:
          key: consumed.
          num_tasks: how many tasks, N.
          greedy: as in `act`.

        Raises:
          ConfigError: if `num_tasks` is below 1.
        """
        if num_tasks < 1:
            raise ConfigError(f"num_tasks is {num_tasks}; it must be at least 1")
        return record_trials(self.env.suited(jax.default_backend()), self.behaviour(greedy), key, num_tasks)

    def behaviour(self, greedy: bool = False) -> Agent:
        """Return the agent as `evaluate` takes it."""
        return Agent(params=self.params, policy=self.policy, greedy=greedy)


@partial(jax.jit, static_argnames=("policy", "greedy"))
def _act(policy: Policy, params: PyTree, carry: Any, observation: Array, key: PRNGKeyArray, greedy: bool):
    return policy.act({"actor": params}, carry, observation, policy.noise(key, greedy))[:2]


def save_agent(folder: Path, config: TrainConfig, actor_params: PyTree, iteration: int) -> None:
    """Write an agent, so that at each moment the folder holds a whole one and nothing else.

    `agent.json` is the same throughout a run, so only the parameters are replaced.
    """
    folder.mkdir(exist_ok=True)
    acting = _acting(config)
    content = (json.dumps(acting, indent=2) + "\n").encode()
    write_atomically(folder / CONFIG_FILE, content, temporary_folder=folder.parent)
    flat: dict[str, Any] = dict(traverse_util.flatten_dict(jax.device_get(actor_params), sep="/"))
    tensors = packed(flat, {"iteration": iteration}, [acting, iteration])
    write_atomically(folder / PARAMS_FILE, tensors, temporary_folder=folder.parent)


def agent_in_memory(config: TrainConfig, actor_params: PyTree, iteration: int) -> LoadedAgent:
    """Return the agent that `save_agent` would write and `load_agent` read, on the first device."""
    params = hosts.own(actor_params)
    return LoadedAgent(config.env, config.network, params, _acting(config), iteration)


def _acting(config: TrainConfig) -> dict[str, Any]:
    """Return the content of `agent.json`."""
    return {name: value for name, value in serialise.to_dict(config).items() if name in ACTING}


def load_agent(path: str | Path) -> LoadedAgent:
    """Return the agent of a run folder, of its `agent` folder alone, or one that has a name.

    Args:
      path: the folder; `hf:OWNER/NAME` or `hf:OWNER/NAME@REVISION` of an agent on the Hugging Face hub; or
        where there is no such folder the name of one that comes with the package, as `rl3 list` shows it.

    Raises:
      ConfigError: if there is none, or its two files do not belong together.
    """
    if hub.is_name(path):
        folder = hub.download(str(path), (CONFIG_FILE, PARAMS_FILE))
        try:
            return _load(folder, path, missing="is it one of rl3_jax?", damaged="its owner can push it anew")
        except ConfigError as error:
            raise ConfigError(f"{path}: {'; '.join(error.problems)}") from None
    missing = "a run has one from its first checkpoint on, and `rl3 list` shows those that come with rl3_jax"
    return _load(agent_folder(path), path, missing=missing, damaged="`rl3 resume` writes both files anew")


def agent_folder(path: str | Path) -> Path:
    """Return the folder that should have the agent's files, of a run folder, a folder or a shipped name."""
    folder = shipped_folder(str(path)) if is_name(path) else Path(path)
    return folder / "agent" if (folder / "agent").is_dir() else folder


def _load(folder: Path, path: str | Path, *, missing: str, damaged: str) -> LoadedAgent:
    """Return the agent in a folder, which belongs to what the user has called `path`.

    `missing` and `damaged` are what to do if it is.
    """
    if not (folder / PARAMS_FILE).is_file() or not (folder / CONFIG_FILE).is_file():
        raise ConfigError(f"{path} holds no agent, {CONFIG_FILE} and {PARAMS_FILE}; {missing}")
    data = read_json(folder / CONFIG_FILE)
    config = serialise.from_dict(data, source=str(folder / CONFIG_FILE))
    try:
        flat, iteration, written = unpacked(folder / PARAMS_FILE, "iteration")
    except ConfigError as error:
        raise ConfigError(
            f"{folder / PARAMS_FILE} holds no parameters of an agent ({error}); {damaged}"
        ) from None
    params = jax.tree.map(jnp.asarray, traverse_util.unflatten_dict(flat, sep="/"))
    if jax.tree.map(lambda x: (x.shape, x.dtype), params) != _actor_arrays(config.network):
        raise ConfigError(
            f"{folder / PARAMS_FILE} does not fit the policy in {CONFIG_FILE}; take both from one run"
        )
    if written != digest([data, iteration], flat):
        raise ConfigError(
            f"{folder}: {PARAMS_FILE} and {CONFIG_FILE} are not as they were written together; {damaged}"
        )
    return LoadedAgent(config.env, config.network, params, data, iteration)


def agent_of(source: str | Path | LoadedAgent) -> LoadedAgent:
    """Return an agent as it is, or the one that `load_agent` finds."""
    return source if isinstance(source, LoadedAgent) else load_agent(source)


def named(source: str | Path | LoadedAgent) -> str | Path | LoadedAgent:
    """Return the agent of a name, where there is no such folder; a run folder or an agent as it is."""
    return source if isinstance(source, LoadedAgent) or not is_name(source) else load_agent(source)


def is_name(path: str | Path) -> bool:
    """Whether a path names an agent on the hub, or one that comes with the package and no folder."""
    return hub.is_name(path) or not (Path(path).exists() or problems_of(shipped_folder, str(path)))


@lru_cache(maxsize=64)
def _actor_arrays(policy: Policy) -> PyTree:
    """Return shape and type of each parameter of an actor; kept, as a sweep reads many agents alike."""
    params = jax.eval_shape(policy.init, jax.random.key(0))["actor"]
    return jax.tree.map(lambda x: (x.shape, x.dtype), params)
