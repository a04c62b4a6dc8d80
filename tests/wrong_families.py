"""Task families as users might write them, each with one mistake."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment, spaces
from jaxtyping import Array

from rl3_jax.tasks import ConcreteState, GymnaxTasks, TabularFamily, Task


@struct.dataclass
class WalkTask(Task):
    """A walk, by the reward of its end."""

    pay: Array = struct.field(default=None)


@dataclasses.dataclass(frozen=True)
class Walks(TabularFamily[WalkTask]):
    """States 0 to 4 in a row: action 1 goes on, action 0 stays; the last pays. Nothing is wrong with it."""

    family: ClassVar[str] = "walk"
    variations: ClassVar[tuple[str, ...]] = ("default",)

    @property
    def num_states(self):
        return 5

    @property
    def num_actions(self):
        return 2

    @property
    def episode_length(self):
        return 8

    def sample_task(self, key):
        return WalkTask(pay=jax.random.uniform(key), max_steps_in_episode=8)

    def step_env(self, key, state, action, params):
        next_s = jnp.minimum(state.s + jnp.int32(action), 4)
        return self.arrive(state, next_s, params.pay * (next_s == 4), params)


@dataclasses.dataclass(frozen=True)
class OffTheEnd(Walks):
    def step_env(self, key, state, action, params):
        return self.arrive(state, state.s + jnp.int32(action), params.pay, params)


@dataclasses.dataclass(frozen=True)
class Onward(Walks):
    """Goes on whatever is done."""

    def step_env(self, key, state, action, params):
        return self.arrive(state, state.s + 1, params.pay, params)


@dataclasses.dataclass(frozen=True)
class BelowZero(Walks):
    @property
    def start_state(self):
        return -1


@dataclasses.dataclass(frozen=True)
class Unpaid(Walks):
    def step_env(self, key, state, action, params):
        return self.arrive(state, state.s, params.pay / jnp.float32(state.s), params)


@dataclasses.dataclass(frozen=True)
class NoSuchField(Walks):
    def step_env(self, key, state, action, params):
        return self.arrive(state, state.s, params.wage, params)


@dataclasses.dataclass(frozen=True)
class WholeNumbers(Walks):
    def step_env(self, key, state, action, params):
        observation, state, _, terminated, info = super().step_env(key, state, action, params)
        return observation, state, jnp.int32(1), terminated, info


@dataclasses.dataclass(frozen=True)
class FourValues(Walks):
    def step_env(self, key, state, action, params):
        return super().step_env(key, state, action, params)[:4]


@dataclasses.dataclass(frozen=True)
class HalfSteps(Walks):
    def step_env(self, key, state, action, params):
        observation, state, *rest = super().step_env(key, state, action, params)
        return observation, state.replace(time=state.time - 0.5), *rest


@dataclasses.dataclass(frozen=True)
class NoSize(TabularFamily[Task]):
    family: ClassVar[str] = "no-size"
    variations: ClassVar[tuple[str, ...]] = ("default",)

    @property
    def num_actions(self):
        return 2


@dataclasses.dataclass(frozen=True)
class ThreeActions(Walks):
    def table_action(self, action):
        return 2 * jnp.int32(action)


@dataclasses.dataclass(frozen=True)
class Blind(Walks):
    """What is shown is the logarithm of the state, −∞ at the start."""

    def observation_space(self, params=None):
        return spaces.Box(-jnp.inf, jnp.inf, (1,))

    def get_obs(self, state, params=None, key=None):
        return jnp.log(state.s[None] - 1.0)


@dataclasses.dataclass(frozen=True)
class NoIndex(Walks):
    def concrete(self, state, task):
        return ConcreteState(index=None, coordinates=state.s[None].astype(jnp.float32))


@dataclasses.dataclass(frozen=True)
class Rare(Walks):
    """Goes on and on in one task of thirty, which is none of the probe's."""

    family: ClassVar[str] = "rare"

    def step_env(self, key, state, action, params):
        if_well = jnp.minimum(state.s + jnp.int32(action), 4)
        next_s = jnp.where(params.pay > 0.97, state.s + 1, if_well)
        return self.arrive(state, next_s, params.pay, params)


@struct.dataclass
class DoorState(environment.EnvState):
    """Which of two doors has the prize."""

    door: Array


class Doors(environment.Environment):
    """Two doors, one step."""

    @property
    def default_params(self):
        return environment.EnvParams(max_steps_in_episode=1)

    def reset_env(self, key, params):
        state = DoorState(time=0, door=jax.random.randint(key, (), 0, 2))
        return self.get_obs(state), state

    def step_env(self, key, state, action, params):
        state = state.replace(time=state.time + 1)
        return self.get_obs(state), state, jnp.float32(state.door == action), jnp.bool_(True), {}

    def get_obs(self, state, params=None, key=None):
        return jnp.int32(0)

    def is_terminated(self, state, params):
        return state.time > 0

    def action_space(self, params):
        return spaces.Discrete(2)

    def observation_space(self, params):
        return spaces.Discrete(1)


