"""What figures show."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from rl3_jax.report import figures
from rl3_jax.report.agents import Source, agents_of
from rl3_jax.report.gather import settings_of
from rl3_jax.report.looks import COLOURS, looks_of
from tests.report.setting import MDP, OOD, RESULT, of_agent, run


def drawn_panels(monkeypatch):
    """The panels of each figure that is drawn from here on."""
    drawn, finish = [], figures._finish
    monkeypatch.setattr(figures, "_finish", lambda *given: (drawn.append(given[1]), finish(*given)))
    return drawn


def labels(axes):
    """The names in the legend that have lines in a panel."""
    return [line.get_label() for line in axes.lines if not str(line.get_label()).startswith("_")]


def test_learning_is_drawn_over_steps_and_over_time(tmp_path, monkeypatch):
    """Twelve iterations of 10 steps and 3 s each; the moving mean of so few is each by itself."""
    drawn = drawn_panels(monkeypatch)
    sources = [run(seed, of_agent(RESULT, 60.0)) for seed in (0, 1)]
    agents, settings = list(agents_of(sources).values()), settings_of(sources)
    figures.learning_figure(agents, settings, looks_of(agents, settings), tmp_path / "a.png")
    ((over_steps, over_time),) = drawn
    number = np.arange(1, 13)
    for axes, places, label in (
        (over_steps, 10 * number / 1e6, "environment steps (millions)"),
        (over_time, 3.0 * number / 60.0, "minutes of training"),
    ):
        curve = next(line for line in axes.lines if str(line.get_label()).startswith("rl3"))
        np.testing.assert_allclose(curve.get_xdata(), places)
        np.testing.assert_allclose(curve.get_ydata(), 50.5 + number)  # the mean of two seeds
        assert axes.get_xlabel() == label


@pytest.mark.parametrize("length", [4, 20, 60])
def test_a_legend_fits_its_figure(tmp_path, monkeypatch, length):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))
    text = "scaled-counts-markov (3 seeds) " * 2
    named = [RESULT["results"][0] | {"name": f"{number}{text[:length]}"} for number in range(9)]
    settings = settings_of([Source("a.json", [RESULT | {"results": named}])])
    figures.adaptation_figure(settings, looks_of([], settings), tmp_path / "a.png")
    (figure,) = drawn
    figure.draw_without_rendering()
    assert figure.legends[0].get_window_extent().width <= figure.bbox.width


def test_each_curve_of_an_agent_says_of_how_many_seeds_it_is(tmp_path, monkeypatch):
    drawn = drawn_panels(monkeypatch)
    sources = [run(seed, of_agent(RESULT, 60.0)) for seed in (0, 1)]
    sources.append(run(0, of_agent(RESULT, 50.0), name="other", learning_rate=0.2))
    agents, settings = list(agents_of(sources).values()), settings_of(sources)
    looks = looks_of(agents, settings)
    figures.learning_figure(agents, settings, looks, tmp_path / "a.png")
    figures.adaptation_figure(settings, looks, tmp_path / "b.png")
    for axes in (drawn[0][0], drawn[1][0]):
        assert labels(axes)[:2] == ["rl3 (2 seeds)", "other-seed0 (1 seed)"]
    assert {"ucb1", "clairvoyant"} <= set(labels(drawn[1][0]))


def test_panels_of_one_size_share_the_axis_of_rewards(tmp_path, monkeypatch):
    drawn = drawn_panels(monkeypatch)
    longer = RESULT | {"horizon": 200, "task_set_sha256": "a"}
    other = RESULT | {"task": RESULT["task"] | {"num_arms": 10}, "task_set_sha256": "b"}
    settings = settings_of([Source(str(i), [x]) for i, x in enumerate((RESULT, OOD, longer, other))])
    figures.adaptation_figure(settings, looks_of([], settings), tmp_path / "a.png")
    at = {(x.title, *x.sizes): axes for x, axes in zip(settings, drawn[0], strict=True)}
    base = at["bandit, H = 100", "num_arms = 5"]
    same_length, other_length = (
        at["bandit (ood), H = 100", "num_arms = 5"],
        at["bandit, H = 200", "num_arms = 5"],
    )
    assert base.get_shared_y_axes().joined(base, same_length)
    assert base.get_shared_y_axes().joined(base, other_length)
    assert base.get_shared_x_axes().joined(base, same_length)
    assert not base.get_shared_x_axes().joined(base, other_length)
    assert not base.get_shared_y_axes().joined(base, at["bandit, H = 100", "num_arms = 10"])
    assert {axes.get_xlim()[0] for axes in drawn[0]} == {0.0}


def test_a_method_and_core_has_one_colour_in_all_families():
    bandits, mdps = (
        [run(seed, of_agent(result, mean), name=name, folder=folder) for seed in (0, 1)]
        for result, mean, name, folder in ((RESULT, 60.0, "rl3", "a"), (MDP, 90.0, "rl3-b", "b"))
    )
    for source in mdps:
        source.config["task"] = MDP["task"]
    sources = [*bandits, *mdps]
    agents, settings = list(agents_of(sources).values()), settings_of(sources)
    looks = looks_of(agents, settings)
    assert looks["rl3", True]["color"] == looks["rl3-b", True]["color"] == COLOURS[0]


def test_agents_of_one_method_and_core_that_are_compared_have_their_own_colours():
    sources = [
        run(0, of_agent(RESULT, 60.0), of_agent(RESULT, 61.0, greedy=True), name="a", learning_rate=0.1),
        run(0, of_agent(RESULT, 50.0), name="b", learning_rate=0.2),
    ]
    agents, settings = list(agents_of(sources).values()), settings_of(sources)
    looks = looks_of(agents, settings)
    first, second, greedy = (looks[name, True] for name in ("a-seed0", "b-seed0", "a-seed0 (greedy)"))
    assert first["color"] != second["color"]
    assert first["color"] == greedy["color"]
    assert first["linestyle"] != greedy["linestyle"]
