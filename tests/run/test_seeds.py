"""Several seeds in one program: each is a run like any other."""

import dataclasses
import os
import re
import shutil
import signal

import jax
import pytest

from rl3_jax import (
    ConfigError,
    Interrupted,
    NonFiniteError,
    resume,
    resume_seeds,
    train,
    train_seeds,
    training,
)
from rl3_jax.cli import main, parse
from rl3_jax.run import folder as run_folder
from rl3_jax.run import loop, machine, program
from rl3_jax.run.folder import checkpoint_file, checkpoint_files, newest_iteration
from tests.run import tiny
from tests.trees import assert_close

SEEDS = 3


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    return train_seeds(tiny.CONFIG, [folder / str(seed) for seed in range(SEEDS)], progress=False)


def test_the_lines_of_all_runs_are_handed_over_and_may_stop_them_all(together, tmp_path):
    outs, seen = [tmp_path / str(seed) for seed in range(2)], []
    runs = train_seeds(tiny.CONFIG, outs, progress=False, on_metrics=lambda row: seen.append(row) or True)
    assert seen == runs[0].metrics + runs[1].metrics
    assert 0 < len(seen) < 2 * tiny.CONFIG.iterations
    stopped = len(seen)
    runs = resume_seeds(outs, progress=False, on_metrics=seen.append)
    assert len(seen) == 2 * tiny.CONFIG.iterations
    assert [row["iteration"] for row in seen[stopped:]].count(tiny.CONFIG.iterations) == 2
    for one, other in zip(together, runs, strict=False):
        tiny.assert_same_outcome(one, other)


def copies(runs, folder):
    """The folders of runs, copied."""
    return [shutil.copytree(run.path, folder / run.path.name) for run in runs]


def test_on_a_cpu_each_seed_is_what_it_is_alone(together, tmp_path):
    for seed, run in enumerate(together):
        alone = train(tiny.vary(seed=seed), tmp_path / str(seed), progress=False)
        assert run.config == alone.config
        tiny.assert_same_outcome(run, alone)


def test_runs_that_are_behind_catch_up_first(together, tmp_path):
    """As after kills between the checkpoints of two runs."""
    paths = copies(together, tmp_path)
    for iteration in (8, 12):
        checkpoint_file(paths[1] / "checkpoints", iteration).unlink()
    checkpoint_file(paths[2] / "checkpoints", 12).unlink()
    resumed = resume_seeds(paths, progress=False)
    assert [newest_iteration(path / "checkpoints") for path in paths] == [12] * SEEDS
    for run, before in zip(resumed, together, strict=True):
        tiny.assert_same_outcome(run, before)


def test_a_run_without_a_whole_checkpoint_leaves_all_as_they_were(together, tmp_path):
    paths = copies(together, tmp_path)
    for path in checkpoint_files(paths[1] / "checkpoints"):
        path.write_bytes(path.read_bytes()[:-1])
    checkpoint_file(paths[0] / "checkpoints", 12).unlink()
    before = [tiny.tree(path) for path in paths]
    with pytest.raises(ConfigError, match=r"1/checkpoints/12\S* is damaged(.|\n)*has no checkpoint to go on"):
        resume_seeds(paths, progress=False)
    assert [tiny.tree(path) for path in paths] == before


def test_a_damaged_checkpoint_does_not_stop_its_run(together, tmp_path, capsys):
    paths = copies(together, tmp_path)
    newest = checkpoint_file(paths[1] / "checkpoints", 12)
    newest.write_bytes(b"")
    resumed = resume_seeds(paths)
    assert re.search(r"1/checkpoints/12\S* is damaged .*going on from \S*8.safet", capsys.readouterr().err)
    assert [path.read_bytes() for path in newest.parent.glob("12.*.damaged-*")] == [b""]
    for run, before in zip(resumed, together, strict=True):
        tiny.assert_same_outcome(run, before)


def test_runs_that_share_no_program_are_not_resumed_together(together, tmp_path):
    other = tiny.vary(ppo=dataclasses.replace(tiny.CONFIG.ppo, epochs=1), iterations=1)
    paths = [together[0].path, train(other, tmp_path / "other", progress=False).path]
    with pytest.raises(ConfigError, match="do not share a program"):
        resume_seeds(paths)
    with pytest.raises(ConfigError, match="name at least one run folder"):
        resume_seeds([])


