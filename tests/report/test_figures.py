"""What figures show."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from rl3_jax.report import figures
from rl3_jax.report.agents import Source, agents_of
from rl3_jax.report.gather import settings_of
from tests.report.setting import RESULT, of_agent, run


def test_learning_is_drawn_over_steps_and_over_time(tmp_path, monkeypatch):
    """Twelve iterations of 10 steps and 3 s each; the moving mean of so few is each by itself."""
    drawn = []
    finish = figures._finish
    monkeypatch.setattr(figures, "_finish", lambda *given: (drawn.append(given[1]), finish(*given)))
    sources = [run(seed, of_agent(RESULT, 60.0)) for seed in (0, 1)]
    figures.learning_figure(
        list(agents_of(sources).values()), settings_of(sources), ["rl3"], tmp_path / "a.png"
    )
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
    figures.adaptation_figure(
        settings_of([Source("a.json", [RESULT | {"results": named}])]), [], tmp_path / "a.png"
    )
    (figure,) = drawn
    figure.draw_without_rendering()
    assert figure.legends[0].get_window_extent().width <= figure.bbox.width
