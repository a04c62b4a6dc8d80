"""Runs: what they write, and that how they are cut into chunks and processes does not matter."""

import dataclasses
import json
import os
import shutil
import signal

import jax
import numpy as np
import pytest

from rl3_jax import ConfigError, Interrupted, NonFiniteError, Run, resume, train
from rl3_jax.run import folder as run_folder
from rl3_jax.run import loop, on_disk
from rl3_jax.run.folder import RunFolder
from rl3_jax.run.metrics import FIELDS
from rl3_jax.run.runs import resume_problems
from rl3_jax.training import EvaluationConfig
from tests.run import tiny


def test_metrics_have_exactly_the_fields_of_the_design(finished):
    lines = (finished.path / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line, parse_constant=pytest.fail) for line in lines]
    assert [row["iteration"] for row in rows] == list(range(1, 13))
    for row in rows:
        evaluated = row["iteration"] in (5, 10)
        assert list(row) == [name for name in FIELDS if evaluated or name != "evaluation_return"]
        assert row["steps"] == row["iteration"] * 8 * 10
    times = [row["wall_seconds"] for row in rows]
    assert times == sorted(times)


def test_the_folder_holds_what_the_design_says(finished):
    assert {path.name for path in finished.path.iterdir()} >= {
        "config.json",
        "metrics.jsonl",
        "checkpoints",
        "agent",
    }
    assert tiny.tree(finished.path / "agent") == ["actor.safetensors", "agent.json"]
    config = json.loads((finished.path / "config.json").read_text())
    assert set(config["versions"]) == {"rl3_jax", "python", "jax", "jaxlib", "flax", "optax"}
    assert config["device"]["platform"]
    assert run_folder.read_config_file(finished.path / "config.json") == tiny.CONFIG == finished.config


def test_chunks_do_not_change_the_result(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "chunk_length", lambda config, done, target, seconds: 1)
    single_steps = train(tiny.CONFIG, tmp_path / "run", progress=False)
    tiny.assert_same_outcome(finished, single_steps)


def test_n_and_n_iterations_are_2n(finished, tmp_path):
    folder = run_folder.create(tmp_path / "run", tiny.CONFIG, log=None)
    record = folder.read()
    on_disk.train_to_target([(folder, dataclasses.replace(record, target_iterations=6))], visible=False)
    tiny.assert_same_outcome(finished, resume(folder.path, 12, progress=False))


def test_a_run_can_be_extended_with_schedules_at_their_end(finished, tmp_path):
    run = train(tiny.CONFIG, tmp_path / "run", progress=False)
    run = resume(run.path, 15, progress=False)
    rows = run.metrics
    assert len(rows) == 15
    assert [row["learning_rate"] for row in rows[12:]] == [0.0] * 3
    assert tiny.timeless(rows[:12]) == tiny.timeless(finished.metrics)
    assert run.config == tiny.CONFIG
    assert len(resume(run.path, progress=False).metrics) == 15
    with pytest.raises(ConfigError, match="iterations is 14, but 15 are done"):
        resume(run.path, 14, progress=False)


def test_a_callback_sees_each_line_and_may_stop_the_run(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "chunk_length", lambda config, done, target, seconds: min(5, target - done))
    seen = []

    def stop_after_three(row):
        seen.append(row)
        return row["iteration"] == 3

    run = train(tiny.CONFIG, tmp_path / "run", progress=False, on_metrics=stop_after_three)
    assert [row["iteration"] for row in seen] == [1, 2, 3, 4, 5]  # the chunk was done
    assert seen == run.metrics
    assert run.load_agent().iteration == 5
    seen.clear()
    run = resume(run.path, progress=False, on_metrics=seen.append)
    assert [row["iteration"] for row in seen] == list(range(6, 13))
    tiny.assert_same_outcome(finished, run)


