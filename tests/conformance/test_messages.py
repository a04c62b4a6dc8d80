"""What does not conform is told by the name of the class, with what it should do."""

import dataclasses
import importlib
from typing import ClassVar

import jax
import jax.numpy as jnp
import pytest

from rl3_jax.object_rl import ActionValues, Learner, QLearning
from rl3_jax.policies import Core
from rl3_jax.tasks import FAMILIES, PointRobots
from rl3_jax.testing import ConformanceError, check_core, check_family, check_learner, check_variations_differ
from tests.marks import slow_but
from tests.wrong_families import DoorTasks, OffTheEnd, Walks, WalkTask


@pytest.fixture
def registered(monkeypatch):
    """Return an instance of a class that is among the families, and is forgotten afterwards."""

    def register(kind):
        monkeypatch.setitem(FAMILIES, kind.family, kind)
        return kind()

    return register


def frozen(kind):
    return dataclasses.dataclass(frozen=True)(kind)


@frozen
class Untiled(PointRobots):
    family: ClassVar[str] = "untiled"
    tiles: ClassVar[tuple[int, ...]] = ()


def test_vectors_need_no_tiles_but_not_too_few(registered):
    check_family(registered(Untiled))
    halved = frozen(type("Halved", (Untiled,), {"family": "halved", "tiles": (11,), "__module__": __name__}))
    with pytest.raises(ConformanceError, match=r"Halved\.tiles has 1 numbers, but needs 2"):
        check_family(registered(halved))


@frozen
class TheSame(Walks):
    def sample_task(self, key):
        return WalkTask(pay=jnp.float32(1.0), max_steps_in_episode=8)


@frozen
class Unlimited(Walks):
    def sample_task(self, key):
        return WalkTask(pay=jax.random.uniform(key), max_steps_in_episode=9)


@frozen
class Timeless(Walks):
    def step_env(self, key, state, action, params):
        observation, after, *rest = super().step_env(key, state, action, params)
        return observation, after.replace(time=state.time), *rest


@frozen
class Taken(Walks):
    summary_names: ClassVar[tuple[str, ...]] = ("entropy",)


@frozen
class Unsaid(Walks):
    summary_names: ClassVar[tuple[str, ...]] = ("found",)


@frozen
class Preferring(Walks):
    """Action 1 goes on, so that actions are not alike."""

    exchangeable_actions: ClassVar[bool] = True


@frozen
class Misjudging(Walks):
    knows_mean_reward: ClassVar[bool] = True

    def mean_reward(self, task, step, action):
        return task.pay


@frozen
class Alike(Walks):
    variations: ClassVar[tuple[str, ...]] = ("default", "other")


FAMILY_MESSAGES = {
    OffTheEnd: "^OffTheEnd.step_env leads to state 5",
    TheSame: "^TheSame.sample_task draws the same task for 16 keys",
    Unlimited: r"^Unlimited.sample_task sets max_steps_in_episode to \[9\], but episode_length is 8; set",
    Timeless: "^Timeless.step_env returns states whose time is not the number of steps",
    Taken: r"^Taken.summary_names has \['entropy'\], which each line of metrics has; choose other names",
    Unsaid: r"^Unsaid.summarise_trial returns \[\], but summary_names is \('found',\)",
    Preferring: "^Preferring says exchangeable_actions, but no array of a task has an axis of the actions",
    Misjudging: r"^Misjudging.mean_reward says 0\.\d+ of action 0, which paid 0 on average of 4000 steps",
}


@pytest.mark.parametrize("kind", FAMILY_MESSAGES, ids=lambda kind: kind.__name__)
def test_a_family(registered, kind):
    with pytest.raises(ConformanceError, match=FAMILY_MESSAGES[kind]):
        check_family(registered(kind))


def test_families_that_are_right(registered):
    check_family(registered(Walks))
    check_family(registered(DoorTasks))


def test_a_family_is_known_by_its_name(registered):
    with pytest.raises(
        ConformanceError, match=r"^Walks is not known by its name 'walk'.* put @rl3_jax.register"
    ):
        check_family(Walks())
    registered(Alike)
    with pytest.raises(
        ConformanceError, match=r"^Alike: variations 'default' and 'other' draw the same task"
    ):
        check_variations_differ("walk")


