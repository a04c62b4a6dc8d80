"""Ready-made configurations by name, and the function that varies them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from rl3_jax import tasks
from rl3_jax.errors import ConfigError, unknown_choice
from rl3_jax.object_rl import ABSTRACTIONS, LEARNERS, Abstraction, Learner, RMax
from rl3_jax.policies import CORES, Core, Gru, Markov, MinGru, PolicyConfig, Transformer, make_core
from rl3_jax.ppo import PPOConfig
from rl3_jax.training import EvaluationConfig, TrainConfig, serialise
from rl3_jax.trial import (
    METHODS,
    TrialEnv,
    family_abstraction,
    family_learner,
    fits_method,
    method_abstraction,
    method_features,
    named_abstraction,
    with_method,
)

DEFAULT_METHOD, DEFAULT_LEARNER = "rl3", "model-based"
VECTOR_LEARNER = "kernel"
"""The learner of a family whose states are vectors, unless it cuts them into tiles."""


def _paper(task: tasks.TaskFamily, horizon: int, iterations: int, **ppo: Any) -> TrainConfig:
    """Return a preset of the paper (design, section 7); what is not named here is `PPOConfig`'s default."""
    learner = family_learner(DEFAULT_LEARNER, task)
    return TrainConfig(
        task=task,
        horizon=horizon,
        features=method_features(DEFAULT_METHOD, task),
        learner=learner,
        abstraction=family_abstraction(task, learner),
        policy=PolicyConfig(
            core=Transformer(), width=64, input_layers=(256,), activation="relu", layer_norm=True
        ),
        ppo=PPOConfig(**ppo),
        iterations=iterations,
    )


def _paper_gridworld(variation: str, horizon: int, **ppo: Any) -> TrainConfig:
    """Return a preset of the paper for gridworlds (design, sections 5.1 and 7)."""
    rates = {"learning_rate": 2e-4, "entropy_bonus": 0.04}
    constant = rates | {f"{name}_final": value for name, value in rates.items()}
    return _paper(tasks.Gridworld(variation=variation), horizon, iterations=20000, **constant, **ppo)


def _quick(
    task: tasks.TaskFamily, core: Core, iterations: int, max_sweeps: int, **changes: Any
) -> TrainConfig:
    """Return a preset tuned for a two-core machine, by return within a minute or so of training.

    Measured rather than taken from the paper (docs/measurements.md): whole returns (discount 1) with a critic
    scaled by the steps that remain, few epochs at a high learning rate, values and counts that enter near
    their own size, and a fixed number of planning sweeps a step (`max_sweeps`; 0 is the episode length).
    Bandits and MDPs have the prior that their tasks are drawn from.
    `changes` to all that are as `_varied` takes them.
    """
    learner = _varied(family_learner(DEFAULT_LEARNER, task), tolerance=0.0, max_sweeps=max_sweeps)
    quick = TrainConfig(
        task=task,
        horizon=100,
        features=method_features(DEFAULT_METHOD, task),
        learner=learner,
        abstraction=family_abstraction(task, learner),
        policy=PolicyConfig(core=core, width=64),
        ppo=PPOConfig(
            trials=128,
            minibatch_trials=32,
            epochs=2,
            discount=1.0,
            gae_lambda=0.8,
            kl_limit=0.03,
            learning_rate=3e-3,
            learning_rate_final=0.0,
            entropy_bonus=0.02,
            entropy_bonus_final=0.0,
            critic_l2=0.0,
            critic_scale="remaining-steps",
        ),
        iterations=iterations,
        evaluation=EvaluationConfig(every=100),
    )
    return _varied(quick, **changes)


def _varied(config: Any, **changes: Any) -> Any:
    """Return a configuration with other values of fields; a dict changes fields of that part."""
    for name, value in changes.items():
        if isinstance(value, dict):
            changes[name] = _varied(getattr(config, name), **value)
    return dataclasses.replace(config, **changes)