def test_without_a_folder_the_run_is_the_same_and_nothing_is_written(finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen = []
    run = train(tiny.CONFIG, progress=False, on_metrics=seen.append)
    assert seen == run.metrics
    timing = ("wall_seconds", "steps_per_second")
    ours, theirs = (
        [{name: value for name, value in row.items() if name not in timing} for row in one.metrics]
        for one in (run, finished)
    )
    assert ours == theirs
    kept, agent = finished.load_agent(), run.load_agent()
    assert (agent.iteration, agent.config, agent.env) == (12, kept.config, kept.env)
    jax.tree.map(np.testing.assert_array_equal, agent.params, kept.params)
    found = run.evaluate(num_tasks=4, seed=2, horizon=5, greedy=True)
    assert tiny.tree(tmp_path) == []
    shutil.copytree(finished.path, tmp_path / "run")
    assert found == Run(tmp_path / "run").evaluate(num_tasks=4, seed=2, horizon=5, greedy=True)
    with pytest.raises(ConfigError, match="num_tasks is 1"):
        run.evaluate(num_tasks=1)
    with pytest.raises(ConfigError, match="log and overwrite are for a run with a folder"):
        train(tiny.CONFIG, overwrite=True)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_without_a_folder_a_signal_stops_the_run_and_hands_over_what_is_learnt(signum):
    def interrupt(row):
        if row["iteration"] == 1:
            os.kill(os.getpid(), signum)

    with pytest.raises(Interrupted, match=r"stopped after iteration \d+ of 12; nothing is saved") as stop:
        train(tiny.CONFIG, progress=False, on_metrics=interrupt)
    run = stop.value.run
    assert stop.value.signum == signum
    assert 1 <= run.load_agent().iteration == len(run.metrics) < 12


def test_without_a_folder_a_loss_that_is_not_finite_says_that_nothing_is_saved(monkeypatch):
    monkeypatch.setattr(loop, "params_finite", lambda state: False)
    with pytest.raises(NonFiniteError, match="nothing is saved"):
        train(tiny.CONFIG, progress=False)


def test_a_held_out_evaluation_that_fails_costs_its_number_alone(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise ConfigError("state 7 is not in the table")

    monkeypatch.setattr(loop.training, "evaluate_trials", fail)
    with pytest.warns(UserWarning, match="iteration 5 was not evaluated: state 7 is not in the table"):
        run = train(tiny.CONFIG, tmp_path / "run", progress=False)
    assert len(run.metrics) == 12
    assert not any("evaluation_return" in line for line in run.metrics)


def test_a_target_is_noted_only_once_the_checkpoint_was_read(finished, tmp_path):
    shutil.copytree(finished.path, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    lines = folder.metrics.read_text()
    folder.metrics.write_text("")
    with pytest.raises(ConfigError, match="does not hold each iteration up to 12"):
        resume(folder.path, 13, progress=False)
    assert folder.read().target_iterations == 12
    folder.metrics.write_text(lines)
    (folder.path / ".actor.safetensors.tmp").write_text("torn")
    assert len(resume(folder.path, 13, progress=False).metrics) == 13
    assert folder.read().target_iterations == 13
    assert list(folder.path.glob(".*")) == []


def test_other_versions_are_pointed_out(finished, tmp_path, capsys):
    shutil.copytree(finished.path, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    record = folder.read()
    folder.write(dataclasses.replace(record, versions=record.versions | {"jax": "0.1"}))
    resume(folder.path, 13)
    assert "jax 0.1 -> " in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(finished, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert any("no permission" in problem for problem in resume_problems([finished.path], None))
    with pytest.raises(ConfigError, match="no permission"):
        resume(finished.path, progress=False)


def test_a_stop_before_the_first_iteration_does_not_claim_to_have_saved(tmp_path, monkeypatch):
    def stopped(self):
        self.signum = 2
        return self

    monkeypatch.setattr(loop.StopSignals, "__enter__", stopped)
    with pytest.raises(Interrupted, match=r"stopped before the first iteration\. Go on with: rl3 resume"):
        train(tiny.CONFIG, tmp_path / "run", progress=False)
    with pytest.raises(Interrupted, match=r"stopped before the first iteration; nothing is saved$"):
        train(tiny.CONFIG, progress=False)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path, capsys):
    # The step size is harmless in the first iteration and beyond float32's range of products in the second.
    ppo = dataclasses.replace(tiny.CONFIG.ppo, learning_rate=1e-30, learning_rate_final=1e38)
    config = tiny.vary(ppo=ppo, checkpoint_every=1, evaluation=EvaluationConfig(every=0))
    with pytest.raises(NonFiniteError, match=r"iteration 2; the last good checkpoint is .*/1\.safetensors$"):
        train(config, tmp_path / "run", progress=False)
    assert [json.loads(line)["iteration"] for line in (tmp_path / "run" / "metrics.jsonl").open()] == [1]
    assert tiny.final_state(tmp_path / "run").iteration == 1
    assert "NaN" not in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_parameters_that_are_not_finite_are_not_saved(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "params_finite", lambda state: False)
    with pytest.raises(NonFiniteError, match="no checkpoint had been saved"):
        train(tiny.CONFIG, tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / "agent").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_other_folders_are_never_replaced(tmp_path, overwrite):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="not empty and not a run folder"):
        train(tiny.CONFIG, tmp_path, overwrite=overwrite)
    assert tiny.tree(tmp_path) == ["config.json"]


def test_a_run_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "run"
    run_folder.create(path, tiny.CONFIG, log=None)
    (path / "notes.txt").write_text("mine")
    other = tiny.vary(seed=1)
    with pytest.raises(ConfigError, match=r"already holds a run; go on with `rl3 resume .*--overwrite"):
        train(other, path)
    assert train(other, path, overwrite=True, progress=False).config == other
    assert (path / "notes.txt").read_text() == "mine"


def test_all_problems_of_a_call_are_listed(tmp_path):
    (tmp_path / "file").write_text("")
    config = tiny.vary(horizon=0, iterations="many")
    with pytest.raises(ConfigError) as caught:
        train(config, tmp_path / "file" / "run", log="paper")
    assert [
        text in str(caught.value) for text in ("horizon is 0", "iterations is 'many'", "is a file", "'paper'")
    ] == [True] * 4


def test_a_checkpoint_of_another_configuration_is_refused(finished, tmp_path):
    other = run_folder.create(tmp_path / "run", tiny.vary(seed=3), log=None)
    (finished.path / "checkpoints").rename(other.checkpoints)
    try:
        before = tiny.tree(other.path)
        with pytest.raises(ConfigError, match=r"another configuration than config.json: seed is 0 against 3"):
            resume(other.path, progress=False)
        assert tiny.tree(other.path) == before
    finally:
        other.checkpoints.rename(finished.path / "checkpoints")


def test_two_processes_do_not_train_in_one_folder(tmp_path):
    folder = run_folder.create(tmp_path / "run", tiny.CONFIG, log=None)
    with folder.lock(), pytest.raises(ConfigError, match="another process is training"):
        resume(folder.path, progress=False)


@pytest.mark.parametrize(
    ("done", "seconds", "expected"),
    [
        (0, float("inf"), 1),
        (0, 0.001, 20),
        (15, 0.001, 5),
        (20, 0.001, 10),
        (0, 0.1, 10),
        (0, 5.0, 1),
        (98, 0.001, 1),
    ],
)
def test_chunks_take_a_second_and_end_where_something_is_due(done, seconds, expected):
    config = tiny.vary(checkpoint_every=30, evaluation=EvaluationConfig(every=20))
    assert loop.chunk_length(config, done, 99, seconds) == expected
