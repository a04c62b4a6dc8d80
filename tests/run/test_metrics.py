"""`metrics.jsonl`, also after crashes."""

import json

import numpy as np
import pytest

from rl3_jax import ConfigError
from rl3_jax.run import metrics
from rl3_jax.run.progress import TrainProgress
from tests.run import tiny


def write(path, iterations, tail=""):
    path.write_text("".join(json.dumps({"iteration": i}) + "\n" for i in iterations) + tail)


def test_lines_after_the_checkpoint_and_a_torn_one_are_dropped(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, [1, 2, 3], '{"iteration": 4, "ste')
    assert [row["iteration"] for row in metrics.read(path)] == [1, 2, 3]
    assert [row["iteration"] for row in metrics.truncate(path, 2)] == [1, 2]
    assert path.read_text() == '{"iteration": 1}\n{"iteration": 2}\n'
    assert tuple(tmp_path.iterdir()) == (path,)


def test_a_line_without_its_end_is_torn(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(path, [1], '{"iteration": 2}')
    assert len(metrics.read(path)) == 1


def test_no_file_means_no_lines(tmp_path):
    assert metrics.truncate(tmp_path / "metrics.jsonl", 0) == []


@pytest.mark.parametrize("iterations", [[1, 3], [1, 1, 2, 3], []])
def test_missing_lines_are_an_error(tmp_path, iterations):
    path = tmp_path / "metrics.jsonl"
    write(path, iterations)
    with pytest.raises(ConfigError, match="does not hold each iteration up to 3"):
        metrics.truncate(path, 3)


def test_a_number_that_is_undefined_is_null():
    values = {"iteration": np.int64(1), "explained_variance": np.float32("nan"), "kl": np.float32(0.1)}
    line = json.dumps(metrics.make_row(tiny.CONFIG, values))
    assert line == '{"iteration": 1, "kl": 0.1, "explained_variance": null}'


def test_a_summary_stands_after_the_fields_of_any_run():
    names = ("found", "goals", "dangers", "first_goal_step", "still")
    assert metrics.fields(tiny.CONFIG) == metrics.FIELDS
    held_out = tuple(f"evaluation_{name}" for name in names)
    assert metrics.fields(tiny.GRID) == metrics.FIELDS + names + held_out
    finite = dict.fromkeys(metrics.MUST_BE_FINITE, np.float32(0.5))
    values = finite | dict.fromkeys(names, np.float32("nan"))
    assert metrics.non_finite(values) == ""
    assert metrics.make_row(tiny.GRID, values)["first_goal_step"] is None


def test_the_metrics_of_gridworlds_sum_up_their_trials(finished_grid):
    rows = finished_grid[0].metrics
    held_out = [f"evaluation_{name}" for name in tiny.GRID.task.summary_names]
    for row in rows:
        evaluated = row["iteration"] in (2, 4)
        assert list(row) == [
            name
            for name in metrics.fields(tiny.GRID)
            if evaluated or name not in ("evaluation_return", *held_out)
        ]
        assert 0.0 <= row["found"] <= row["goals"] <= 1.0
        assert 0.0 < row["still"] < 1.0
        assert (row["first_goal_step"] is None) == (row["found"] == 0.0)
    assert any(row["first_goal_step"] is None for row in rows)
    assert 0.0 < rows[1]["evaluation_still"] < 1.0


def test_the_progress_line_shows_what_the_family_asks_for(finished_grid, capsys):
    assert "found 0.00, goals 0.00, " in finished_grid[1]
    row = {
        "mean_return": -20.5,
        "steps_per_second": 1234.0,
        "found": 0.468,
        "goals": 3.44,
        "first_goal": None,
    }
    with TrainProgress(2, visible=True, names=("found", "goals", "first_goal")) as progress:
        progress.update(1, row | {"evaluation_return": 3.0})
    figures = "return -20.5 (held-out 3.0 after 1), found 0.47, goals 3.4, first goal –, 1,234 steps/s"
    assert capsys.readouterr().err.splitlines() == [f"iteration 1/2, {figures}"]
    with TrainProgress(2, visible=True) as progress:
        progress.update(1, row)
    assert "found" not in capsys.readouterr().err