def _quick_grid(task: tasks.TaskFamily, horizon: int, iterations: int, **changes: Any) -> TrainConfig:
    """Return a preset for mazes, in which the goal pays far more than a step does, and is hard to find.

    Tuned on gridworlds, whose goals pay about 100; how it was found, and what it is worth in other mazes, is
    in `docs/recipes.md`. A bonus of 8 for each new state drowns a goal that pays 1. `changes` to all that are
    as `_varied` takes them.
    """
    quick = _quick(
        task,
        MinGru(layers=2),
        iterations,
        max_sweeps=4,
        horizon=horizon,
        features={"value_scale": 1.0, "count_scale": 1.0, "squash": "symlog", "position": "both"},
        policy={"input_layers": (64,), "read_out": "product", "shared_trunk": True},
        ppo={
            "optimiser": "muon",
            "epochs": 4,
            "discount": 0.99,
            "gae_lambda": 0.9,
            "entropy_bonus": 0.03,
            "entropy_bonus_final": 0.005,
            "novelty_bonus": 8.0,
            "critic_coefficient": 1e-4,
            "kl_estimate": "minibatches",
        },
    )
    return _varied(quick, **changes)


UNKNOWN_MAP: dict[str, Any] = {"untried": "stay", "smoothing": 0.0}
"""The learner's fields where each task has a map of its own (docs/recipes.md)."""
ONE_FOR_THE_GOAL: dict[str, Any] = {"novelty_bonus": 0.25, "critic_coefficient": 0.1}
"""PPO's fields where the goal pays 1, not 100."""


def _quick_gridworld(variation: str, horizon: int, iterations: int) -> TrainConfig:
    """Return a preset for gridworlds."""
    return _quick_grid(tasks.Gridworld(variation=variation), horizon, iterations, learner=UNKNOWN_MAP)


def _quick_gymnax(task: tasks.TaskFamily, horizon: int, **changes: Any) -> TrainConfig:
    """Return a preset for a family of environments of others: a starting point, tuned on point-robot alone.

    `changes` to all that are as `_varied` takes them.
    """
    quick = _quick(
        task,
        Gru(),
        iterations=100,
        max_sweeps=3,
        horizon=horizon,
        features={"value_scale": task.value_scale, "count_scale": 10.0},
        ppo={"gae_lambda": 0.9, "kl_limit": 0.05, "entropy_bonus": 0.01},
    )
    return _varied(quick, **changes)


def _quick_vectors(task: tasks.TaskFamily, horizon: int, **changes: Any) -> TrainConfig:
    """Return `_quick_gymnax` with a learner that sees vectors as they are, behind gates.

    It is several times as fast as one that plans in tiles, and earned as much or more (docs/measurements.md).
    """
    learner = family_learner(VECTOR_LEARNER, task)
    quick = _quick_gymnax(task, horizon, learner=learner, abstraction=family_abstraction(task, learner))
    return _varied(quick, **{"policy": {"gates": True}, **changes})


SPARSE: dict[str, Any] = {"critic_scale": "none"}
"""PPO's fields for tasks of which most trials pay nothing at first: a critic scaled by the steps that remain
is wrong by more than that (docs/measurements.md)."""


CHOSEN_BY_NAME = ("method", "policy", "learner", "abstraction")
"""Parts of a configuration that a name stands for."""

