"""`metrics.jsonl` after crashes."""

import json

import numpy as np
import pytest

from rl3_jax import ConfigError
from rl3_jax.run import metrics


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
    assert json.dumps(metrics.make_row(values)) == '{"iteration": 1, "kl": 0.1, "explained_variance": null}'
