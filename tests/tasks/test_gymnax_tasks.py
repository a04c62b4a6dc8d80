import dataclasses
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import struct
from gymnax.environments import environment, spaces
from gymnax.environments.classic_control import pendulum
from gymnax.environments.misc.reacher import Reacher
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rl3_jax import extras
from rl3_jax.bins import bin_of
from rl3_jax.cli import main
from rl3_jax.constraints import problems
from rl3_jax.errors import ConfigError
from rl3_jax.object_rl import ModelBased, Tiling
from rl3_jax.tasks import GymnaxTasks, PointRobots
from rl3_jax.trial import METHODS, TrialEnv, family_abstraction
from tests.reference.gymnax_tasks import bin_of as slow_bin_of


@struct.dataclass
class CounterState(environment.EnvState):
    secret: int
    total: float


class Counter(environment.Environment):
    """Adds up its actions from whole numbers on; an episode ends above its secret. Noise is observed."""

    @property
    def default_params(self):
        return environment.EnvParams(max_steps_in_episode=6)

    def reset_env(self, key, params):
        state = CounterState(time=0, secret=jax.random.randint(key, (), 1, 1000), total=0)
        return self.observe(key, state, None, params), state

    def step_env(self, key, state, action, params):
        state = state.replace(time=state.time + 1, total=state.total + 0.5 * action)
        ends = self.is_terminated(state, params)
        return self.observe(key, state, action, params), state, 1, ends, {}

    def observe(self, key, state, action, params):
        return jnp.stack([jnp.float32(state.total), jax.random.uniform(key), jnp.float32(state.secret)])

    def is_terminated(self, state, params):
        return state.total > state.secret

    def action_space(self, params):
        return spaces.Discrete(3)

    def observation_space(self, params):
        return spaces.Box(0.0, 1000.0, (3,))


@dataclasses.dataclass(frozen=True)
class Counters(GymnaxTasks):
    """Counters whose secret is the task."""

    family: ClassVar[str] = "counters"
    task_fields: ClassVar[tuple[str, ...]] = ("secret",)

    def make_environment(self):
        return Counter()

    def shown(self, state, observation):
        return observation[:2]


@dataclasses.dataclass(frozen=True)
class OpenCounters(Counters):
    """Counters that show all."""

    shown = GymnaxTasks.shown


@dataclasses.dataclass(frozen=True)
class Pendulums(GymnaxTasks):
    """Pendulums of unknown gravity."""

    family: ClassVar[str] = "pendulums"
    tiles: ClassVar[tuple[int, ...]] = (4, 4, 4)

    action_bins: tuple[int, ...] = (3,)

    def make_environment(self):
        return pendulum.Pendulum()

    def sample_params(self, key):
        return pendulum.EnvParams(g=jax.random.uniform(key, minval=5.0, maxval=15.0))


@dataclasses.dataclass(frozen=True)
class Reachers(GymnaxTasks):
    """gymnax's reachers as they are: a Box without bounds."""

    family: ClassVar[str] = "reachers"
    action_bins: tuple[int, ...] = (2, 2)

    def make_environment(self):
        return Reacher()


@dataclasses.dataclass(frozen=True)
class NoBounds(Pendulums):
    """Actions without bounds."""

    def make_environment(self):
        env = pendulum.Pendulum()
        env.action_space = lambda params: spaces.Box(-jnp.inf, jnp.inf, (1,))
        return env


fast_bin_of = jax.jit(bin_of, static_argnums=(1, 2))


@partial(jax.jit, static_argnums=0)
def walk(env, key):
    """Take random actions for a trial; return its states and transitions."""
    _, start = env.reset_env(key, env.default_params)

    def step(state, key):
        _, state, _, _, info = env.step_env(key, state, env.action_space().sample(key), env.default_params)
        return state, (state, info["transition"])

    return start, jax.lax.scan(step, start, jax.random.split(key, env.horizon))[1]


