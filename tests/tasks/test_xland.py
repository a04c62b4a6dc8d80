"""Tasks of XLand-MiniGrid, beside the suite itself."""

import bz2

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax.cli import main
from rl3_jax.tasks import XLandTasks
from rl3_jax.tasks.xland import AGENT_NEAR, HOLD, NUM_GOALS, THING_NEAR

xminigrid = pytest.importorskip("xminigrid", reason="needs the extra xland")
from xminigrid import benchmarks, types  # noqa: E402
from xminigrid.core import constants, goals  # noqa: E402
from xminigrid.envs.xland import XLandMiniGrid  # noqa: E402

AHEAD = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])
"""Row and column to which the agent looks, by direction: up, right, down, left."""
SIDES = ("", "Up", "Down", "Left", "Right")
GOALS = {HOLD: goals.AgentHoldGoal}
for who, codes in (("Agent", AGENT_NEAR), ("Tile", THING_NEAR)):
    GOALS |= {code: getattr(goals, f"{who}Near{side}Goal") for code, side in zip(codes, SIDES, strict=True)}
STEPS = 400


@pytest.fixture(scope="module")
def walked():
    """Return a family, a task, and the states, observations and rewards of random steps; XLand's beside."""
    family = XLandTasks(variation="reach", steps=STEPS)
    task = jax.jit(family.sample_task)(jax.random.key(5))
    rooms, params = xminigrid.make("XLand-MiniGrid-R1-9x9")
    ruleset = types.RuleSet(goal=task.params.goal, rules=task.params.rules, init_tiles=task.params.objects)
    params = params.replace(ruleset=ruleset, max_steps=STEPS)
    actions = jax.random.randint(jax.random.key(1), (STEPS,), 0, family.num_actions)

    @jax.jit
    def ours(key):
        observation, state = family.reset_env(key, task)

        def step(state, action):
            observation, state, reward, terminated, _ = family.step_env(key, state, action, task)
            return state, (observation, state, reward, terminated)

        return observation, state, jax.lax.scan(step, state, actions)[1]

    @jax.jit
    def theirs(key):
        first = rooms.reset(params, key)

        def step(before, action):
            after = rooms.step(params, before, action)
            return after, after

        return first, jax.lax.scan(step, first, actions)[1]

    # GymnaxTasks gives the environment's reset the first of two keys.
    key = jax.random.key(2)
    return family, ours(key), theirs(jax.random.split(key)[0])


def test_steps_are_those_of_the_suite(walked):
    _, (_, first, (_, states, rewards, terminated)), (start, after) = walked
    np.testing.assert_array_equal(first.wrapped.grid, start.state.grid)
    np.testing.assert_array_equal(states.wrapped.grid, after.state.grid)
    np.testing.assert_array_equal(states.wrapped.agent.pocket, after.state.agent.pocket)
    np.testing.assert_array_equal(states.observation, after.observation)
    np.testing.assert_array_equal(rewards, after.reward)
    np.testing.assert_array_equal(terminated, after.discount == 0.0)
    assert terminated.any(), "no step of these reaches the goal: nothing was compared"


def test_the_view_is_shown_one_hot(walked):
    _, (_, _, (seen, states, _, _)), (_, after) = walked
    assert set(np.unique(seen)) == {0.0, 1.0}
    tiles, colours, direction = np.split(np.asarray(seen), [25 * 13, 25 * 25], axis=1)
    view = np.stack(
        [tiles.reshape(-1, 5, 5, 13).argmax(-1), colours.reshape(-1, 5, 5, 12).argmax(-1)], axis=-1
    )
    np.testing.assert_array_equal(view, after.observation)
    np.testing.assert_array_equal(direction.argmax(-1), states.wrapped.agent.direction)


def test_object_level_rl_sees_what_lies_beside_the_agent(walked):
    family, (_, _, (_, states, _, _)), _ = walked
    found = jax.vmap(family.located)(states.wrapped, states.observation)
    grid, agent = np.asarray(states.wrapped.grid, int), states.wrapped.agent
    codes = grid[..., 0] * constants.NUM_COLORS + grid[..., 1]
    for t in range(0, STEPS, 7):
        turned = [AHEAD[(agent.direction[t] + turn) % 4] for turn in (0, -1, 1)]
        beside = [codes[t][tuple(np.asarray(agent.position[t]) + way)] for way in turned]
        np.testing.assert_array_equal(found[t], beside)