class Loose(QLearning):
    pass


@frozen
class Forgetful(QLearning):
    def update(self, spec, state, transition):
        return state


@frozen
class Miscounting(QLearning):
    def values(self, spec, state, s):
        known = super().values(spec, state, s)
        return ActionValues(known.q, known.counts * 2.0)


@frozen
class Growing(QLearning):
    def update(self, spec, state, transition):
        return super().update(spec, state, transition), jnp.int32(0)


@frozen
class Deaf(QLearning):
    def values(self, spec, state, s):
        known = super().values(spec, state, s)
        return ActionValues(jnp.zeros_like(known.q), jnp.zeros_like(known.counts))


@frozen
class Bare(Learner):
    learner: ClassVar[str] = "bare"

    def init(self, spec):
        return ()


LEARNER_MESSAGES = {
    Forgetful: "^Forgetful.values has wrong counts after 1 random steps, on TableSpec",
    Miscounting: "^Miscounting.values has wrong counts after 1 random steps",
    Growing: "^Growing.update returns a state of another type or shape than init",
    Deaf: "^Deaf.values has wrong counts",
    Bare: "^Bare does not define update; every learner needs it",
}


@pytest.mark.parametrize("kind", LEARNER_MESSAGES, ids=lambda kind: kind.__name__)
def test_a_learner(kind):
    with pytest.raises(ConformanceError, match=LEARNER_MESSAGES[kind]):
        check_learner(kind())


@pytest.fixture
def averages(monkeypatch):
    """The example of a core, whose module tests change."""
    monkeypatch.syspath_prepend("examples")
    from rl3_jax import CORES

    before = dict(CORES)
    module = importlib.import_module("own_core")
    yield module
    CORES.clear()
    CORES.update(before)


def changed(module, **methods):
    """Return the example's core with other methods of its module."""
    made = type("Changed", (module.AveragesModule,), methods)

    @frozen
    class Changed(module.Averages):
        def module(self, spec):
            return made(spec.width)

    return Changed()


def forgets(self, carry, inputs):
    return carry, inputs


def looks_ahead(self, carry, inputs):
    carry, outputs = type(self).__mro__[1].__call__(self, carry, inputs)
    return carry, outputs + outputs.mean(axis=1, keepdims=True)


def grows(self, carry, inputs):
    return jnp.append(carry, 0.0), inputs


CORE_MESSAGES = {
    "step": (
        forgets,
        "^Changed: acting step by step and training on whole trials differ, by .*: make `step`",
    ),
    "__call__": (looks_ahead, "^Changed: acting step by step and training on whole trials differ"),
    "grows": (grows, "^Changed: `step` of its module returns a memory of another type or shape"),
}


@pytest.mark.parametrize("name", slow_but(["step", "grows"], CORE_MESSAGES))
def test_a_core(averages, name):
    method, message = CORE_MESSAGES[name]
    with pytest.raises(ConformanceError, match=message):
        check_core(changed(averages, **{"step" if name == "grows" else name: method}))


def test_a_core_that_ends_with_the_horizon(averages):
    """It says constant_carry, and its whole sequence is silent from the horizon on."""

    def up_to(horizon):
        def whole(self, carry, inputs):
            carry, outputs = averages.AveragesModule.__call__(self, carry, inputs)
            return carry, outputs * (jnp.arange(inputs.shape[1]) < horizon)[:, None]

        return whole

    @frozen
    class Ending(averages.Averages):
        def module(self, spec):
            made = type("Ending", (averages.AveragesModule,), {"__call__": up_to(spec.horizon)})
            return made(spec.width)

    with pytest.raises(
        ConformanceError, match=r"^Ending says constant_carry, but made for trials of 7 steps"
    ):
        check_core(Ending())


def test_what_is_missing():
    @frozen
    class Nothing(Core):
        core: ClassVar[str] = "nothing"

    with pytest.raises(ConformanceError, match=r"^Nothing does not define module; every core needs it"):
        check_core(Nothing())
    with pytest.raises(ConformanceError, match=r"^Loose must be a dataclass with frozen=True"):
        check_learner(Loose())