def test_the_task_lasts_a_trial_and_the_rest_starts_anew():
    env = TrialEnv(Counters(), horizon=20, features=METHODS["rl2"])
    start, (states, transitions) = walk(env, jax.random.key(0))
    secret = start.task.fields["secret"]
    np.testing.assert_array_equal(states.inner.wrapped.secret, np.full(20, secret))
    assert transitions.truncated.sum() == 3
    fresh = states.inner.time == 0
    np.testing.assert_array_equal(fresh, transitions.truncated)
    assert (states.inner.wrapped.total[fresh] == 0.0).all()
    # Numbers reset as whole ones are not cut to whole ones later.
    assert (states.inner.wrapped.total % 1.0 == 0.5).any()
    assert states.inner.wrapped.total.dtype == jnp.float32


def test_an_observation_is_of_the_task_also_where_an_episode_starts():
    """The environment's own reset shows the secret that it has just drawn."""
    family = OpenCounters()
    task = family.sample_task(jax.random.key(0))
    for seed in range(3):
        observation, state = family.reset_env(jax.random.key(seed), task)
        assert observation[2] == state.wrapped.secret == task.fields["secret"]
    noise = {float(family.reset_env(jax.random.key(seed), task)[0][1]) for seed in range(5)}
    assert len(noise) == 5
    secrets = {int(family.sample_task(jax.random.key(seed)).fields["secret"]) for seed in range(5)}
    assert len(secrets) == 5


def test_a_step_is_the_environments_own():
    family, env = Pendulums(), pendulum.Pendulum()
    task = family.sample_task(jax.random.key(0))
    params = pendulum.EnvParams(g=task.params.g)
    observation, state = family.reset_env(jax.random.key(1), task)
    old = state.wrapped
    step, own_step = jax.jit(family.step_env), jax.jit(env.step_env)
    for seed in range(5):
        action = jnp.array([seed - 2.0])
        observation, state, reward, terminated, _ = step(jax.random.key(seed), state, action, task)
        expected, old, paid, _, _ = own_step(jax.random.key(seed), old, action, params)
        np.testing.assert_array_equal(observation, expected)
        assert reward == paid
        assert not terminated
    assert state.time == 5


def test_params_are_drawn_for_each_task_and_kept():
    family = Pendulums(steps=7)
    tasks = jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), 100))
    assert 5.0 <= tasks.params.g.min() < 6.0
    assert 14.0 < tasks.params.g.max() <= 15.0
    assert (tasks.max_steps_in_episode == 7).all()
    assert (tasks.params.max_steps_in_episode == 7).all()
    assert Pendulums().episode_length == 200
    assert family.coordinate_bounds == ((-1.0, 1.0), (-1.0, 1.0), (-8.0, 8.0))
    assert family.num_actions == 3


@pytest.mark.parametrize("bins", [(5,), (1, 3), (4, 2, 3)])
@settings(max_examples=30)
@given(data=st.data())
def test_bins_equal_their_twin(bins, data):
    bounds = tuple((-2.0, 2.0**i) for i in range(len(bins)))
    x = [data.draw(st.floats(-3.0, 6.0, width=32)) for _ in bins]
    scaled = [n * (v - low) / (high - low) for v, (low, high), n in zip(x, bounds, bins, strict=True)]
    assume(all(abs(value - round(value)) > 1e-5 for value in scaled))  # else rounding decides
    assert fast_bin_of(jnp.float32(x), bounds, bins) == slow_bin_of(x, bounds, bins)


def test_every_bin_of_an_action_is_met_equally():
    family = Pendulums(action_bins=(4,))
    found = jax.vmap(family.table_action)(jnp.linspace(-1.999, 1.999, 400)[:, None])
    np.testing.assert_array_equal(np.bincount(found), 100)
    assert family.table_action(jnp.array([-2.0])) == 0
    assert family.table_action(jnp.array([2.0])) == 3


