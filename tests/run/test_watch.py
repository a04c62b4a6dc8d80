"""Watching an agent: what is recorded, what is drawn, and each mistake a user can make."""

import dataclasses
import functools
import itertools
from typing import ClassVar

import jax
import numpy as np
import pytest
from PIL import Image, ImageColor

from rl3_jax import ConfigError
from rl3_jax.cli import main, parse
from rl3_jax.object_rl import ModelBased
from rl3_jax.picture import FREE, GOAL, WALL, Tiles
from rl3_jax.presets import make_config
from rl3_jax.report.animation import Stage
from rl3_jax.report.scenes import Trial, best_tried, make_pair, make_scene, tried
from rl3_jax.run import folder
from rl3_jax.run.agent import save_agent
from rl3_jax.run.watch import Watch
from rl3_jax.tasks import FAMILIES, frozen_lake, gridworld_map, make_family
from rl3_jax.tasks.continuous import PointRobots
from rl3_jax.training import Agent, evaluate
from rl3_jax.training.evaluation import held_out_tasks
from rl3_jax.training.recording import record
from rl3_jax.training.train import Purpose, stream, task_keys
from rl3_jax.trial import method_abstraction, method_features
from tests.marks import slow, where_installed
from tests.run import tiny

SEED = 3
HORIZON = 12
"""The same in all tests, which so share compiled programs."""


@dataclasses.dataclass(frozen=True)
class OnALine(PointRobots):
    """Points of which one number is seen, without a picture of their own."""

    family: ClassVar[str] = "on-a-line"
    observation_names: ClassVar[tuple[str, ...]] = ("height",)
    tiles: ClassVar[tuple[int, ...]] = (5,)

    steps: int = 5

    @property
    def coordinate_bounds(self):
        return super().coordinate_bounds[:1]

    def shown(self, state, observation):
        return state.pos[:1]

    def picture(self, task, states):
        return None


def configure(name, method="rl3", learner="q-learning"):
    """A run of a family with a small network, and a learner that compiles in no time."""
    family = OnALine() if name == OnALine.family else make_family(name)
    base = make_config("mdp-h100-quick", policy="markov", learner=learner)
    return dataclasses.replace(
        base,
        task=family,
        horizon=HORIZON,
        features=method_features(method, family),
        abstraction=method_abstraction(method, family, ModelBased()),
        policy=dataclasses.replace(base.policy, width=8),
    )


def untrained(config, greedy=False):
    """An agent with random parameters."""
    shapes = jax.eval_shape(config.network.init, jax.random.key(0))["actor"]
    rng = np.random.default_rng(0)
    params = jax.tree.map(lambda x: rng.normal(scale=0.3, size=x.shape).astype(x.dtype), shapes)
    return Agent(params=params, policy=config.network, greedy=greedy)


@functools.cache
def film(config, greedy=False):
    """A trial of an untrained agent, recorded."""
    agent = untrained(config, greedy)
    task, recording = record(config.env, agent, SEED)
    return Trial(config.env, task, config.network.distribution, recording, "name")


