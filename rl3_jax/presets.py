"""Ready-made configurations by name, and the function that varies them."""

import dataclasses
from typing import Any

from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.object_rl import LEARNERS, make_learner
from rl3_jax.policies import CORES, PolicyConfig, make_core
from rl3_jax.ppo import PPOConfig
from rl3_jax.tasks import Bandit, RandomMdp, TaskFamily
from rl3_jax.training import TrainConfig, serialise
from rl3_jax.trial import METHODS, method_features

DEFAULT_METHOD = "rl3"


def _paper(
    task: TaskFamily, horizon: int, trials: int, minibatch_trials: int, iterations: int
) -> TrainConfig:
    """Return a preset of the paper (design, section 7); what is not named here is `PPOConfig`'s default."""
    return TrainConfig(
        task=task,
        horizon=horizon,
        features=method_features(DEFAULT_METHOD, task),
        policy=PolicyConfig(core=make_core("gru"), width=256),
        ppo=PPOConfig(trials=trials, minibatch_trials=minibatch_trials),
        iterations=iterations,
    )


def _quick(task: TaskFamily, policy: str, iterations: int) -> TrainConfig:
    """Return a preset tuned for a two-core machine.

    `mdp-h100-quick`: RL³ markov reaches 154 after 7 M steps (a prototype on one core; the optimum for
    a clairvoyant is 218, a random policy gets 100).
    `bandit-h100-quick`: not tuned yet (Thompson sampling gets 74.9, a random policy 50).
    """
    return TrainConfig(
        task=task,
        horizon=100,
        features=method_features(DEFAULT_METHOD, task),
        policy=PolicyConfig(core=make_core(policy), width=64),
        ppo=PPOConfig(
            trials=128,
            minibatch_trials=32,
            epochs=4,
            discount=1.0,
            gae_lambda=0.95,
            kl_limit=0.03,
            learning_rate=3e-3,
            learning_rate_final=0.0,
            entropy_bonus=0.02,
            entropy_bonus_final=0.0,
            critic_l2=0.0,
            critic_scale="remaining-steps",
        ),
        iterations=iterations,
    )


PRESETS: dict[str, TrainConfig] = {
    "bandit-h100": _paper(Bandit(), 100, trials=328, minibatch_trials=41, iterations=5000),
    "bandit-h512": _paper(Bandit(), 512, trials=64, minibatch_trials=8, iterations=5000),
    "mdp-h100": _paper(RandomMdp(), 100, trials=328, minibatch_trials=41, iterations=10000),
    "mdp-h512": _paper(RandomMdp(), 512, trials=64, minibatch_trials=8, iterations=10000),
    "bandit-h100-quick": _quick(Bandit(), "gru", iterations=150),
    "mdp-h100-quick": _quick(RandomMdp(), "markov", iterations=550),
}
"""All with method `rl3` and the learner `model-based`."""


def make_config(
    preset: str,
    *,
    method: str | None = None,
    policy: str | None = None,
    learner: str | None = None,
    **overrides: Any,
) -> TrainConfig:
    """Return a preset, varied; e.g. `make_config("bandit-h100-quick", method="rl2", ppo={"epochs": 8})`.

    Args:
      preset: a name of `PRESETS`.
      method: a name of `METHODS`; it sets the features.
      policy: name of the sequence core; the preset's width stays.
      learner: name of the object-level learner.
      **overrides: fields of `TrainConfig`; a dict changes fields of that part and keeps the others.

    Raises:
      ConfigError: listing every name and value that is not valid.
    """
    found = name_problems(preset=preset, method=method, policy=policy, learner=learner)
    base = PRESETS.get(preset, TrainConfig())
    if not found:
        base = choose(base, method=method, policy=policy, learner=learner)
    try:
        config = serialise.from_dict(_merge(serialise.to_dict(base), overrides))
    except ConfigError as error:
        raise ConfigError([*found, *error.problems]) from None
    if found:
        raise ConfigError(found)
    return config


def name_problems(**names: str | None) -> list[str]:
    """Return a message for each unknown name of a preset, method, policy or learner."""
    choices = {"preset": PRESETS, "method": METHODS, "policy": CORES, "learner": LEARNERS}
    return [
        unknown_choice(what, name, list(choices[what]))
        for what, name in names.items()
        if name is not None and name not in choices[what]
    ]


def choose(
    config: TrainConfig, *, method: str | None, policy: str | None, learner: str | None
) -> TrainConfig:
    """Return a configuration with another method, policy or learner, given by valid names.

    A policy or learner that it already has keeps its settings.
    """
    if learner is not None and config.learner.learner != learner:
        config = dataclasses.replace(config, learner=make_learner(learner))
    if policy is not None and config.policy.core.core != policy:
        network = dataclasses.replace(config.policy, core=make_core(policy))
        config = dataclasses.replace(config, policy=network)
    if method is not None:
        config = dataclasses.replace(config, features=method_features(method, config.task))
    return config


def method_name(config: TrainConfig) -> str:
    """Return the method whose features a configuration has, or `custom`."""
    matches = [name for name in METHODS if method_features(name, config.task) == config.features]
    return matches[0] if matches else "custom"


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration's dict with changes: a dict is merged, a dataclass takes the old one's place."""
    merged = dict(base)
    for name, value in changes.items():
        if dataclasses.is_dataclass(value):
            merged[name] = serialise.to_dict(value)
        elif isinstance(value, dict) and isinstance(base.get(name), dict):
            merged[name] = _merge(base[name], value)
        else:
            merged[name] = value
    return merged