PRESETS: dict[str, TrainConfig] = {
    "bandit-h100": _paper(tasks.Bandit(), 100, iterations=5000, trials=328, minibatch_trials=41),
    "bandit-h512": _paper(tasks.Bandit(), 512, iterations=5000, trials=64, minibatch_trials=8),
    "mdp-h100": _paper(tasks.RandomMdp(), 100, iterations=10000, trials=328, minibatch_trials=41),
    "mdp-h512": _paper(tasks.RandomMdp(), 512, iterations=10000, trials=64, minibatch_trials=8),
    "bandit-h100-quick": _quick(
        tasks.Bandit(),
        MinGru(),
        iterations=700,
        max_sweeps=0,
        features={"value_scale": 0.1, "count_scale": 1.0, "count_encoding": "inverse-root"},
        learner={"prior_reward": 0.5, "prior_count": 2.0},
        policy={"width": 32, "exchangeable_actions": True},
        ppo={"kl_estimate": "minibatches", "mean_rewards": True},
    ),
    # Three planning sweeps a step serve nearly as well as ten, in less time (docs/measurements.md).
    "mdp-h100-quick": _quick(
        tasks.RandomMdp(),
        Markov(),
        iterations=400,
        max_sweeps=3,
        features={"value_scale": 1.0, "count_scale": 1.0},
        learner={"smoothing": 1.0, "prior_reward": 1.0, "prior_count": 1.0},
        ppo={"learning_rate": 6e-3},
    ),
    "gridworld-11x11": _paper_gridworld("11x11", 250, trials=128, minibatch_trials=16),
    "gridworld-13x13": _paper_gridworld("13x13", 350, trials=96, minibatch_trials=12),
    "gridworld-11x11-quick": _quick_gridworld("11x11", 250, iterations=1500),
    "gridworld-13x13-quick": _quick_gridworld("13x13", 350, iterations=1050),
    # R-max knows the rules of all gridworlds: RL³ then earns a little more than it (docs/measurements.md).
    "gridworld-11x11-long": _varied(_quick_gridworld("11x11", 250, iterations=4800), learner=RMax()),
    "gridworld-13x13-long": _varied(_quick_gridworld("13x13", 350, iterations=3430), learner=RMax()),
    "frozen-lake-h100-quick": _quick_gymnax(tasks.FrozenLakes(), 100),
    "frozen-lake-h250-quick": _quick_grid(
        tasks.FrozenLakes(side=8, slippery=False),
        250,
        iterations=150,
        features={"position": "coordinates"},
        learner=UNKNOWN_MAP,
        ppo=ONE_FOR_THE_GOAL,
    ),
    "four-rooms-h250-quick": _quick_grid(tasks.FourRoomsTasks(), 250, iterations=400, ppo=ONE_FOR_THE_GOAL),
    # Any cell may follow one beside the goal, so that a sweep goes over all triples: two are made, not four.
    "meta-maze-h200-quick": _quick_grid(tasks.MetaMazes(), 200, iterations=100, learner={"max_sweeps": 2}),
    "point-robot-h100-quick": _quick_vectors(tasks.PointRobots(), 100, iterations=300),
    "reacher-h200-quick": _quick_vectors(tasks.Reachers(), 200),
    "point-robot-sparse-h100-quick": _quick_vectors(
        tasks.PointRobots(dense=False), 100, iterations=300, ppo=SPARSE
    ),
    "reacher-sparse-h200-quick": _quick_vectors(tasks.Reachers(dense=False), 200, ppo=SPARSE),
    "cart-pole-h200-quick": _quick_vectors(tasks.CartPoles(), 200),
    "mountain-car-h300-quick": _quick_vectors(tasks.MountainCars(), 300, features={"reward_scale": 2.0}),
    "acrobot-h300-quick": _quick_vectors(tasks.Acrobots(), 300, features={"reward_scale": 2.0}),
    "pendulum-h200-quick": _quick_vectors(tasks.Pendulums(), 200, features={"reward_scale": 10.0}),
    "xland-h486-quick": _quick_gymnax(tasks.XLandTasks(), 486, policy={"gates": True}, ppo=SPARSE),
    "navix-h200-quick": _quick_gymnax(tasks.NavixRooms(), 200, policy={"gates": True}, ppo=SPARSE),
}
"""All with method `rl3`; learners are `model-based`, `r-max` in the `-long` ones, `kernel` for vectors."""