def test_it_is_the_trial_that_is_evaluated():
    config = configure("bandit")
    trial = film(config)
    rewards = evaluate(config.env, untrained(config), num_tasks=2, seed=SEED)[0]
    np.testing.assert_allclose(trial.recording.reward, rewards, rtol=1e-6)
    expected = jax.tree.map(lambda x: x[0], held_out_tasks(config.env, SEED, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, trial.task, expected)


def test_any_of_the_held_out_tasks_can_be_watched():
    config = configure("bandit")
    agent = untrained(config)
    task, recording = record(config.env, agent, SEED, 2)
    rewards = evaluate(config.env, agent, num_tasks=3, seed=SEED)[2]
    np.testing.assert_allclose(recording.reward, rewards, rtol=1e-6)
    expected = jax.tree.map(lambda x: x[2], held_out_tasks(config.env, SEED, 0, 3))
    jax.tree.map(np.testing.assert_array_equal, task, expected)


@pytest.mark.parametrize("name", ["gridworld", "mdp", "point-robot"])
def test_two_agents_are_drawn_side_by_side(name):
    trials = [film(configure(name, method)) for method in ("rl3", "rl2")]
    scene = make_pair(trials, ["rl3", "rl2"])
    assert len(scene.columns) == 3
    first, second = (next(iter(column.values())) for column in scene.columns[:2])
    assert (first.title, second.title) == ("rl3", "rl2")
    rewards = np.stack([trial.recording.reward for trial in trials])
    np.testing.assert_array_equal(scene.panels["return"].rewards, rewards)
    np.testing.assert_array_equal(scene.ended, np.stack([trial.recording.ended for trial in trials]))
    assert f"rl3 {rewards[0].sum():+.2f}   rl2 {rewards[1].sum():+.2f}" in scene.captions[-1]
    assert Stage(scene).show(HORIZON - 1).size == (960, 430)


def test_a_greedy_agent_takes_the_likeliest_action():
    recording = film(configure("bandit", "rl2"), greedy=True).recording
    np.testing.assert_array_equal(recording.action, recording.parameters.argmax(1))


@pytest.mark.parametrize(
    ("name", "method", "learner"),
    [("mdp", "rl3", "q-learning"), ("gridworld", "rl3-coarse", "model-based")],
)
def test_a_recording_is_what_a_walk_with_its_actions_meets(name, method, learner):
    config = configure(name, method, learner)
    env, recording = config.env, film(config).recording
    task = jax.tree.map(lambda x: x[0], held_out_tasks(env, SEED, 0, 1))
    key_start, key_steps = jax.random.split(
        task_keys(stream(jax.random.key(SEED), Purpose.EVALUATION_TRIAL), 0, 1)[0]
    )
    step = jax.jit(env.step_env)
    look = jax.jit(env.action_values)
    _, state = env.start(key_start, task)
    for time in range(env.horizon):
        known = look(state)
        np.testing.assert_allclose(recording.q[time], known.q, rtol=1e-5, atol=1e-5)
        np.testing.assert_array_equal(recording.counts[time], known.counts)
        np.testing.assert_array_equal(recording.observation[time], env.family.get_obs(state.inner, task))
        key = jax.random.split(jax.random.fold_in(key_steps, time), 3)[0]
        _, state, reward, _, info = step(key, state, recording.action[time], env.default_params)
        np.testing.assert_allclose(recording.reward[time], reward, rtol=1e-5, atol=1e-6)
        transition = info["transition"]
        assert recording.ended[time] == (transition.terminated | transition.truncated)


@pytest.mark.parametrize(
    ("name", "method", "learner"),
    [
        ("mdp", "rl3", "q-learning"),
        ("gridworld", "rl3", "q-learning"),
        ("gridworld", "rl3-coarse", "model-based"),
    ],
)
def test_the_table_agrees_with_the_current_state_and_visits_are_counted(name, method, learner):
    trial = film(configure(name, method, learner))
    recording = trial.recording
    here = np.arange(HORIZON), recording.place
    np.testing.assert_array_equal(recording.table[here], recording.q)
    counted = np.zeros_like(recording.table)
    for time, (s, a) in enumerate(zip(recording.place, recording.action, strict=True)):
        counted[time + 1 :, s, a] += 1.0
    np.testing.assert_array_equal(trial.visits, counted)
    np.testing.assert_array_equal(counted[here], recording.counts)


def test_only_what_was_tried_has_a_value():
    table = np.array([[[1.0, 2.0], [5.0, -4.0], [7.0, 7.0]]])
    visits = np.array([[[3.0, 0.0], [1.0, 1.0], [0.0, 0.0]]])
    np.testing.assert_array_equal(best_tried(table, visits), [[1.0, 5.0, np.nan]])
    np.testing.assert_array_equal(tried(table, visits)[0], [[1.0, np.nan], [5.0, -4.0], [np.nan, np.nan]])
    assert np.isnan(best_tried(None, visits)).all()


def test_a_scene_draws_what_was_recorded():
    trial = film(configure("gridworld"))
    recording, panels = trial.recording, make_scene(trial).panels
    assert set(panels) == {"walk", "values", "policy", "return"}
    rows, columns = np.divmod(recording.place, 11)
    np.testing.assert_array_equal(panels["walk"].position, np.stack([columns, rows], axis=1))
    np.testing.assert_array_equal(panels["walk"].tiles.codes.ravel(), trial.task.tiles)
    np.testing.assert_array_equal(panels["values"].counts.reshape(HORIZON, -1), trial.visits.sum(-1))
    expected = best_tried(recording.table, trial.visits)
    np.testing.assert_array_equal(panels["values"].values.reshape(HORIZON, -1), expected)
    np.testing.assert_allclose(panels["policy"].heights.sum(1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(panels["policy"].chosen, recording.action)
    np.testing.assert_array_equal(panels["return"].reward, recording.reward)
    caption = make_scene(trial).captions[-1]
    assert f"step {HORIZON}/{HORIZON}" in caption
    assert f"return {recording.reward.sum():+.2f}" in caption


def test_tiles_of_a_plane_stand_where_they_lie():
    trial = film(configure("point-robot"))
    heat, plane = make_scene(trial).panels["values"], make_scene(trial).panels["plane"].plane
    column, row = heat.outline[-1, :2].astype(int)
    (x, y), half, side = plane.position[-1], 1.375, 0.25
    assert abs(-half + (column + 0.5) * side - x) <= side / 2 + 1e-6
    assert abs(half - (row + 0.5) * side - y) <= side / 2 + 1e-6
    assert heat.counts[-1, row, column] == trial.recording.counts[-1].sum()
    assert heat.counts[-1].sum() == HORIZON - 1


@pytest.mark.parametrize("name", where_installed(slow(FAMILIES, keep=4)))
def test_every_family_can_be_watched(name):
    scene = make_scene(film(configure(name)))
    assert len(scene.captions) == HORIZON
    stage = Stage(scene)
    assert (np.asarray(stage.show(0)) != np.asarray(stage.show(HORIZON - 1))).any()


@pytest.mark.parametrize("name", slow(["gridworld", "bandit", "mdp", "point-robot"]))
def test_an_agent_without_object_level_rl_can_be_watched(name):
    trial = film(configure(name, "rl2"))
    assert trial.recording.table is trial.recording.q is None
    Stage(make_scene(trial)).show(HORIZON - 1)


@pytest.mark.parametrize("name", ["mdp", "point-robot"])
def test_a_family_without_a_scene_of_its_own_is_drawn_by_what_its_states_are(name, monkeypatch):
    trial = film(configure(name))
    monkeypatch.setattr(type(trial.env.family), "picture", lambda *_: None)
    assert ("table" if name == "mdp" else "plane") in make_scene(trial).panels
    Stage(make_scene(trial)).show(HORIZON - 1)


def test_states_that_share_a_cell_show_its_best_value_and_all_visits(monkeypatch):
    trial = film(configure("mdp"))
    record, cells = trial.recording, np.array([[0, s % 2] for s in range(10)])
    tiles = Tiles(np.zeros((1, 2), int), (FREE,), cells)
    monkeypatch.setattr(type(trial.env.family), "picture", lambda *_: tiles)
    heat = make_scene(trial).panels["values"]
    earlier = np.bincount(record.place[:-1] % 2, minlength=2)
    np.testing.assert_array_equal(heat.counts[-1, 0], earlier)
    best = np.where(trial.visits[-1] > 0, record.table[-1], np.nan)
    expected = [np.nanmax(best[half::2]) if earlier[half] else np.nan for half in range(2)]
    np.testing.assert_array_equal(heat.values[-1, 0], expected)


def test_one_number_that_is_seen_is_drawn_over_the_steps():
    trial = film(configure("on-a-line"))
    scene = make_scene(trial)
    track = scene.panels["track"]
    np.testing.assert_array_equal(track.line.position, trial.recording.inner.wrapped.pos[:, 0])
    np.testing.assert_array_equal(np.flatnonzero(track.ended), [4, 9])
    assert track.line.name == "height"
    Stage(scene).show(HORIZON - 1)


@pytest.mark.parametrize("kinds", [gridworld_map.TILE_KINDS, frozen_lake.TILE_KINDS, (FREE, WALL, GOAL)])
def test_tiles_differ_in_lightness_and_in_mark(kinds):
    weights = np.array([0.299, 0.587, 0.114])
    lightness = [weights @ ImageColor.getrgb(kind.colour)[:3] for kind in kinds]
    for (one, a), (other, b) in itertools.combinations(zip(kinds, lightness, strict=True), 2):
        assert abs(a - b) > 15
        assert (one.mark, one.hatch) != (other.mark, other.hatch)


def test_without_options_the_whole_trial_is_in_the_run_folder(finished):
    file = Watch(finished.path, seed=SEED).draw()
    assert file == finished.path / "figures" / "watch-default-seed3.gif"
    assert Image.open(file).n_frames == 10
    file.unlink()
    file.parent.rmdir()


def test_the_options_decide_what_is_shown(finished, tmp_path, capsys):
    out = tmp_path / "new" / "a.gif"
    line = ["watch", str(finished.path), "--variation", "ood", "--steps", "4", "--fps", "5", "--greedy"]
    assert main([*line, "--out", str(out)]) == 0
    assert f"written: {out}" in capsys.readouterr().out
    gif = Image.open(out)
    assert (gif.n_frames, gif.info["duration"]) == (4, 200)
    assert tiny.tree(tmp_path) == ["new", "new/a.gif"]


def test_two_agents_are_watched_from_the_command_line(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    other = make_config("bandit-h100-quick", method="rl2", policy="markov", horizon=10)
    params = other.network.init(jax.random.key(0))["actor"]
    save_agent(tmp_path / "other", other, params, 0)
    assert main(["watch", str(finished.path), "--beside", "other", "--task", "2", "--steps", "2"]) == 0
    file = finished.path / "figures" / "watch-default-seed0-task2-beside-other.gif"
    assert Image.open(file).n_frames == 2
    file.unlink()
    file.parent.rmdir()


def test_the_same_trial_is_drawn_to_the_same_file(finished, tmp_path):
    files = [Watch(finished.path, out=tmp_path / f"{i}.gif", steps=3).draw() for i in range(2)]
    assert files[0].read_bytes() == files[1].read_bytes()
    other = Watch(finished.path, out=tmp_path / "other.gif", steps=3, seed=1).draw()
    assert other.read_bytes() != files[0].read_bytes()


BAD_INPUT = [
    ("missing", ["missing is not a run folder"]),
    (
        "missing --seed -1 --out x.png --fps 0",
        ["not a run folder", "seed is -1", "ends in .gif", "fps is 0;"],
    ),
    ("RUN --variation odd", ["unknown variation 'odd'", "default, ood"]),
    ("RUN --out x.png", ["out is x.png", "ends in .gif"]),
    ("RUN --out file/x.gif", ["cannot write file/x.gif", "file is a file"]),
    ("RUN --out folder.gif", ["cannot write folder.gif: it is a folder"]),
    ("RUN --steps 11 --fps 60", ["steps is 11, but a trial of this agent has 10", "fps is 60;"]),
    ("RUN --steps 0", ["steps is 0"]),
    ("RUN --task -1 --beside nothing", ["task is -1; held-out tasks have", "nothing holds no agent"]),
    (
        "RUN --beside mdp-100-rl3",
        ["beside is mdp-100-rl3, whose trials are mdp-default-h100", "of the same family and trial length"],
    ),
    ("empty", ["empty holds no agent"]),
]


@pytest.mark.parametrize(("line", "expected"), BAD_INPUT, ids=[line for line, _ in BAD_INPUT])
def test_bad_input_is_named_and_nothing_is_written(line, expected, finished, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.gif").mkdir()
    folder.create(tmp_path / "empty", tiny.CONFIG, log=None)
    before, before_run = tiny.tree(tmp_path), tiny.tree(finished.path)
    assert main(["watch", *line.replace("RUN", str(finished.path)).split()]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert all(problem.startswith("error: ") for problem in printed.err.splitlines())
    for text in expected:
        assert text in printed.err
    assert (tiny.tree(tmp_path), tiny.tree(finished.path)) == (before, before_run)


def test_a_file_that_cannot_be_written_is_refused_before_any_work(finished, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert "no permission" in Watch(finished.path).problems()[0]
    with pytest.raises(ConfigError, match="no permission"):
        parse(["watch", str(finished.path)])
