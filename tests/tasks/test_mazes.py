import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments.misc import meta_maze, rooms

from rl3_jax.presets import PRESETS
from rl3_jax.tasks import FourRoomsTasks, MetaMazes
from tests.reference.navigation import shortest_path

CASES = [
    (FourRoomsTasks(), rooms.FourRooms(), rooms.EnvParams()),
    (FourRoomsTasks(variation="deterministic"), rooms.FourRooms(), rooms.EnvParams(fail_prob=0.0)),
    (MetaMazes(), meta_maze.MetaMaze(), meta_maze.EnvParams()),
]
NAMES = [family.name for family, _, _ in CASES]


def sample(family, number=3000):
    return jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), number))


@pytest.mark.parametrize(("family", "number"), [(FourRoomsTasks(), 103), (MetaMazes(), 64)])
def test_goals_are_uniform_over_all_cells_but_the_start(family, number):
    goal = np.asarray(sample(family).fields["goal"])
    assert len(family.goals) == number == family.num_states - 1
    found, counts = np.unique(goal, axis=0, return_counts=True)
    np.testing.assert_array_equal(found, family.goals)
    deviation = (counts - 3000 / number) / np.sqrt(3000 / number)
    assert np.abs(deviation).max() < 5.0
    assert not (goal == family.start).all(axis=1).any()
    # A goal is in the open, and so is the start.
    assert np.asarray(family.environment.env_map)[tuple(goal.T)].all()
    assert np.asarray(family.environment.env_map)[tuple(family.start)]


def test_goals_on_the_rim_are_at_the_outer_walls():
    goals = MetaMazes(variation="rim").goals
    assert len(goals) == 32
    assert all(row in (1, 9) or column in (1, 9) for row, column in goals)


@pytest.mark.parametrize(("family", "env", "params"), CASES, ids=NAMES)
def test_steps_are_gymnaxs_with_the_same_goal(family, env, params):
    task = jax.tree.map(lambda x: x[0], sample(family, 1))
    step, own_step, concrete = jax.jit(family.step_env), jax.jit(env.step_env), jax.jit(family.concrete)
    _, state = family.reset_env(jax.random.key(0), task)
    old = env.reset_env(jax.random.key(0), params)[1].replace(goal=task.fields["goal"])
    np.testing.assert_array_equal(old.pos, family.start)
    assert family.axes == np.shape(family.environment.env_map)
    for seed in range(60):
        key = jax.random.key(seed)
        action = jax.random.randint(key, (), 0, 4)
        _, state, reward, terminated, _ = step(key, state, action, task)
        _, old, paid, over, _ = own_step(key, old, action, params)
        np.testing.assert_array_equal(state.wrapped.pos, old.pos)
        assert (reward, terminated) == (paid, over)
        at = concrete(state, task)
        np.testing.assert_array_equal(family.cells[int(at.index)], old.pos)
        np.testing.assert_array_equal(family.cell(state), old.pos)
        np.testing.assert_allclose(at.coordinates * (family.cell_number.shape[0] - 1), old.pos, rtol=1e-6)


@pytest.mark.parametrize("family", [FourRoomsTasks(), MetaMazes()], ids=lambda f: f.family)
def test_nothing_that_is_seen_tells_the_goal(family):
    tasks = sample(family, 2)
    assert (tasks.fields["goal"][0] != tasks.fields["goal"][1]).any()
    _, states = jax.vmap(family.reset_env, (None, 0))(jax.random.key(1), tasks)
    step = jax.jit(jax.vmap(family.step_env, (None, 0, None, 0)))
    for action in (0, 3, 2):
        observations, states, *_ = step(jax.random.key(2), states, jnp.int32(action), tasks)
        np.testing.assert_array_equal(observations[0], observations[1])
        at = jax.vmap(family.concrete)(states, tasks)
        assert at.index[0] == at.index[1]


@pytest.mark.parametrize("family", [FourRoomsTasks(), MetaMazes()], ids=lambda f: f.family)
def test_moves_and_distances_equal_their_twins(family):
    is_open = np.asarray(family.environment.env_map).tolist()
    steps = ((-1, 0), (0, 1), (1, 0), (0, -1))
    for number, (row, column) in enumerate(family.cells.tolist()):
        assert family.cell_number[row, column] == number
        for move, (down, right) in enumerate(steps):
            there = (row + down, column + right)
            expected = family.cell_number[there] if is_open[there[0]][there[1]] else number
            assert family.neighbours[number, move] == expected
    tasks = sample(family, 20)
    expected = [shortest_path(is_open, family.start, tuple(goal)) for goal in tasks.fields["goal"].tolist()]
    np.testing.assert_array_equal(family.statistics(tasks)["path_length"], expected)


@pytest.mark.parametrize("preset", ["four-rooms-h250-quick", "meta-maze-h200-quick"])
def test_the_preset_shows_row_and_column_one_hot(preset):
    """After the coordinates, where the agent starts."""
    env = PRESETS[preset].env
    observation, _ = env.reset_env(jax.random.key(0), env.default_params)
    rows, columns = env.family.axes
    row, column = env.family.start
    expected = np.concatenate([np.eye(rows)[row], np.eye(columns)[column]])
    np.testing.assert_array_equal(observation[env.layout["state"]][-rows - columns :], expected)


def test_the_view_is_of_the_walls_about_the_agent():
    family = MetaMazes()
    task = family.sample_task(jax.random.key(0))
    observation, _ = family.reset_env(jax.random.key(0), task)
    row, column = family.start
    walls = 1 - np.asarray(family.environment.env_map)[row - 1 : row + 2, column - 1 : column + 2]
    np.testing.assert_array_equal(observation[:9].reshape(3, 3), walls)
    np.testing.assert_array_equal(observation[9:], [0.5, 0.5])
