"""Classic control: one step of each environment against its twin, constants, directions and rewards."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.tasks import Acrobots, CartPoles, MountainCars, Pendulums, Step
from rl3_jax.tasks.base import ConcreteState
from tests.reference import classic_control as twins
from tests.statistics import assert_mean

FAMILIES = (CartPoles, MountainCars, Acrobots, Pendulums)
FIELDS = {
    CartPoles: ("x", "x_dot", "theta", "theta_dot"),
    MountainCars: ("position", "velocity"),
    Acrobots: ("joint_angle1", "joint_angle2", "velocity_1", "velocity_2"),
    Pendulums: ("theta", "theta_dot"),
}


def sample(family, number=2000):
    return jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), number))


def draw(kind, variation, seed):
    """Return a family, one task, and its constants as floats."""
    family = kind(variation=variation)
    task = family.sample_task(jax.random.key(seed))
    names = family.constants[variation]
    return family, task, {name: float(getattr(task.params, name)) for name in names}


def place(family, task, numbers):
    """Return the state at which gymnax's own has these numbers."""
    _, state = family.reset_env(jax.random.key(0), task)
    fields = {name: jnp.float32(x) for name, x in zip(FIELDS[type(family)], numbers, strict=True)}
    return dataclasses.replace(state, wrapped=dataclasses.replace(state.wrapped, **fields))


def numbers_of(family, state):
    return np.array([float(getattr(state.wrapped, name)) for name in FIELDS[type(family)]])


def twin_step(family, constants, state, action):
    """Return the twin's next state, for the sign −1, 0 or 1, or torque, of an action."""
    if isinstance(family, CartPoles):
        return twins.cart_pole(
            state, action * constants["force_mag"], constants["length"], constants["gravity"]
        )
    if isinstance(family, MountainCars):
        return twins.mountain_car(state, action * constants["force"], constants["gravity"])
    if isinstance(family, Pendulums):
        return twins.pendulum(state, action, constants["m"], constants["l"], constants["g"])[0]
    masses, lengths = ([constants[f"link_{what}_{i}"] for i in (1, 2)] for what in ("mass", "length"))
    return twins.acrobot(state, action, masses, lengths)


def signs(family):
    """Return each action, or some, and as what it counts where nothing is turned round."""
    if isinstance(family, Pendulums):
        return [(jnp.float32([u]), u) for u in (-2.0, -0.7, 0.3, 2.0)]
    count = family.num_actions
    return [(jnp.int32(a), 2.0 * a / (count - 1) - 1.0) for a in range(count)]


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_step_equals_its_twin_in_tasks_of_both_directions(kind):
    scale = {CartPoles: (1.0, 1.0, 0.1, 1.0), MountainCars: (0.4, 0.03)}.get(kind, (1.5,) * len(FIELDS[kind]))
    rng, seen = np.random.default_rng(0), set()
    step = None
    for seed in range(8):
        family, task, constants = draw(kind, "default", seed)
        direction = float(task.direction)
        seen.add(direction)
        step = step or jax.jit(family.step_env)
        for action, sign in signs(family):
            before = rng.uniform(-1.0, 1.0, len(scale)) * scale - (0.4 if kind is MountainCars else 0.0)
            _, after, *_ = step(jax.random.key(0), place(family, task, before), action, task)
            expected = twin_step(family, constants, before, direction * sign)
            found = numbers_of(family, after)
            if kind is Acrobots:  # whose angles gymnax wraps
                found[:2], expected[:2] = np.sin(found[:2]), np.sin(expected[:2])
            np.testing.assert_allclose(found, expected, atol=2e-4 if kind is Acrobots else 1e-5)
    assert seen == {-1.0, 1.0}