def test_goals_are_those_of_the_generator():
    family = XLandTasks()
    every = np.asarray(jax.jit(jax.vmap(family.goal))(jnp.arange(NUM_GOALS["trivial"])))
    assert len(np.unique(every, axis=0)) == 60 + 5 * 70 + 5 * 70 * 60
    assert set(every[: NUM_GOALS["reach"], 0]) == {HOLD, *AGENT_NEAR}
    for code, kind in GOALS.items():
        goal = every[every[:, 0] == code][17]
        parts = {"tile": goal[1:3]} if code not in THING_NEAR else {"tile_a": goal[1:3], "tile_b": goal[3:5]}
        encoded = kind(**{name: jnp.asarray(part) for name, part in parts.items()}).encode()
        np.testing.assert_array_equal(goal, encoded)
    colours = set(range(1, 12)) - {constants.Colors.BLACK}
    things = {(kind, colour) for kind in np.asarray(constants.PICKABLE).tolist() for colour in colours}
    objects = things | {(constants.Tiles.GOAL, colour) for colour in colours}
    rows = [tuple(row) for row in every.tolist()]
    assert {row[1:3] for row in rows if row[0] == HOLD} == things
    for code in AGENT_NEAR:
        assert {row[1:3] for row in rows if row[0] == code} == objects
    pairs = {(*place, *thing) for place in objects for thing in things}
    for code in THING_NEAR:
        assert {row[1:] for row in rows if row[0] == code} == pairs


@pytest.mark.parametrize("variation", XLandTasks.variations)
def test_the_objects_of_a_goal_lie_there_and_others_beside(variation):
    family = XLandTasks(variation=variation)
    tasks = jax.jit(jax.vmap(family.sample_task))(jax.random.split(jax.random.key(0), 2000))
    goal, objects = np.asarray(tasks.params.goal), np.asarray(tasks.params.objects)
    np.testing.assert_array_equal(objects[:, :2].reshape(-1, 4), goal[:, 1:])
    assert (objects[:, 2:] > 0).all()
    same = (objects[:, 2:, None] == objects[:, None, :2]).all(axis=-1)
    assert not same.any(), "another object is one of the goal's"
    share = {"trivial": 21_000 / 21_410, "reach": 0.0}[variation]
    assert abs(np.isin(goal[:, 0], THING_NEAR).mean() - share) <= 4 * np.sqrt(share * (1 - share) / 2000)
    assert len(np.unique(objects[:, 2:].reshape(-1, 2), axis=0)) == 70


def test_the_next_episode_has_the_same_objects_elsewhere():
    family = XLandTasks()
    task = family.sample_task(jax.random.key(0))
    (_, one), (_, other) = (jax.jit(family.reset_env)(jax.random.key(i), task) for i in range(2))

    def lying(state):
        cells = np.asarray(state.wrapped.grid).reshape(-1, 2)
        return sorted(map(tuple, cells[cells[:, 0] > constants.Tiles.WALL]))

    assert lying(one) == lying(other) == sorted(tuple(x) for x in np.asarray(task.params.objects) if x[0])
    assert (one.wrapped.grid != other.wrapped.grid).any()


def test_tasks_come_from_a_file_of_rulesets(tmp_path):
    path = str(tmp_path / "two")
    family = XLandTasks()
    stacked = jax.vmap(family.sample_params)(jax.random.split(jax.random.key(0), 2))
    rulesets = {"goals": stacked.goal, "rules": stacked.rules, "init_tiles": stacked.objects}
    benchmarks.save_bz2_pickle({**rulesets, "num_rules": jnp.zeros(2)}, path)
    drawn = jax.jit(jax.vmap(XLandTasks(benchmark=path).sample_task))(
        jax.random.split(jax.random.key(1), 20)
    ).params
    for row in range(20):
        assert any(
            (drawn.goal[row] == stacked.goal[i]).all() and (drawn.objects[row] == stacked.objects[i]).all()
            for i in range(2)
        )
    assert len(np.unique(drawn.goal, axis=0)) == 2


def cut_short(path):
    benchmarks.save_bz2_pickle({"goals": np.zeros((50, 5), np.uint8)}, str(path))
    path.write_bytes(path.read_bytes()[:-20])


def without_rules(path):
    benchmarks.save_bz2_pickle({"goals": np.zeros((1, 5), np.uint8)}, str(path))


def no_pickle(path):
    path.write_bytes(bz2.compress(b"rulesets"))


@pytest.mark.parametrize("write", [cut_short, without_rules, no_pickle])
def test_a_file_that_holds_no_rulesets_is_told(write, tmp_path):
    write(tmp_path / "file")
    (found,) = XLandTasks(benchmark=str(tmp_path / "file")).conflicts()
    assert "file' cannot be read (" in found


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("--task.layout R3-9x9", "unknown task.layout 'R3-9x9'; did you mean R"),
        ("--task.layout R3-9x9 --task.steps 100", "unknown task.layout 'R3-9x9'; did you mean R"),
        ("--task.layout MiniGrid-FourRooms", "unknown task.layout 'MiniGrid-FourRooms'"),
        ("--task.benchmark nowhere", "task.benchmark 'nowhere' cannot be read (FileNotFoundError"),
        ("--task.benchmark nowhere --task.variation reach", "leave one of them out"),
    ],
)
def test_a_wrong_field_is_told_before_anything_is_compiled_or_written(fields, message, tmp_path, capsys):
    assert main(["train", "xland-h486-quick", *fields.split(), "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "compiling" not in said
    assert not (tmp_path / "run").exists()


def test_the_rooms_are_those_of_the_suite():
    assert isinstance(XLandTasks().environment.rooms, XLandMiniGrid)
    assert XLandTasks().episode_length == 3 * 9 * 9