@pytest.mark.parametrize("family", [Pendulums(action_bins=(4,)), PointRobots(action_bins=(3, 2)), Counters()])
def test_the_action_of_a_bin_counts_as_it_and_is_its_centre(family):
    actions = [family.action_of(jnp.int32(index)) for index in range(family.num_actions)]
    assert [int(family.table_action(action)) for action in actions] == list(range(family.num_actions))
    assert all(family.action_space().contains(action) for action in actions)
    if isinstance(family, Pendulums):
        np.testing.assert_allclose(jnp.concatenate(actions), [-1.5, -0.5, 0.5, 1.5])


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (Pendulums(action_bins=(3, 3)), "action_bins has 2 numbers, but an action of pendulums has 1 dim"),
        (Pendulums(action_bins=()), "action_bins has 0 numbers"),
        (Pendulums(action_bins=(0,)), "action_bins[0] is 0; it must be at least 1"),
        (Counters(action_bins=(3,)), "counters has integer actions"),
        (NoBounds(), "bins need finite ones"),
        (Pendulums(steps=-1), "steps is -1"),
        (Pendulums(variation="ood"), "unknown variation 'ood'; choose from: default"),
    ],
    ids=lambda value: "" if isinstance(value, GymnaxTasks) else value,
)
def test_each_mistake_has_one_message(family, message):
    (problem,) = problems(family)
    assert message in problem


@pytest.mark.parametrize("family", [Pendulums(), Counters(), Reachers()], ids=lambda f: f.family)
def test_a_right_family_has_no_problem(family):
    assert problems(family) == []


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (Counters(), "abstraction.bins has 0 numbers, but a state has 2 coordinates"),
        (Reachers(), "abstraction.bins has 0 numbers, but a state has 8 coordinates"),
    ],
    ids=lambda value: "" if isinstance(value, GymnaxTasks) else value,
)
def test_vectors_without_an_abstraction_have_one_message(family, message):
    (problem,) = TrialEnv(family, abstraction=family_abstraction(family, ModelBased())).conflicts()
    assert message in problem


def test_tiles_of_vectors_without_bounds_have_one_message():
    (problem,) = TrialEnv(Reachers(), abstraction=Tiling((2,) * 8)).conflicts()
    assert "it needs finite bounds" in problem


def test_equal_families_share_compiled_programs():
    assert Pendulums() == Pendulums()
    assert hash(Pendulums()) == hash(Pendulums())
    assert Pendulums() != Pendulums(steps=3)


def test_a_family_first_used_while_tracing_keeps_no_tracer():
    family = Pendulums(steps=11)
    jax.jit(lambda key: family.reset_env(key, family.sample_task(key))[0])(jax.random.key(0))
    task = family.sample_task(jax.random.key(0))
    _, state = family.reset_env(jax.random.key(0), task)
    family.step_env(jax.random.key(0), state, jnp.zeros(1), task)
    assert family.table_action(jnp.zeros(1)) == 1


@dataclasses.dataclass(frozen=True)
class Pairs(Counters):
    """Spaces of several parts, which no policy reads or acts in."""

    def observation_space(self, params=None):
        return spaces.Tuple([spaces.Discrete(2), spaces.Discrete(3)])

    def action_space(self, params=None):
        return spaces.Tuple([spaces.Discrete(2), spaces.Discrete(3)])


def test_spaces_of_several_parts_are_refused():
    seen, actions = Pairs().conflicts()
    assert "`shown` must make it one integer or vector" in seen
    assert "they must be a Discrete or a Box" in actions


def test_the_fields_that_are_the_task_are_its_numbers():
    family = Counters()
    tasks = jax.vmap(family.sample_task)(jax.random.split(jax.random.key(0), 5))
    (name,) = family.statistics(tasks)
    assert name == "secret_0"
    np.testing.assert_array_equal(family.statistics(tasks)[name], tasks.fields["secret"])


def test_the_missing_extra_of_a_suite_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(extras, "is_installed", lambda module: False)
    assert main(["train", "xland-h486-quick", "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "task xland needs an extra that is not installed: pip install 'rl3-jax[xland]'" in said
    assert not (tmp_path / "run").exists()


def test_a_family_without_an_extra_has_no_suite():
    with pytest.raises(ConfigError, match="PointRobots names no extra"):
        PointRobots().suite()