@dataclasses.dataclass(frozen=True)
class DoorTasks(GymnaxTasks):
    """Nothing is wrong with it."""

    family: ClassVar[str] = "doors"
    task_fields: ClassVar[tuple[str, ...]] = ("door",)

    def make_environment(self):
        return Doors()


@dataclasses.dataclass(frozen=True)
class NoEnvironment(GymnaxTasks):
    family: ClassVar[str] = "no-environment"


@dataclasses.dataclass(frozen=True)
class NoSuchTask(DoorTasks):
    task_fields: ClassVar[tuple[str, ...]] = ("gate",)


@dataclasses.dataclass(frozen=True)
class DrawsAnother(DoorTasks):
    def sample_fields(self, key, params):
        return {"gate": jax.random.randint(key, (), 0, 2)}


class NoActions(Doors):
    action_space = environment.Environment.action_space


@dataclasses.dataclass(frozen=True)
class OfNoActions(DoorTasks):
    def make_environment(self):
        return NoActions()


@dataclasses.dataclass(frozen=True)
class SeenByParts(Walks):
    def reset_env(self, key, params):
        observation, state = super().reset_env(key, params)
        return {"place": observation}, state

    def step_env(self, key, state, action, params):
        observation, *rest = super().step_env(key, state, action, params)
        return {"place": observation}, *rest


@dataclasses.dataclass(frozen=True)
class PaidTwice(Walks):
    def step_env(self, key, state, action, params):
        observation, state, reward, terminated, info = super().step_env(key, state, action, params)
        return observation, state, (reward, reward), terminated, info


@dataclasses.dataclass(frozen=True)
class HalfStates(Walks):
    @property
    def num_states(self):
        return 5.0


@dataclasses.dataclass(frozen=True)
class ManySpaces(Walks):
    def observation_space(self, params=None):
        return spaces.Dict({"place": spaces.Discrete(5)})


@dataclasses.dataclass(frozen=True)
class Changeable(Walks):
    weights: list = dataclasses.field(default_factory=lambda: [1.0])


@dataclasses.dataclass(frozen=True)
class PlainNumbers(Walks):
    """Returns Python's own numbers; nothing is wrong with it."""

    def step_env(self, key, state, action, params):
        observation, state, _, _, info = super().step_env(key, state, action, params)
        return observation, state, 1.0, False, info


MISTAKES = {
    SeenByParts: "^SeenByParts.reset_env returns an observation that is a dict; return one array$",
    PaidTwice: "^PaidTwice.step_env returns a reward of a tuple, but a trial takes one of float32",
    HalfStates: "^HalfStates.num_states is 5.0; it must be a whole number$",
    ManySpaces: "^ManySpaces.observation_space is Dict; let it be a Discrete or a Box$",
    Changeable: r"^Changeable has a field that is not constant \(unhashable type: 'list'\); let its",
    OffTheEnd: r"^OffTheEnd.step_env leads to state 5, with action 1 in state 4; but num_states is 5, so that"
    r" states are 0 to 4: keep them in this range, or let num_states be larger$",
    BelowZero: "^BelowZero.reset_env leads to state -1; but num_states is 5",
    Unpaid: r"^Unpaid.step_env pays inf; return finite rewards",
    NoSuchField: r"^NoSuchField.step_env fails: AttributeError: 'WalkTask' object has no attribute 'wage'"
    r" \(.*wrong_families.py, line \d+: return self.arrive\(state, state.s, params.wage, params\)\)$",
    WholeNumbers: r"^WholeNumbers.step_env returns a reward of int32\[\], but a trial takes one of float32",
    FourValues: "^FourValues.step_env returns 4 values; return observation, state, reward, terminated, info",
    HalfSteps: r"^HalfSteps.step_env returns the state.time as float32\[\], but reset_env as int32\[\]",
    NoSize: "^NoSize does not define num_states; define it. It should do this: Number of states S",
    ThreeActions: "^ThreeActions.table_action returns 2, but num_actions is 2, so that actions are 0 to 1",
    Blind: "Blind.step_env returns an observation with (nan|-inf) in it; networks read finite numbers only",
    NoIndex: "^NoIndex.num_states is 5, but concrete returns none as the index of a state",
    NoEnvironment: "^NoEnvironment does not define make_environment; define it. It should do this: Return the"
    " environment.$",
    NoSuchTask: "^NoSuchTask: 'gate' in task_fields or sample_fields is no field of DoorState, the state of"
    " its environment; name some of: time, door$",
    DrawsAnother: "^DrawsAnother: 'gate' in task_fields or sample_fields is no field of DoorState",
    OfNoActions: "^NoActions does not define action_space; define it.",
}
"""What is told of each family."""
