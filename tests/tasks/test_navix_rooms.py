import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax import extras, make_family, picture
from rl3_jax.cli import main
from rl3_jax.errors import ConfigError
from rl3_jax.tasks import navix_rooms
from rl3_jax.tasks.navix_rooms import ROOMS, NavixRooms
from rl3_jax.testing.trees import at, differs
from rl3_jax.trial import TrialEnv, method_features
from tests.marks import missing_extra, slow
from tests.reference import navix_rooms as reference
from tests.trial.walk import transitions, walk

installed = pytest.mark.skipif(bool(missing_extra("navix")), reason="needs the extra navix")
SEEN = ("wall", "key", "goal", "closed", "open")
"""What stands on a tile, in the order in which it is shown."""


def sample(family, number):
    return jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), number))


def read(task):
    """Return the room and the first state of the reference."""
    start = task.params.start
    player = start.entities["player"]
    places = {name: tuple(np.asarray(start.entities[name].position[0]).tolist()) for name in start.entities}
    room = {"walls": np.asarray(navix_rooms.walls(start)), "key": None, "door": None} | places
    return room, (*places["player"], int(player.direction[0]), reference.NO_KEY)


def index(family, state):
    row, column, direction, progress = state
    return (((row - 1) * family.side + column - 1) * 4 + direction) * family.num_stages + progress


def corners(family, room, state):
    """Return which tiles of the view are corners of the wall."""
    last, empty = family.side + 1, room | {"walls": np.zeros_like(room["walls"])}
    views = [
        reference.view(empty | {"goal": (row, column)}, state, family.view)
        for row in (0, last)
        for column in (0, last)
    ]
    return (np.array(views) == "goal").any(0)


def check_sight(family, room, state, seen):
    """What the policy sees is what the reference does, but for a taken key in a corner of the wall."""
    tiles = np.array([[[tile == kind for tile in row] for row in reference.view(room, state, family.view)]
                      for kind in SEEN])  # fmt: skip
    row, column, direction, progress = state
    if progress > reference.NO_KEY:  # navix 0.7.4 shows it there
        tiles = np.where(corners(family, room, state), seen[: tiles.size].reshape(tiles.shape), tiles)
    place = np.array([row - 1, column - 1]) / (family.side - 1)
    facing = np.eye(4)[direction]
    stages = [progress >= reference.KEY, progress >= reference.OPEN]
    expected = np.concatenate([tiles.ravel(), place, facing, stages])
    np.testing.assert_allclose(seen, expected, rtol=1e-6)


@installed
@pytest.mark.parametrize("variation", slow(ROOMS, keep=1))
def test_steps_are_navixs_own_of_the_same_key(variation):
    import navix

    family, (name, side) = make_family("navix", variation=variation), ROOMS[variation]
    rooms = family.environment
    actions = tuple(getattr(navix.actions, action) for action in navix_rooms.ACTIONS)
    own = navix.make(name, observation_fn=navix.observations.symbolic_first_person, action_set=actions)
    assert own.height == own.width == side + 2
    step, own_step, own_reset = jax.jit(family.step_env), jax.jit(own.step), jax.jit(own.reset)
    key, ends = jax.random.key(6), []
    timestep, task = own_reset(key), at(sample(family, 1), 0)
    task = task.replace(params=task.params.replace(start=rooms.draw(key)))
    state = family.reset_env(key, task)[1]
    np.testing.assert_array_equal(state.observation, timestep.observation)
    plan = reference.shortest_plan(*read(task))
    wander = np.random.default_rng(0).choice(5, 80, p=[0.2, 0.2, 0.4, 0.1, 0.1]).tolist()
    for time, action in enumerate([*plan, *wander]):
        timestep = own_step(timestep, jnp.int32(action))
        _, state, reward, terminated, _ = step(jax.random.key(0), state, action, task)
        np.testing.assert_array_equal(state.observation, timestep.observation)
        assert (reward, terminated) == (timestep.reward, timestep.is_termination())
        if terminated:
            ends.append(time)
            state, timestep = family.reset_env(key, task)[1], own_reset(key)
    assert ends[0] == len(plan) - 1