@pytest.mark.parametrize("kind", FAMILIES)
def test_each_constant_changes_the_step(kind):
    family, task, constants = draw(kind, "default", 0)
    state = place(family, task, np.full(len(FIELDS[kind]), 0.05))
    action = signs(family)[-1][0]

    def after(drawn):
        params = family.with_constants({name: jnp.float32(x) for name, x in drawn.items()})
        other = dataclasses.replace(task, params=params)
        return numbers_of(family, family.step_env(jax.random.key(0), state, action, other)[1])

    usual = after(constants)
    for name in constants:
        assert not np.allclose(after(constants | {name: 1.2 * constants[name]}), usual, rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("kind", FAMILIES)
def test_the_other_direction_does_what_the_opposite_action_does(kind):
    family, task, _ = draw(kind, "default", 0)
    turned = dataclasses.replace(task, direction=-task.direction)
    state = place(family, task, np.full(len(FIELDS[kind]), 0.05))
    actions = [action for action, _ in signs(family)]
    opposite = [-action for action in actions] if kind is Pendulums else actions[::-1]
    for action, other in zip(actions, opposite, strict=True):
        one = family.step_env(jax.random.key(0), state, action, task)
        two = family.step_env(jax.random.key(0), state, other, turned)
        jax.tree.map(np.testing.assert_array_equal, one, two)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("variation", ["default", "ood"])
def test_constants_are_uniform_where_said_and_both_directions_as_likely(kind, variation):
    family = kind(variation=variation)
    numbers = family.statistics(sample(family))
    assert_mean(np.asarray(numbers.pop("direction")), 0.0)
    assert set(numbers) == set(family.constants[variation])
    for name, (low, high) in family.constants[variation].items():
        share = (np.asarray(numbers[name], float) - low) / (high - low)
        assert ((share > -1e-5) & (share < 1.0 + 1e-5)).all()
        assert_mean(share, 1 / 2)
        assert_mean(share**2, 1 / 3)


@pytest.mark.parametrize("kind", FAMILIES)
def test_some_constant_out_of_distribution_lies_beyond_all_of_training(kind):
    trained, other = (kind.constants[variation] for variation in kind.variations)
    beyond = [
        name for name in trained if other[name][0] >= trained[name][1] or other[name][1] <= trained[name][0]
    ]
    assert beyond
    assert all(other[name] == trained[name] for name in set(trained) - set(beyond))


@pytest.mark.parametrize("kind", FAMILIES)
def test_tasks_start_alike_and_show_neither_constants_nor_direction(kind):
    family = kind()
    one, other = (family.sample_task(jax.random.key(seed)) for seed in range(2))
    seen, state = family.reset_env(jax.random.key(2), one)
    also, there = family.reset_env(jax.random.key(2), other)
    np.testing.assert_array_equal(seen, also)
    at, place_ = family.concrete(state, one), family.concrete(there, other)
    np.testing.assert_array_equal(at.coordinates, place_.coordinates)


def test_a_step_pays_one_and_a_fall_costs_twenty():
    family, task, _ = draw(CartPoles, "default", 0)
    step = jax.jit(family.step_env)
    for numbers, reward, falls in (
        ((0.0, 0.0, 0.0, 0.0), 1.0, False),
        ((0.0, 0.0, 0.2, 2.0), -19.0, True),
        ((0.0, 0.0, -0.2, -2.0), -19.0, True),
        ((2.39, 2.0, 0.0, 0.0), -19.0, True),
    ):
        _, _, paid, terminated, _ = step(jax.random.key(0), place(family, task, numbers), jnp.int32(1), task)
        assert (paid, bool(terminated)) == (reward, falls)


def test_a_trial_of_a_pole_is_summed_up():
    """Episodes of 3, 2 and, cut short, 4 steps."""
    at = ConcreteState(index=None, coordinates=jnp.zeros((9, 4)))
    ends = jnp.arange(9)
    steps = Step(at, at, jnp.zeros(9), terminated=ends == 2, truncated=ends == 4)
    family = CartPoles()
    summary = family.summarise_trial(family.sample_task(jax.random.key(0)), steps)
    assert summary == {"falls": 1.0, "longest_episode": 4.0}


def test_the_share_of_upright_steps():
    family = Pendulums()
    at = ConcreteState(index=None, coordinates=jnp.array([[0.0, 1.0], [0.6, 1.0], [-0.5, 0.0], [3.0, 0.0]]))
    never = jnp.zeros(4, bool)
    summary = family.summarise_trial(family.default_params, Step(at, at, jnp.zeros(4), never, never))
    assert summary == {"upright": 0.5}


def test_a_pendulum_pays_as_its_twin():
    family, task, constants = draw(Pendulums, "ood", 3)
    for angle in (-3.0, 0.5, 4.0):
        state = place(family, task, (angle, 1.5))
        paid = family.step_env(jax.random.key(0), state, jnp.float32([1.2]), task)[2]
        expected = twins.pendulum((angle, 1.5), 1.2, constants["m"], constants["l"], constants["g"])[1]
        assert paid == pytest.approx(expected, rel=1e-5)
        at = family.concrete(state, task)
        np.testing.assert_allclose(
            np.asarray(at.coordinates), [math.remainder(angle, 2.0 * math.pi), 1.5], rtol=1e-5
        )


def climb(family, task, act, steps=150):
    """Return the rewards of an episode until it ends, and the numbers of its first and last state."""
    _, state = family.reset_env(jax.random.key(0), task)
    step, first, paid = jax.jit(family.step_env), state, []
    for _ in range(steps):
        _, state, reward, terminated, _ = step(jax.random.key(0), state, act(state), task)
        paid.append(float(reward))
        if terminated:
            break
    return np.array(paid), first, state


def pump(kind, task):
    """Return how to push in the direction of motion: of the car, or of the acrobot's second joint."""
    speed = {MountainCars: "velocity", Acrobots: "velocity_2"}[kind]

    def act(state):
        moves = 1.0 if getattr(state.wrapped, speed) >= 0.0 else -1.0
        return jnp.int32(1 + float(task.direction) * moves)

    return act


@pytest.mark.parametrize("kind", [MountainCars, Acrobots])
def test_the_way_to_a_goal_pays_a_hundred_in_all_or_at_its_end(kind):
    for seed in range(3):
        sparse = kind(dense=False, steps=400)
        task = sparse.sample_task(jax.random.key(seed))
        paid, _, last = climb(sparse, task, pump(kind, task), steps=400)
        assert sparse.is_terminated(last, task)
        np.testing.assert_array_equal(paid, 100.0 * np.eye(len(paid))[-1])
        dense = kind(steps=400)
        shares, first, _ = climb(dense, task, pump(kind, task), steps=400)
        assert len(shares) == len(paid)
        start = float(dense.energy(task.params, first.wrapped))
        assert 0.0 <= start < 0.1
        assert shares.sum() == pytest.approx(100.0 * (1.0 - start), abs=1e-2)
        assert (shares != 0.0).sum() > 5


def test_the_energy_of_an_acrobot_is_that_of_its_parts():
    family, task, constants = draw(Acrobots, "ood", 1)
    masses, lengths = ([constants[f"link_{what}_{i}"] for i in (1, 2)] for what in ("mass", "length"))
    rng = np.random.default_rng(0)
    # The least with the tip high enough, among configurations at rest.
    first, second = np.meshgrid(*2 * [np.linspace(-math.pi, math.pi, 721)])
    height = -lengths[0] * np.cos(first) - lengths[1] * np.cos(first + second)
    there = height >= sum(lengths) / 2.0 - 1e-3
    angles = np.stack([first[there], second[there]], axis=1)
    least = min(twins.acrobot_energy(np.array([*pair, 0.0, 0.0]), masses, lengths) for pair in angles[::7])
    for _ in range(5):
        numbers = rng.uniform(-2.0, 2.0, 4)
        share = float(family.energy(task.params, place(family, task, numbers).wrapped))
        assert share == pytest.approx(twins.acrobot_energy(numbers, masses, lengths) / least, rel=5e-3)


def test_an_acrobots_goal_is_half_of_its_reach():
    both = set()
    for seed in range(6):
        family, task, constants = draw(Acrobots, "default", seed)

        def ends(first, bend, family=family, task=task):
            return bool(family.is_terminated(place(family, task, (first, bend, 0.0, 0.0)), task))

        stretched = 2.0 * math.pi / 3.0
        assert (ends(stretched + 0.01, 0.0), ends(stretched - 0.01, 0.0)) == (True, False)
        # The first link level, the second upright: the tip is as high as that is long.
        longer = constants["link_length_2"] > constants["link_length_1"]
        assert ends(math.pi / 2.0, math.pi / 2.0) == longer
        both.add(longer)
    assert both == {True, False}


@pytest.mark.parametrize("kind", [MountainCars, Acrobots])
def test_goals_are_counted(kind):
    family = kind()
    at = ConcreteState(index=None, coordinates=jnp.zeros((5, len(family.tiles))))
    never = jnp.zeros(5, bool)
    task = family.default_params
    reached = Step(at, at, jnp.zeros(5), terminated=jnp.array([0, 0, 1, 0, 1], bool), truncated=never)
    assert family.summarise_trial(task, reached) == {"goals": 2.0, "first_goal_step": 3.0}
    missed = family.summarise_trial(task, dataclasses.replace(reached, terminated=never))
    assert missed["goals"] == 0.0
    assert np.isnan(missed["first_goal_step"])
