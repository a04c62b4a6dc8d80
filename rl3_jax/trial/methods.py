"""Ready-made trials by name."""

import dataclasses
from typing import Any

import jax
from jaxtyping import PRNGKeyArray

from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.object_rl import (
    ABSTRACTIONS,
    LEARNERS,
    Abstraction,
    Clusters,
    Coordinates,
    Hashed,
    Identity,
    Learner,
    Tiling,
    make_learner,
)
from rl3_jax.tasks import Action, TaskFamily, make_family
from rl3_jax.trial.config import ENCODINGS, Features
from rl3_jax.trial.env import TrialEnv, TrialParams, TrialState

METHODS: dict[str, Features] = {
    "rl2": Features(advantages=False, value=False, counts=False),
    "rl3": Features(),
    "rl3-coarse": Features(),
}
"""RL² sees the raw history; RL³ also values and visit counts; RL³-coarse plans on clusters of states."""

COARSE = {"rl3-coarse": Clusters}
"""Methods with an abstraction of their own; the others have that of the family."""


def with_method(features: Features, method: str) -> Features:
    """Return the parts that a method shows, encoded as in the given features.

    Raises:
      ConfigError: if there is no such method.
    """
    if method not in METHODS:
        raise ConfigError(unknown_choice("method", method, list(METHODS)))
    encodings = {field: getattr(features, field) for field in ENCODINGS}
    return dataclasses.replace(METHODS[method], **encodings)


def method_features(method: str, family: TaskFamily) -> Features:
    """Return what `with_method` does, with the family's scale of values and else as by default."""
    return with_method(Features(value_scale=family.value_scale), method)


def family_abstraction(family: TaskFamily, learner: Learner) -> Abstraction:
    """Return what a learner takes for a state by default: vectors, integers, hashed states or tiles."""
    if learner.sees_vectors:
        kind: type[Abstraction] = Coordinates
    elif family.hashed_rows:
        kind = Hashed
    else:
        kind = Identity if family.integer_states else Tiling
    return named_abstraction(kind.abstraction, family)


def method_abstraction(
    method: str, family: TaskFamily, learner: Learner, abstraction: Abstraction | None = None
) -> Abstraction:
    """Return the state abstraction of a method and learner; one that fits them already keeps its settings."""
    if abstraction is not None and fits_method(method, learner, abstraction):
        return abstraction
    return COARSE[method]() if method in COARSE else family_abstraction(family, learner)


def fits_method(method: str, learner: Learner, abstraction: Abstraction) -> bool:
    """Tell whether a state abstraction is one that a method may have, with a learner."""
    kinds = (Coordinates,) if learner.sees_vectors else (Identity, Tiling, Hashed)
    return isinstance(abstraction, COARSE.get(method, kinds))


def named_abstraction(name: str, family: TaskFamily) -> Abstraction:
    """Return the abstraction of a valid name, with the family's tiles or rows."""
    kind = ABSTRACTIONS[name]
    if kind is Tiling:
        return Tiling(bins=family.tiles)
    return Hashed(rows=family.hashed_rows) if kind is Hashed and family.hashed_rows else kind()


def family_learner(name: str, family: TaskFamily) -> Learner:
    """Return what `make_learner` does, with the family's smoothing and tolerance (design, section 5.1)."""
    learner: Any = make_learner(name)
    known = {"smoothing": family.smoothing, "tolerance": family.tolerance}
    fields = {field.name for field in dataclasses.fields(learner)}
    return dataclasses.replace(learner, **{k: v for k, v in known.items() if k in fields})


@dataclasses.dataclass(frozen=True)
class FiveValuedTrialEnv(TrialEnv):
    """A trial for trainers that know gymnax before its version 1.0, whose `step` returns five values."""

    def step(  # pyright: ignore[reportIncompatibleVariableOverride]  gymnax's is wrapped by `jit`
        self, key: PRNGKeyArray, state: TrialState, action: Action, params: TrialParams | None = None
    ):
        """Return observation, state, reward, done and info, with a new trial begun where one ended."""
        observation, state, reward, terminated, truncated, info = super().step(key, state, action, params)
        return observation, state, reward, terminated | truncated, info


STEP_APIS = {"six": TrialEnv, "five": FiveValuedTrialEnv}
"""Trials by the number of values that their `step` returns."""


def make(
    family: str,
    *,
    method: str = "rl3",
    horizon: int = 100,
    learner: str = "model-based",
    pool_size: int = 1024,
    step_api: str = "six",
    **options: Any,
) -> tuple[TrialEnv, TrialParams]:
    """Return a trial and its params, as `gymnax.make` does for its environments.

    The params hold a pool of tasks, since gymnax's `step` resets at each step. To draw a fresh task
    for each trial, call `reset_env` and `step_env` with `env.default_params`.

    Args:
      family: name of the task family.
      method: a name of `METHODS`.
      horizon: trial length H, steps.
      learner: name of the object-level learner.
      pool_size: tasks in the pool, from which each trial draws one.
      step_api: `six` for gymnax's own `step`, which tells termination from truncation; `five` for trainers
        that unpack (observation, state, reward, done, info), such as PureJaxRL and rejax.
      **options: fields of the family, e.g. `num_arms=10` or `variation="ood"`.

    Raises:
      ConfigError: listing every name and value that is not valid.
    """
    found = [] if horizon >= 1 else [f"horizon is {horizon}; a trial has at least 1 step"]
    if pool_size < 1:
        found.append(f"pool_size is {pool_size}; a pool has at least 1 task")
    choices = {"step_api": (step_api, STEP_APIS), "method": (method, METHODS), "learner": (learner, LEARNERS)}
    found += [unknown_choice(what, name, list(of)) for what, (name, of) in choices.items() if name not in of]
    try:
        task_family = make_family(family, **options)
    except ConfigError as error:
        raise ConfigError([*error.problems, *found]) from None
    if found:
        raise ConfigError(found)
    features = method_features(method, task_family)
    inside = family_learner(learner, task_family)
    env = STEP_APIS[step_api](
        task_family,
        horizon=horizon,
        features=features,
        learner=inside,
        abstraction=method_abstraction(method, task_family, inside),
    )
    if found := env.conflicts():
        raise ConfigError(found)
    return env, env.pool(jax.random.key(0), pool_size)