@installed
@pytest.mark.parametrize("variation", slow(["door-key", "empty", "four-rooms"]))
def test_steps_are_those_of_the_reference_and_its_plan_leads_to_the_goal(variation):
    family = make_family("navix", variation=variation, view=5)
    tasks, step, concrete = sample(family, 3), jax.jit(family.step_env), jax.jit(family.concrete)
    for task in (at(tasks, i) for i in range(3)):
        room, state = read(task)
        seen, inner = family.reset_env(jax.random.key(0), task)
        wander = np.random.default_rng(0).choice(5, 40, p=[0.2, 0.2, 0.3, 0.15, 0.15]).tolist()
        for action in wander:
            after = reference.step(room, state, action)
            if after[:2] == room["goal"]:
                continue
            state = after
            seen, inner, reward, terminated, _ = step(jax.random.key(0), inner, action, task)
            assert (reward, terminated) == (0.0, False)
            assert concrete(inner, task).index == index(family, state)
            check_sight(family, room, state, seen)
        rewards = []
        for action in reference.shortest_plan(room, state):
            seen, inner, reward, terminated, _ = step(jax.random.key(0), inner, action, task)
            state = reference.step(room, state, action)
            check_sight(family, room, state, seen)
            rewards.append(float(reward))
        assert rewards == [0.0] * (len(rewards) - 1) + [1.0]
        assert terminated
        assert family.is_terminated(inner, task)


@installed
def test_each_episode_of_a_trial_has_one_layout_and_tasks_have_others():
    family = NavixRooms(steps=10)
    env = TrialEnv(family, horizon=45, features=method_features("rl2", family))
    recorded = walk(env, jax.random.key(0))
    _, first, (_, states, *_) = recorded
    start = first.task.params.start
    worlds = states.inner.wrapped.world
    for time in range(45):
        assert not differs(at(worlds.entities["goal"], time), start.entities["goal"])
        np.testing.assert_array_equal(worlds.grid[time], start.grid)
    ended = [terminated or truncated for *_, terminated, truncated in transitions(recorded)]
    assert sum(ended) >= 4
    for time in np.flatnonzero(ended).tolist():
        assert not differs(at(worlds, time), start)
    goals = np.asarray(sample(family, 400).params.start.entities["goal"].position[:, 0])
    assert len(np.unique(goals, axis=0)) == 36


@installed
def test_a_layout_can_be_solved_and_its_start_is_not_the_goal():
    family = make_family("navix")
    moves = family.statistics(sample(family, 400))["path_length"]
    assert np.isfinite(moves).all()
    assert moves.min() >= 1.0
    keys = jax.random.split(jax.random.key(1), 400)
    drawn = jax.jit(jax.vmap(family.environment.draw))(keys)
    assert (jax.vmap(navix_rooms.path_length)(drawn) == 0.0).any()


@installed
@pytest.mark.slow
def test_layouts_of_four_rooms_have_a_way_that_is_the_shortest():
    family = make_family("navix", variation="four-rooms")
    tasks = sample(family, 50)
    moves = family.statistics(tasks)["path_length"]
    for i in range(50):
        room, state = read(at(tasks, i))
        plan = reference.shortest_plan(room, state)
        assert plan.count(2) == moves[i]


@installed
def test_the_picture_shows_the_layout_and_has_all_directions_of_a_cell_in_one_place():
    family = make_family("navix", variation="door-key")
    task = at(sample(family, 1), 0)
    room, state = read(task)
    tiles = family.picture(task, None)
    names = [kind.name for kind in tiles.kinds]
    for what in ("goal", "key", "door"):
        assert names[tiles.codes[room[what]]] == what
    assert (tiles.codes == names.index(picture.WALL.name)).sum() == room["walls"].sum()
    assert len(tiles.cells) == family.num_states
    np.testing.assert_array_equal(tiles.cells[index(family, state)], state[:2])


@installed
def test_what_navix_calls_its_tiles_is_known():
    import navix

    ids = navix.entities.EntityIds
    known = (navix_rooms.WALL, navix_rooms.DOOR, navix_rooms.KEY, navix_rooms.GOAL)
    assert known == (ids.WALL, ids.DOOR, ids.KEY, ids.GOAL)
    assert navix.observations.RADIUS * 2 + 1 == navix_rooms.VIEW


@installed
def test_a_view_must_be_odd():
    with pytest.raises(ConfigError, match=r"task\.view is 4; it must be odd"):
        make_family("navix", view=4)


def test_without_its_extra_the_family_says_so(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(extras, "is_installed", lambda module: module != "navix")
    said = "task navix needs an extra that is not installed: pip install 'rl3-jax[navix]'"
    with pytest.raises(ConfigError) as error:
        make_family("navix")
    assert list(error.value.problems) == [said]
    with pytest.raises(ConfigError) as error:
        NavixRooms().sample_task(jax.random.key(0))
    assert list(error.value.problems) == [said]
    run = tmp_path / "run"
    assert main(["train", "navix-h200-quick", "--out", str(run)]) == 2
    assert main(["baselines", "navix"]) == 2
    assert capsys.readouterr().err.count(said) == 2
    assert not run.exists()
