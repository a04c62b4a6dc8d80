"""Animations from plain arrays."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from rl3_jax.picture import FREE, Line, Plane, TileKind, Tiles
from rl3_jax.report.animation import LAST_FRAME, Clock, Scene, Stage, animate
from rl3_jax.report.maps import VALUES, Heat, Paths, Track, Walk, episode_starts
from rl3_jax.report.panels import Bars, Intervals, Return, Returns

STEPS = 5
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def scene(steps=STEPS, captions=None, **panels):
    """A scene of one row of panels."""
    captions = captions or [f"step {step}" for step in range(steps)]
    columns = [{name: panel} for name, panel in panels.items()]
    ended = np.arange(steps)[None] % 2 == 1
    return Scene(captions, ended, columns, [1.0] * len(panels), (2.0 * len(panels), 2.0))


def growing_bars(steps=STEPS):
    """Bars of which one grows."""
    heights = np.stack([np.linspace(0.0, 1.0, steps), np.full(steps, 0.5)], axis=1)
    chosen = np.arange(steps) % 2
    return Bars("bars", heights, ["a", "b"], chosen, counts=heights, truth=np.ones(2))


def heat(values, **options):
    """A map of values, all visited once."""
    steps = len(values)
    return Heat("heat", values, np.ones_like(values), np.tile([0, 0, 1, 1], (steps, 1)), **options)


def every_panel():
    """One panel of each kind."""
    ended = np.array([False, True, False, False, True])
    position = np.array([[0, 0], [0, 1], [0, 0], [1, 0], [1, 1]])
    tiles = Tiles(np.array([[0, 1], [0, 0]]), [FREE, TileKind("wall", "black", hatch="x", enters=False)])
    values = np.arange(STEPS * 4.0).reshape(STEPS, 2, 2)
    number = np.linspace(-0.5, 0.5, STEPS)[:, None]
    plane = Plane(
        position.astype(float),
        bounds=np.array([[-1, 2], [-1, 2]]),
        goal=np.ones(2),
        goal_radius=0.2,
        arrow_length=1.0,
        body=np.stack([np.zeros_like(position), position], axis=1),
    )
    return {
        "bars": growing_bars(),
        "intervals": Intervals(
            "spread", np.stack([number - 0.1, number, number + 0.1]), number, ["x"], np.array([[-1, 1]])
        ),
        "return": Return(np.ones(STEPS), ended),
        "walk": Walk("walk", tiles, position, ended),
        "map": heat(values, tiles=tiles),
        "table": heat(np.full_like(values, np.nan), row_names=["a", "b"]),
        "plane": Paths("plane", plane, ended, position / 2),
        "track": Track("track", Line(position[:, 1].astype(float), goal=2.0), ended),
    }


@pytest.mark.parametrize("steps", [1, 2, STEPS])
def test_each_step_is_a_frame(steps):
    content = animate(scene(steps, bars=growing_bars(steps)), range(steps), range(steps), 20.0)
    gif = Image.open(io.BytesIO(content))
    assert (gif.format, gif.size, gif.n_frames) == ("GIF", (200, 200), steps)
    durations = []
    for step in range(steps):
        gif.seek(step)
        durations.append(gif.info["duration"])
    assert durations == [50] * (steps - 1) + [LAST_FRAME * 1000]


@pytest.mark.parametrize("name", [name for name in every_panel() if name != "table"])
def test_each_panel_shows_what_it_is_given_at_a_step_whatever_was_shown_before(name):
    stage = Stage(scene(captions=[" "] * STEPS, **{name: every_panel()[name]}))
    first, last = (np.asarray(stage.show(step)) for step in (0, STEPS - 1))
    assert (first != last).any()
    np.testing.assert_array_equal(stage.show(0), first)
    np.testing.assert_array_equal(stage.show(STEPS - 1), last)


def test_all_panels_stand_beside_each_other():
    panels = every_panel()
    assert Stage(scene(**panels)).show(0).size == (200 * len(panels), 200)


def test_a_bar_is_as_high_as_its_number():
    stage = Stage(scene(bars=growing_bars()))
    bars = [(np.asarray(stage.show(step)) == (224, 123, 0)).all(-1).sum() for step in (0, 2, 4)]
    assert bars[0] < bars[1] / 10  # no height, only the outline
    assert bars[2] == pytest.approx(2 * bars[1], rel=0.1)


def test_a_larger_value_is_lighter_and_the_scale_stays():
    values = np.tile(np.arange(6.0), (2, 1, 1))
    values[0, 0, 3:] = np.nan
    (image, *_), update = heat(values).draw(Figure().subplots())
    scales = []
    for step in range(2):
        update(step)
        np.testing.assert_array_equal(image.get_array().filled(np.nan), values[step])
        scales.append(image.get_clim())
    assert scales[0] == scales[1] == (np.percentile(np.r_[0:6, 0:3], 2), np.percentile(np.r_[0:6, 0:3], 98))
    lightness = image.to_rgba(values[1])[0, :, :3] @ LUMINANCE
    assert (np.diff(lightness) > 0).all()


def test_the_colour_map_grows_in_lightness_and_starts_above_black():
    luminance = VALUES(np.linspace(0, 1, 64))[:, :3] @ LUMINANCE
    assert (np.diff(luminance) > 0).all()
    assert luminance[0] > 0.2


def test_a_long_caption_is_made_to_fit():
    stage = Stage(scene(2, captions=["x" * 80, "x" * 79], bars=growing_bars(2)))
    picture = np.asarray(stage.show(0).convert("L"))
    assert (picture[:180, -2:] == 255).all()


def test_a_caption_is_not_clipped_though_another_of_as_many_letters_is_narrower():
    captions = ["-" * 79 + "1", "+" * 80]
    picture = np.asarray(Stage(scene(2, captions=captions, bars=growing_bars(2))).show(1).convert("L"))
    assert (picture[:20, -2:] == 255).all()
    assert (picture[:20] < 255).any()


def test_the_clock_grows_and_has_a_border_where_an_episode_ended():
    ended = np.array([[False, True, False, False], [False, False, False, True]])
    (done, _, borders), update = Clock(ended).draw(Figure().subplots())
    for step, expected in ((0, []), (1, [(2, 0)]), (3, [(2, 0), (4, 1)])):
        update(step)
        assert done.get_width() == step + 1
        assert [tuple(segment[0]) for segment in borders.get_segments()] == expected


def test_the_returns_of_two_agents_are_their_sums_so_far():
    rewards = np.array([[1.0, 1.0, -3.0], [0.0, 2.0, 0.0]])
    lines, update = Returns(["a", "b"], rewards).draw(Figure().subplots())
    update(1)
    assert [line.get_ydata().tolist() for line in lines] == [[0.0, 1.0, 2.0], [0.0, 0.0, 2.0]]
    assert [line.get_label() for line in lines] == ["a", "b"]


def test_the_axes_of_a_plane_are_named():
    axes = Figure().subplots()
    every_panel()["plane"].draw(axes)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x", "y")


def test_a_track_has_a_line_and_a_path_for_each_episode():
    axes = Figure().subplots()
    position = np.array([0.0, 0.5, 0.1, 0.2, 0.3])
    ended = np.array([False, True, False, False, True])
    (earlier, borders, path, agent), update = Track("way", Line(position, name="height"), ended).draw(axes)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "height")
    update(3)
    assert [segment.tolist() for segment in earlier.get_segments()] == [[[0.0, 0.0], [1.0, 0.5]]]
    assert [segment[0, 0] for segment in borders.get_segments()] == [2.0]
    np.testing.assert_array_equal(np.stack(path.get_data(), axis=1), [[2, 0.1], [3, 0.2]])
    np.testing.assert_array_equal(np.stack(agent.get_data(), axis=1), [[3, 0.2]])


def test_the_goal_of_a_track_is_in_view():
    axes = Figure().subplots()
    Track("way", Line(np.zeros(3), goal=5.0), np.zeros(3, bool)).draw(axes)
    assert axes.get_ylim()[0] < 0.0 < 5.0 < axes.get_ylim()[1]


def test_an_episode_starts_after_one_has_ended():
    ended = np.array([False, False, True, True, False])
    assert episode_starts(ended).tolist() == [0, 0, 0, 3, 4]
