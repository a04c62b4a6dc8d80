"""What is shown of a run where the output is no terminal."""

import re

import pytest

from rl3_jax.run import progress

ROW = {"mean_return": 1.0, "steps_per_second": 10.0}


@pytest.mark.parametrize("done", [0, 20])
def test_the_time_that_is_left_follows_the_pace_of_this_process_however_slow_it_is(monkeypatch, capsys, done):
    now = iter(range(0, 4000, 40))
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(now))
    with progress.TrainProgress(100, visible=True) as shown:
        shown.phase("compiling", done)
        for iteration in range(done + 1, done + 5):
            shown.update(iteration, ROW)
    left = re.findall(r"(\d+) s left", capsys.readouterr().err)
    assert left == [str(40 * (100 - done - passed)) for passed in (2, 3, 4)]


def test_a_held_out_return_comes_with_its_iteration(capsys):
    with progress.TrainProgress(3, visible=True) as shown:
        shown.update(2, ROW | {"evaluation_return": 5.0})
        shown.update(3, ROW)
    *_, last = capsys.readouterr().err.splitlines()
    assert "iteration 3/3, return 1.0 (held-out 5.0 after 2)" in last