def make_config(
    preset: str,
    *,
    method: str | None = None,
    policy: str | PolicyConfig | dict[str, Any] | None = None,
    learner: str | Learner | dict[str, Any] | None = None,
    abstraction: str | Abstraction | dict[str, Any] | None = None,
    **overrides: Any,
) -> TrainConfig:
    """Return a preset, varied; e.g. `make_config("bandit-h100-quick", method="rl2", ppo={"epochs": 8})`.

    Args:
      preset: a name of `PRESETS`.
      method: a name of `METHODS`; it sets the features.
      policy: name of the sequence core; the preset's width stays. Or a policy, or fields of it to change.
      learner: name of the object-level learner; or one, or fields of the preset's own to change.
      abstraction: name of the state abstraction; or one, or fields of the preset's own to change.
      **overrides: fields of `TrainConfig`; a dict changes fields of that part and keeps the others. A `task`
        of another family than the preset's brings what belongs to it, see `suited_to`; other fields win.

    Raises:
      ConfigError: listing every name and value that is not valid.
    """
    parts: dict[str, Any] = {
        "method": method,
        "policy": policy,
        "learner": learner,
        "abstraction": abstraction,
    }
    names = {what: None if _is_part(part) else part for what, part in parts.items()}
    overrides |= {what: part for what, part in parts.items() if _is_part(part)}
    found = name_problems(preset=preset, **names)
    config, task = PRESETS.get(preset, TrainConfig()), overrides.get("task")
    if isinstance(task, type):
        raise ConfigError([*found, f"task is the class {task.__name__}; give one of it, {task.__name__}()"])
    if isinstance(task, tasks.TaskFamily) and type(task) is not type(config.task):
        if failures := tasks.property_problems(task):
            raise ConfigError([*found, *failures])
        config = suited_to(task, config)
    return _changed(config, names, [overrides], found)


def suited_to(task: tasks.TaskFamily, config: TrainConfig) -> TrainConfig:
    """Return a configuration for another family, with what no longer fits taken from that family.

    That are the state abstraction and α; of what the family declares, the scale of values and the trial
    length; no prior, which is that of the other tasks; exchangeable actions and mean rewards only where the
    family has them. Where states have no table, it is the learner `VECTOR_LEARNER` behind gates.
    """
    kind, learner = type(task), config.learner
    vectors = not task.has_table
    if vectors and not learner.sees_vectors:
        learner = family_learner(VECTOR_LEARNER, task)
    elif learner.sees_vectors and not task.coordinate_bounds:
        learner = family_learner(DEFAULT_LEARNER, task)
    config = dataclasses.replace(config, learner=learner)
    own = {"smoothing": task.smoothing, "prior_reward": 0.0, "prior_count": 0.0}
    declared: dict[str, Any] = {}
    if kind.value_scale != tasks.TaskFamily.value_scale:
        declared["features"] = {"value_scale": task.value_scale}
    if kind.trial_length is not tasks.TaskFamily.trial_length:
        declared["horizon"] = task.trial_length
    return _varied(
        config,
        task=task,
        abstraction=family_abstraction(task, learner),
        learner={name: value for name, value in own.items() if hasattr(learner, name)},
        policy={
            "exchangeable_actions": config.policy.exchangeable_actions and task.exchangeable_actions,
            "gates": config.policy.gates or vectors,
        },
        ppo={"mean_rewards": config.ppo.mean_rewards and task.knows_mean_reward},
        **declared,
    )


def vary(config: TrainConfig, fields: Mapping[str, Any]) -> TrainConfig:
    """Return a configuration with other values, e.g. `vary(config, {"policy": "gru", "ppo.clip": 0.1})`.

    Args:
      config: the configuration.
      fields: by dotted name; those of `CHOSEN_BY_NAME` by a name of theirs, too.

    Raises:
      ConfigError: listing every name and value that is not valid.
    """
    given = {what: fields[what] for what in CHOSEN_BY_NAME if what in fields}
    names: dict[str, Any] = {what: str(name) for what, name in given.items() if not _is_part(name)}
    unknown = [name for name, value in names.items() if name_problems(**{name: value})]
    changes = []
    for field, value in fields.items():
        # The fields of a part whose name is not known are not those of the part that it would replace.
        if field not in names and field.split(".")[0] not in unknown:
            for part in reversed(field.split(".")):
                value = {part: value}
            changes.append(value)
    return _changed(config, names, changes, name_problems(**names))


