"""Sweeps: candidates are trained as runs are alone, and compared on held-out tasks."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from rl3_jax import (
    ConfigError,
    Interrupted,
    NonFiniteError,
    Range,
    Run,
    SweepConfig,
    evaluate_run,
    sweep,
    train,
)
from rl3_jax.cli import main, parse
from rl3_jax.presets import make_config, vary
from rl3_jax.run import sweeps
from rl3_jax.run.agent import load_agent
from rl3_jax.run.folder import newest_iteration
from rl3_jax.run.tables import print_sweep
from tests.run import tiny

RATES = [1e-3, 1e-2]
GRID = SweepConfig(
    tiny.CONFIG, {"ppo.learning_rate": RATES, "ppo.epochs": [1, 2]}, num_seeds=2, halvings=1, num_tasks=30
)
"""Eight runs, of two programs."""
LONG = (
    "learning_rate", "learning_rate_final", "learning_rate_hold", "entropy_bonus", "entropy_bonus_final",
    "entropy_bonus_hold", "critic_coefficient", "critic_l2", "kl_limit", "gae_lambda", "max_grad_norm",
    "discount",
)  # fmt: skip
"""Fields whose names are long together."""


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """The folder of a sweep, and its result."""
    out = tmp_path_factory.mktemp("sweep")
    return out, sweep(GRID, out, progress=False)


def test_each_run_is_what_it_is_alone(grid, tmp_path):
    out, found = grid
    name = found["best"]["name"]
    (best,) = [candidate for candidate in GRID.candidates() if candidate.name == name]
    for path, config in best.runs(out, GRID.num_seeds):
        tiny.assert_same_outcome(Run(path), train(config, tmp_path / path.name, progress=False))


def test_the_better_half_trains_on(grid):
    out, found = grid
    first, last = found["rungs"]
    assert [rung["iterations"] for rung in found["rungs"]] == [6, 12]
    assert [entry["kept"] for entry in first["candidates"]] == [True] * 2 + [False] * 2
    assert [entry["kept"] for entry in last["candidates"]] == [True, False]
    for rung in found["rungs"]:
        returns = [entry["mean_return"] for entry in rung["candidates"]]
        assert returns == sorted(returns, reverse=True)
    for entry in first["candidates"]:
        for seed in (0, 1):
            done = newest_iteration(out / entry["name"] / f"seed{seed}" / "checkpoints")
            assert done == (12 if entry["kept"] else 6)


def test_figures_are_those_of_held_out_tasks(grid):
    """Of the tasks that candidates are compared on, and of others for the best."""
    out, found = grid
    chosen, best = found["rungs"][-1]["candidates"][0], found["best"]
    assert best["name"] == chosen["name"]
    assert best["folders"] == ["seed0", "seed1"]
    paths = [out / best["name"] / folder for folder in best["folders"]]
    for entry, seed in ((chosen, sweeps.CHOICE_SEED), (best, 0)):
        asked = {"num_tasks": GRID.num_tasks, "seed": seed}
        results = [evaluate_run(load_agent(path), **asked)["results"][0] for path in paths]
        assert entry["mean_return"] == pytest.approx(np.mean([x["mean_return"] for x in results]), abs=1e-3)
    assert chosen["mean_return"] != best["mean_return"]
    assert json.loads((out / "sweep.json").read_text()) == found


def test_what_differs_in_numbers_alone_is_trained_together(monkeypatch, tmp_path):
    sizes = []
    monkeypatch.setattr(sweeps, "_go_on", lambda runs, until, progress: sizes.append(len(runs)))
    with pytest.raises(NonFiniteError, match="all candidates diverged"):  # as nothing is trained
        sweep(dataclasses.replace(GRID, halvings=0), tmp_path, progress=False)
    assert sizes == [4, 4]


def test_a_sweep_that_was_stopped_goes_on(grid, tmp_path, monkeypatch):
    _, found = grid
    go_on, calls = sweeps._go_on, []

    def stopped(*arguments):
        calls.append(arguments)
        if len(calls) in (2, 4):
            raise Interrupted(2, "stopped")
        go_on(*arguments)

    monkeypatch.setattr(sweeps, "_go_on", stopped)
    for _ in range(2):
        with pytest.raises(Interrupted, match=r"everything is saved\. Go on with the same command"):
            sweep(GRID, tmp_path, progress=False)
    assert sweep(GRID, tmp_path, progress=False) == found
    trained = len(calls)
    assert sweep(GRID, tmp_path, progress=False) == found
    assert len(calls) == trained


@pytest.mark.slow
def test_an_agent_that_is_behind_its_checkpoint_is_not_compared(grid, tmp_path):
    """As after a kill between the two."""
    out, found = grid
    shutil.copytree(out, tmp_path / "copy")
    (tmp_path / "copy" / "sweep.json").unlink()
    kept = [entry["name"] for entry in found["rungs"][1]["candidates"]]
    for name in kept:
        shutil.rmtree(tmp_path / "copy" / name)
    dropped = [entry["name"] for entry in found["rungs"][0]["candidates"] if not entry["kept"]]
    shutil.rmtree(tmp_path / "copy" / dropped[0] / "seed1" / "agent")
    assert sweep(GRID, tmp_path / "copy", progress=False) == found


def test_a_signal_that_comes_too_late_for_a_program_stops_the_sweep(tmp_path, monkeypatch):
    monkeypatch.setattr(sweeps, "train_to_target", lambda members, visible: 15)
    with pytest.raises(Interrupted, match=r"everything is saved") as stop:
        sweep(GRID, tmp_path, progress=False)
    assert stop.value.signum == 15


def test_a_candidate_that_diverges_comes_last_and_is_given_up(tmp_path, capsys):
    config = SweepConfig(tiny.CONFIG, {"ppo.learning_rate": [1e30, 3e-3]}, num_tasks=20)
    found = sweep(config, tmp_path, progress=False)
    good, bad = found["rungs"][0]["candidates"]
    assert (good["diverged"], bad["diverged"], bad["kept"]) == (False, True, False)
    assert found["best"]["name"] == good["name"] == "ppo.learning_rate=0.003"
    print_sweep(found, tmp_path)
    assert "diverged" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("low", "high", "middle"),
    [
        (1e-5, 1e-1, 1e-3),
        (0.0, 1.0, 0.5),
        (-1.0, 3.0, 1.0),
        (0.9991, 0.9999, 0.9995),
        (0.2 + 1e-9, 0.3, 0.245),
    ],
)
def test_half_of_a_range_is_below_its_middle(low, high, middle):
    """In the middle of the exponents, if the ends are positive."""
    generator = np.random.default_rng(0)
    draws = np.array([Range(low, high).draw(generator) for _ in range(4000)])
    assert low <= draws.min() <= draws.max() <= high
    assert abs((draws < middle).mean() - 0.5) < 0.03
    assert len(set(draws)) > 500


def test_between_whole_numbers_only_such_are_drawn():
    generator = np.random.default_rng(0)
    assert {Range(1, 4).draw(generator) for _ in range(200)} == {1, 2, 3, 4}


def test_the_seed_decides_which_candidates_are_drawn():
    values = {"ppo.learning_rate": Range(1e-5, 1e-1), "ppo.epochs": [1, 2]}

    def drawn(seed):
        return [x.fields for x in SweepConfig(tiny.vary(seed=seed), values, samples=6).candidates()]

    assert len(drawn(0)) == 6
    assert {fields["ppo.epochs"] for fields in drawn(0)} == {1, 2}
    assert drawn(0) == drawn(0) != drawn(1)


def test_a_name_tells_the_candidate_exactly():
    values = {"ppo.learning_rate": Range(1e-5, 1e-1), "policy": ["gru", "markov"]}
    for candidate in SweepConfig(tiny.CONFIG, values, samples=4).candidates():
        fields = dict(part.split("=") for part in candidate.name.split(","))
        assert float(fields["ppo.learning_rate"]) == candidate.config.ppo.learning_rate
        assert fields["policy"] == candidate.config.policy.core.core


def test_the_order_of_the_fields_does_not_matter():
    turned = dataclasses.replace(GRID, values=dict(reversed(GRID.values.items())))
    assert list(turned.values) != list(GRID.values)
    assert {x.name for x in turned.candidates()} == {x.name for x in GRID.candidates()}
    drawn = [dataclasses.replace(x, samples=3).candidates() for x in (GRID, turned)]
    assert drawn[0] == drawn[1]


def test_equal_candidates_are_tried_once():
    assert len(SweepConfig(tiny.CONFIG, {"policy.input_layers": [[8], [8], [9]]}).candidates()) == 2
    assert len(SweepConfig(tiny.CONFIG, {"ppo.epochs": [1, 2]}, samples=9).candidates()) == 2


def test_method_policy_and_learner_are_varied_by_name():
    config = make_config("mdp-h100-quick")
    fields = {"method": "rl2", "policy": "gru", "ppo.clip": 0.3}
    assert vary(config, fields) == make_config(
        "mdp-h100-quick", method="rl2", policy="gru", ppo={"clip": 0.3}
    )
    with pytest.raises(ConfigError, match="unknown policy 'gr'"):
        vary(config, {"policy": "gr"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing is varied"),
        (["--vary", "ppo.clip"], "is not of the form FIELD=VALUE,VALUE"),
        (["--vary", "ppo.clip=a..b"], "the ends of a range are numbers"),
        (["--vary", "ppo.clip=0.1..0.2"], "say with --samples N"),
        (["--vary", "ppo.clip=0.2..0.1", "--samples", "2"], "the low end comes first"),
        (["--vary", "ppo.clip=0.1", "ppo.clip=0.2"], "names a field twice"),
        (["--vary", "ppo.clip=false..true"], "the ends of a range are numbers"),
        (["--vary", "policy=null"], "unknown policy 'None'"),
        (["--vary", *(f"ppo.{name}=0.125" for name in LONG)], "names of over 255 bytes"),
        (["--vary", "ppo.clipp=0.1"], "unknown field 'ppo.clipp'"),
        (["--vary", "ppo.clip=0.1,x"], "ppo.clip is 'x'; it must be a number"),
        (["--vary", "policy=gr"], "unknown policy 'gr'"),
        (["--vary", "abstraction=identity,has"], "unknown abstraction 'has'"),
        (
            ["--vary", "abstraction=identity", "abstraction.rows=9"],
            "unknown field 'abstraction.rows'; there is",
        ),
        (["--vary", "seed=0,1"], "seed cannot be varied: num_seeds"),
        (["--vary", "task.states=5,6"], "task.states cannot be varied"),
        (["--vary", "ppo.clip=0.1", "--samples", "0"], "samples is 0"),
        (["--vary", "ppo.clip=0.1", "--halvings", "9"], "halvings is 9; 400 iterations"),
        (["--vary", "ppo.clip=0.1", "--num-seeds", "0"], "num_seeds is 0"),
        (["--vary", "ppo.clip=0.1", "--num-tasks", "1"], "num_tasks is 1"),
    ],
)
def test_what_cannot_be_tried_is_refused(arguments, message, tmp_path, capsys):
    assert main(["sweep", "mdp-h100-quick", *arguments, "--out", str(tmp_path / "sweep")]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert tiny.tree(tmp_path) == []


def test_a_folder_of_something_else_is_left_alone(grid, tmp_path):
    out, _ = grid
    with pytest.raises(ConfigError, match="holds another sweep: num_seeds is 2 against 1; choose another"):
        sweep(dataclasses.replace(GRID, num_seeds=1), out)
    name = GRID.candidates()[0].name
    train(tiny.vary(iterations=1), tmp_path / name / "seed0", progress=False)
    with pytest.raises(ConfigError, match="holds a run of another configuration; choose another --out"):
        sweep(GRID, tmp_path)
    (tmp_path / "sweep.json").write_text("[]")
    with pytest.raises(ConfigError, match="is not what `rl3 sweep` writes; choose another --out"):
        sweep(GRID, tmp_path)


def test_a_field_without_values_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"ppo\.clip has no values"):
        sweep(dataclasses.replace(GRID, values={"ppo.clip": ()}), tmp_path)


def test_the_command_line_reads_values_and_prints_a_table(grid, capsys, monkeypatch):
    out, found = grid
    line = ["sweep", "mdp-h100-quick", "--vary", "ppo.learning-rate=1e-3,3e-3", "policy=gru"]
    command = parse([*line, "--samples", "3", "--num-seeds", "2"])
    assert command.folder.name == "mdp-h100-quick-rl3-markov-sweep"
    asked = command._asked()
    assert asked.values == {"ppo.learning_rate": [1e-3, 3e-3], "policy": ["gru"]}
    assert (asked.samples, asked.num_seeds, asked.halvings) == (3, 2, 0)
    monkeypatch.setattr("rl3_jax.run.commands.sweep", lambda asked, folder: found)
    dataclasses.replace(command, out=out).run()
    printed = capsys.readouterr().out
    assert f"{found['best']['mean_return']:.2f} ±" in printed
    assert str(out / found["best"]["name"] / "seed1") in printed.replace("\n", "")
    evaluation = evaluate_run(out / found["best"]["name"] / "seed0", num_tasks=20)
    assert evaluation["results"][0]["returns"]