def test_what_cannot_be_trained_together_is_refused(tmp_path):
    outs = [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(ConfigError, match="seed is -1"):
        train_seeds(tiny.vary(seed=-1), outs)
    with pytest.raises(ConfigError, match="seed is 4294967296"):
        train_seeds(tiny.vary(seed=2**32 - 1), outs)
    with pytest.raises(ConfigError, match="seed is '1'"):
        train_seeds(tiny.vary(seed="1"), outs)
    with pytest.raises(ConfigError, match="at least 1 run is needed"):
        train_seeds(tiny.CONFIG, [])
    assert tiny.tree(tmp_path) == []


def test_a_seed_that_diverges_is_kept_no_longer_and_the_others_go_on(tmp_path, monkeypatch):
    def finite(state):
        key = jax.random.key_data(state.key)
        return not (key == jax.random.key_data(jax.random.key(1))).all() or state.iteration <= 4

    monkeypatch.setattr(loop, "params_finite", finite)
    with pytest.raises(NonFiniteError, match=r"the parameters after iteration \d+ are not finite.*1/checkp"):
        train_seeds(tiny.CONFIG, [tmp_path / str(seed) for seed in range(SEEDS)], progress=False)
    assert [newest_iteration(tmp_path / str(seed) / "checkpoints") for seed in range(SEEDS)] == [12, 4, 12]


def test_a_signal_stops_the_others_after_one_has_diverged(tmp_path, monkeypatch):
    def finite(state):
        if (
            state.iteration <= 4
            or (jax.random.key_data(state.key) != jax.random.key_data(jax.random.key(1))).any()
        ):
            return True
        os.kill(os.getpid(), signal.SIGTERM)
        return False

    monkeypatch.setattr(loop, "params_finite", finite)
    with pytest.raises(Interrupted, match=r"are not finite.*; stopped after iteration \d+ of 12.*rl3 resume"):
        train_seeds(tiny.CONFIG, [tmp_path / str(seed) for seed in range(SEEDS)], progress=False)
    done = [newest_iteration(tmp_path / str(seed) / "checkpoints") for seed in range(SEEDS)]
    assert done[0] == done[2]
    assert 4 <= done[0] < 12


def test_no_run_is_replaced_where_another_cannot_be(together, tmp_path):
    paths = copies(together, tmp_path)
    before = [tiny.tree(path) for path in paths]
    with (
        run_folder.RunFolder(paths[2]).lock(),
        pytest.raises(ConfigError, match="another process is training"),
    ):
        train_seeds(tiny.CONFIG, paths, overwrite=True, progress=False)
    with pytest.raises(ConfigError, match="a folder is named twice"):
        train_seeds(tiny.CONFIG, [paths[0], paths[0]], overwrite=True, progress=False)
    assert [tiny.tree(path) for path in paths] == before


def test_runs_that_end_at_different_iterations_are_told_where_to_end(together, tmp_path):
    paths = copies(together[:2], tmp_path)
    resume(paths[0], 13, progress=False)
    with pytest.raises(ConfigError, match="say with --iterations N where all are to end"):
        resume_seeds(paths, progress=False)
    resume_seeds(paths, 13, progress=False)
    assert [newest_iteration(path / "checkpoints") for path in paths] == [13, 13]


def test_side_by_side_they_learn_what_they_learn_one_by_one():
    """As an accelerator trains them; sums in another order, so not bit for bit."""
    config, hypers = tiny.CONFIG, [training.hyper_of(tiny.CONFIG)] * SEEDS

    def states():
        return [training.init(config, jax.random.key(seed)) for seed in range(SEEDS)]

    one_by_one = program.compile_chunk(config, SEEDS)
    assert one_by_one.compiled is program.compile_chunk(config).compiled
    place = states()[0].iteration.sharding
    side_by_side = program.Program(program.compile_steps(training.program_of(config), SEEDS, place), None)
    (one, metrics), (other, others) = (x.train(hypers, states(), 2) for x in (one_by_one, side_by_side))
    for state, same in zip(one, other, strict=True):
        assert_close(state.learnt.params, same.learnt.params, atol=1e-4)
    assert_close(metrics, others, atol=1e-3)


def test_the_command_names_a_folder_for_each_seed(tmp_path):
    line = ["train", "bandit-h100-quick", "--seed", "4", "--num-seeds", "2"]
    names = [f"bandit-h100-quick-rl3-mingru-seed{seed}" for seed in (4, 5)]
    assert [path.name for path in parse(line).folders] == names
    inside = parse([*line, "--out", str(tmp_path / "both")]).folders
    assert inside == [tmp_path / "both" / "seed4", tmp_path / "both" / "seed5"]


@pytest.mark.parametrize("number", [0, -2])
def test_at_least_one_seed_is_trained(number, tmp_path, capsys):
    line = ["bandit-h100-quick", "--num-seeds", str(number), "--out", str(tmp_path / "none")]
    for command in ("train", "plan"):
        assert main([command, *line]) == 2
        assert f"num_seeds is {number}; at least 1" in " ".join(capsys.readouterr().err.split())


def test_threads_are_as_many_as_runs_cores_and_memory_allow(monkeypatch):
    each = machine.program_bytes(program.compile_chunk(tiny.CONFIG).compiled, arguments=False)
    monkeypatch.setattr(program, "num_cores", lambda: 4)
    for available, threads in ((None, 4), (each // 2, 1), (int(2.5 * each), 2), (100 * each, 4)):
        monkeypatch.setattr(program, "available_bytes", lambda available=available: available)
        assert program.compile_chunk(tiny.CONFIG, 8).threads == threads
    assert program.compile_chunk(tiny.CONFIG, SEEDS).threads == SEEDS