def _changed(
    config: TrainConfig, names: dict[str, Any], changes: Sequence[dict[str, Any]], problems: Sequence[str]
) -> TrainConfig:
    """Return a configuration with other parts by name, and other fields; raises what is wrong with them."""
    merged = serialise.to_dict(config if problems else choose(config, **names))
    for change in changes:
        merged = _merge(merged, change)
    try:
        changed = serialise.from_dict(merged)
    except ConfigError as error:
        raise ConfigError([*problems, *error.problems]) from None
    if problems:
        raise ConfigError(problems)
    return changed


def name_problems(**names: str | None) -> list[str]:
    """Return a message for each unknown name of a preset, method, policy, learner or abstraction."""
    choices = {
        "preset": PRESETS,
        "method": METHODS,
        "policy": CORES,
        "learner": LEARNERS,
        "abstraction": ABSTRACTIONS,
    }
    found = []
    for what, name in names.items():
        if what == "preset" and name in tasks.FAMILIES and name not in PRESETS:
            kind = tasks.FAMILIES[name].__name__
            found.append(
                f"{name} is a task family, of which runs need a preset; make one where it is registered:"
                f' rl3_jax.PRESETS["{name}-quick"] = rl3_jax.make_config("mdp-h100-quick", task={kind}())'
            )
        elif name is not None and name not in choices[what]:
            found.append(unknown_choice(what, name, list(choices[what])))
    return found


def _is_part(value: Any) -> bool:
    """Tell whether a value is a part of a configuration or fields of one, and not the name of one."""
    return isinstance(value, dict) or dataclasses.is_dataclass(value)


def choose(
    config: TrainConfig,
    *,
    method: str | None = None,
    policy: str | None = None,
    learner: str | None = None,
    abstraction: str | None = None,
) -> TrainConfig:
    """Return a configuration with another method, policy, learner or abstraction, given by valid names.

    A policy, learner or abstraction that it already has keeps its settings.

    Raises:
      ConfigError: if the method does not plan on the abstraction.
    """
    if learner is not None and config.learner.learner != learner:
        config = _varied(config, learner=family_learner(learner, config.task))
        fitting = method_abstraction(method_name(config), config.task, config.learner, config.abstraction)
        config = _varied(config, abstraction=fitting)
    if policy is not None and config.policy.core.core != policy:
        config = _varied(config, policy={"core": make_core(policy)})
    if method is not None:
        fitting = method_abstraction(method, config.task, config.learner, config.abstraction)
        config = _varied(config, features=with_method(config.features, method), abstraction=fitting)
    if abstraction is not None and config.abstraction.abstraction != abstraction:
        config = _varied(config, abstraction=named_abstraction(abstraction, config.task))
        if method is not None and not fits_method(method, config.learner, config.abstraction):
            raise ConfigError(
                f"method {method} with learner {config.learner.learner} does not go with abstraction"
                f" {abstraction}; leave one of them out"
            )
    return config


def names_of(config: TrainConfig) -> dict[str, str]:
    """Return the names that `choose` takes for a configuration; the method may be `custom`, which is none."""
    abstraction = config.abstraction.abstraction
    names = (method_name(config), config.policy.core.core, config.learner.learner, abstraction)
    return dict(zip(CHOSEN_BY_NAME, names, strict=True))


def method_name(config: TrainConfig | TrialEnv) -> str:
    """Return the method whose features a configuration or trial has, or `custom`."""
    for name in METHODS:
        same = with_method(config.features, name) == config.features
        if same and fits_method(name, config.learner, config.abstraction):
            return name
    return "custom"


def _merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration's dict with changes: a dict is merged, a dataclass takes the old one's place.

    A dict that names another class than the old one, as `{"core": "gru"}`, starts from that class's defaults.
    """
    names = {key: changes[key] for key, _ in serialise.NAMED.values() if isinstance(changes.get(key), str)}
    if any(name != base.get(key) for key, name in names.items()):
        return changes
    merged = dict(base)
    for name, value in changes.items():
        if dataclasses.is_dataclass(value):
            merged[name] = serialise.to_dict(value)
        elif isinstance(value, dict) and isinstance(base.get(name), dict):
            merged[name] = _merge(base[name], value)
        else:
            merged[name] = value
    return merged
