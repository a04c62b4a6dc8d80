"""The benchmarks run, and their JSON says what was asked; their peers are given no easier task."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rl3_jax import CORES, ConfigError, make_config
from tests.reference import outer

FOLDER = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(FOLDER))

import accelerators  # noqa: E402
import common  # noqa: E402
import cores  # noqa: E402
import on_device  # noqa: E402
import peers  # noqa: E402
import peers_jax  # noqa: E402
import peers_own  # noqa: E402
import recipes  # noqa: E402
import returns  # noqa: E402
import scaling  # noqa: E402
import throughput  # noqa: E402
import value_quality  # noqa: E402
import write_readme  # noqa: E402
from peers_setting import Setting  # noqa: E402

TINY = Setting(tasks=8, horizon=6, width=8, epochs=2, minibatches=2)
MACHINE = {"benchmark", "device", "processor_share", "processor", "cores", "versions", "results"}


def run(*arguments):
    """Run a benchmark, with programs that compile fast, in an order of magnitude of ten seconds."""
    root = str(FOLDER.parent)
    environment = {"XLA_FLAGS": "--xla_backend_optimization_level=0"} | os.environ | {"PYTHONPATH": root}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=FOLDER,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )


def results_of(path, benchmark, keys=MACHINE):
    """Return the results in a benchmark's JSON."""
    written = json.loads(path.read_text())
    assert written.keys() >= keys
    assert written["benchmark"] == benchmark
    return written["results"]


@pytest.mark.slow
def test_peers_trains_all_and_tells_who_is_missing(tmp_path):
    fields = ("tasks", "horizon", "width", "minibatches")
    sizes = [f"--setting.{name}={getattr(TINY, name)}" for name in fields]
    contestants = ["jax", "rl3_jax:markov", "purejaxrl"]
    arguments = ["--rounds", 2, "--iterations", 1, "--json", tmp_path / "out.json", *sizes]
    done = run("peers.py", *contestants, *arguments)
    assert done.returncode == 0, done.stderr
    assert "name a checkout with --purejaxrl" in done.stderr
    results = results_of(tmp_path / "out.json", "peers")
    assert [result["contestant"] for result in results] == contestants[:2]
    for result in results:
        assert len(result["each_round"]) == 2
        assert sorted(result["each_round"])[0] <= result["steps_per_second"] <= max(result["each_round"])
        assert 0.0 <= result["last_return"] <= TINY.horizon
    assert results[0]["ratio_to_jax"] == 1.0
    report = json.loads((tmp_path / "out.json").read_text())
    assert report["iterations"] == 3
    assert results[0]["share_of_ceiling"] < 1.0 < report["matmul_gflops"]
    assert "| rl3_jax:markov |" in done.stdout


def test_cores_times_each_part(tmp_path):
    arguments = ["--tasks", 2, "--width", 8, "--horizons", 8, "--rounds", 1, "--json", tmp_path / "out.json"]
    done = run("cores.py", "markov", "gru", *arguments)
    assert done.returncode == 0, done.stderr
    markov, gru = results_of(tmp_path / "out.json", "cores")
    assert (markov["core"], gru["core"], gru["horizon"]) == ("markov", "gru", 8)
    assert (markov["carry_bytes"], gru["carry_bytes"]) == (0, 8 * 4)
    assert gru["activation_mib"] > 0.0
    for kind in cores.KINDS:
        assert markov[f"{kind}_us"] > 0.0
        assert markov[f"{kind}_ratio"] > 0.0
        assert gru[f"{kind}_ratio"] == 1.0


def test_cores_leaves_out_what_does_not_fit_the_memory(capsys):
    options = cores.Options(tasks=2, width=8, memory_limit=0.0)
    _, runs = cores.prepare(options, "gru", 4)
    assert "gradient" not in runs
    assert "gru, H = 4: gradient needs" in capsys.readouterr().err


@pytest.mark.slow
def test_value_quality_acts_on_the_values_of_each_model(tmp_path):
    """With the clairvoyant to the end all models come to the same; greedy, they do not."""
    models = ["met:tolerance=0,max_sweeps=4", "all:tolerance=0,max_sweeps=4"]
    sizes = ["--horizon", 60, "--num-tasks", 4, "--goals", 1, 60]
    done = run("value_quality.py", "--models", *models, *sizes, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    results = results_of(tmp_path / "out.json", "value_quality", MACHINE - {"processor_share"})
    assert [(x["model"], x["goals"]) for x in results] == [(m, g) for m in models for g in (1, 60)]
    (met, watched), (every, same) = results[:2], results[2:]
    assert watched | {"model": ""} == same | {"model": ""}
    assert (watched["switch_step"], watched["return_after"], watched["goals_after"]) == (60, 0, 0)
    assert met["switch_step"] == every["switch_step"] < 60
    assert met["return_after"] != every["return_after"]
    assert met["mean_return"] < watched["mean_return"]


@pytest.mark.slow
def test_learners_are_set_beside_rl2(tmp_path):
    sizes = ["--set", "ppo.epochs=1", "--millions", 0.04, "--seeds", 0, 1, "--num-tasks", 8, "--repeats", 1]
    sizes += ["--json", tmp_path / "out.json"]
    done = run("learners.py", "point-robot-h100-quick", "--learners", "kernel", "useless", *sizes)
    assert done.returncode == 0, done.stderr
    rl2, kernel, useless = results_of(tmp_path / "out.json", "learners")
    assert [row["learner"] for row in (rl2, kernel, useless)] == ["rl2", "kernel", "useless"]
    means = zip(kernel["mean_returns"], rl2["mean_returns"], kernel["paired"], strict=True)
    for own, base, (difference, error) in means:
        assert difference == pytest.approx(own - base, abs=1e-3)
        assert error > 0.0
    assert 0.0 < kernel["share"] < 1.0
    assert kernel["microseconds"] > 0.0
    assert "| point-robot-h100-quick | kernel |" in done.stderr


@pytest.mark.slow
def test_xland_is_trained_without_a_checkout(tmp_path):
    pytest.importorskip("xminigrid", reason="needs the extra xland")
    sizes = ["--trials", 32, "--horizon", 32, "--benchmark", "", "--repeats", 1]
    done = run("xland.py", *sizes, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    assert "does not take part: name its folder with --xland" in done.stderr
    rl2, rl3 = results_of(tmp_path / "out.json", "xland")
    assert (rl2["trainer"], rl3["trainer"]) == ("rl3_jax, rl2", "rl3_jax, rl3")
    assert min(rl2["steps_per_second"], rl3["steps_per_second"]) > 0
    assert rl2["parameters"] < rl3["parameters"]
    astray = run("xland.py", *sizes, "--xland", tmp_path)
    assert astray.returncode == 1
    assert "has no train_meta_task.py" in astray.stderr


@pytest.mark.slow
def test_throughput_tells_where_the_time_goes(tmp_path):
    small = ["ppo.trials=4", "ppo.minibatch_trials=2", "ppo.epochs=1", "policy.width=8"]
    arguments = ["--methods", "rl3", "--policies", "markov", "--horizons", 5, "--seconds", 0.01]
    done = run(
        "throughput.py",
        "bandit-h100-quick",
        *arguments,
        *["--repeats", 1, "--json", tmp_path / "out.json", "--set", *small],
    )
    assert done.returncode == 0, done.stderr
    [result] = results_of(tmp_path / "out.json", "throughput")
    assert (result["method"], result["policy"], result["horizon"]) == ("rl3", "markov", 5)
    assert result["steps_per_iteration"] == 4 * 5
    assert result["steps_per_second"] > 0
    assert result["rollout_share"] + result["update_share"] == pytest.approx(1.0)
    assert "object_rl_share" in result


def test_a_process_tells_its_own_peak_and_not_that_of_who_started_it():
    if not Path("/proc/self/status").exists():
        pytest.skip("needs Linux")
    child = "import common; print(common.peak_memory_mib())"
    parent = f"import subprocess, sys; x = b'1' * 2**30; subprocess.run([sys.executable, '-c', {child!r}])"
    done = run("-c", parent)
    assert 10.0 < float(done.stdout) < 1024.0, done.stderr


def test_a_failed_process_is_heard(capfd):
    case = throughput.Case("mdp-h100-quick", None, "rl3", None, ("ppo.trials=3",))
    with pytest.raises(subprocess.CalledProcessError):
        throughput.peak_memory_of(case)
    assert "minibatch_trials is 32, which does not divide" in capfd.readouterr().err


def test_threads_are_limited_only_on_one_core(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert peers.environment(peers.Options(core=-1))["OMP_NUM_THREADS"] == "3"
    monkeypatch.setattr(os, "sched_setaffinity", None, raising=False)
    assert peers.environment(peers.Options())["OMP_NUM_THREADS"] == "1"


@pytest.mark.slow
def test_returns_trains_and_evaluates(tmp_path):
    small = ["ppo.trials=4", "ppo.minibatch_trials=2", "ppo.epochs=1", "policy.width=8", "horizon=5"]
    arguments = ["--methods", "rl2", "--policies", "markov", "--seconds", 0.001, "--num-tasks", 4]
    done = run(
        "returns.py", "bandit-h100-quick", *arguments, "--json", tmp_path / "out.json", "--set", *small
    )
    assert done.returncode == 0, done.stderr
    [result] = results_of(tmp_path / "out.json", "returns")
    assert (result["method"], result["policy"], result["asked_seconds"]) == ("rl2", "markov", 0.001)
    assert result["iterations"] >= 1
    assert result["train_seconds"] >= 0.0
    assert 0.0 <= result["mean_return"] <= 5.0


def test_throughput_compares_what_is_else_equal():
    """Seconds an iteration of rl2 and rl3, each with H = 10 and 40: 2 and 4, 10 and 40."""
    cases = [("rl2", 10), ("rl3", 10), ("rl2", 40), ("rl3", 40)]
    results = [{"preset": "x", "policy": "gru", "method": m, "horizon": h} for m, h in cases]
    times = {(index, "whole"): [seconds] for index, seconds in enumerate((2.0, 4.0, 10.0, 40.0))}
    configs = [make_config("mdp-h100-quick", horizon=h) for _, h in cases]
    throughput.compare(results, times, configs)
    assert [result["ratio_to_rl2"] for result in results] == [1.0, 0.5, 1.0, 0.25]
    assert [result["ratio_to_shortest"] for result in results] == [1.0, 1.0, 0.8, 0.4]


def test_mistakes_are_told():
    with pytest.raises(SystemExit, match="unknown contestant 'tensorflow'; choose from: rl3_jax:"):
        peers.start(peers.Options(contestants=("tensorflow",)))
    with pytest.raises(SystemExit, match="name one of trials, minibatch_trials"):
        common.override(make_config("mdp-h100-quick"), "ppo.trails=3")
    with pytest.raises(SystemExit, match="unknown policy 'lstm'"):
        common.core_variant("lstm")
    case = throughput.Case("mdp-h100-quick", None, "rl3", None, ("ppo.trials=3",))
    with pytest.raises(SystemExit, match="minibatch_trials is 32, which does not divide"):
        throughput.configure(case)
    for model, message in {
        "some": "unknown states 'some'; choose from: all, met",
        "met:smoothing=0": "or learner.untried stay",
        "met:untried=go": "unknown learner.untried 'go'",
    }.items():
        with pytest.raises(SystemExit, match=message):
            value_quality.configure(value_quality.Options(), model)
    options = returns.Options("mdp-h100-quick", set=("ppo.trials=3",))
    with pytest.raises(SystemExit, match="minibatch_trials is 32, which does not divide"):
        returns.configure(options, "rl3", "markov")


def test_a_field_is_set_by_name():
    config = make_config("mdp-h100-quick")
    assert common.override(config, "ppo.trials=64").ppo.trials == 64
    assert common.override(config, "policy.shared_trunk=true").policy.shared_trunk is True
    assert common.override(config, "ppo.segment_carries=stored").ppo.segment_carries == "stored"
    assert config.ppo.trials == 128


def test_ratios_are_medians_of_each_round():
    assert common.median_ratio([1.0, 20.0, 3.0], [2.0, 5.0, 3.0]) == 1.0
    order = []
    times = common.in_turn({name: lambda name=name: order.append(name) for name in "ab"}, rounds=2)
    assert order == ["a", "b", "a", "b"]
    assert [len(seconds) for seconds in times.values()] == [2, 2]


def test_the_plain_peer_estimates_the_same_advantages():
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=(2, TINY.horizon, TINY.tasks)).astype(np.float32)
    trajectory = peers_jax.Trajectory(*[None] * 3, values=values, rewards=rewards)
    found = peers_jax.advantages_of(TINY, trajectory)
    for b in range(TINY.tasks):
        expected = outer.gae(rewards[:, b], values[:, b], TINY.discount, TINY.gae_lambda)
        np.testing.assert_allclose(found[:, b], expected, rtol=1e-5, atol=1e-5)


def test_the_plain_peer_has_as_much_to_compute():
    """The same network, but for the input that tells the step within an episode: 0 on bandits."""
    network = peers_own.configure(TINY, "gru").network
    own = jax.eval_shape(network.init, jax.random.key(0))
    peer = peers_jax.ActorCritic(TINY.width, TINY.arms)
    params = peer.init(jax.random.key(0), jnp.zeros((1, TINY.width)), jnp.zeros((1, 1, TINY.arms + 3)))
    sizes = [sum(x.size for x in jax.tree.leaves(tree)) for tree in (own, params)]
    assert sizes[0] - sizes[1] == TINY.width
    trajectory = peers_jax.rollout(TINY, peer, params, jax.random.key(1))
    assert trajectory.observations.shape == (TINY.horizon, TINY.tasks, network.observation_size - 1)
    first, second = trajectory.observations[:2, 0]
    np.testing.assert_array_equal(first, [0, 0, 0, 0, 0, 0, 1, 0])
    expected = np.zeros(8)
    expected[[trajectory.actions[0, 0], 5, 7]] = 1.0, trajectory.rewards[0, 0], 1 / TINY.horizon
    np.testing.assert_allclose(second, expected)


@pytest.mark.parametrize("core", CORES)
def test_every_core_fits_the_setting_of_the_peers(core):
    config = peers_own.configure(Setting(), core)
    assert config.policy.shared_trunk
    assert config.steps_per_iteration == Setting().steps == 25600
    assert config.ppo.num_minibatches == 8


def test_a_table_takes_its_place_on_the_page():
    page = "a\n<!-- cores -->\nold\n<!-- /cores -->\nb\n"
    rows = [{"core": "gru", "us": 1.25, "n": 12345}, {"core": "mingru", "us": None, "n": 7}]
    table = common.markdown(rows, {"core": "core", "us": "µs", "n": "n"})
    assert table.splitlines()[1:] == [
        "| --- | ---: | ---: |",
        "| gru | 1.25 | 12 345 |",
        "| mingru | – | 7 |",
    ]
    found = write_readme.insert(page, "cores", table)
    assert found == f"a\n<!-- cores -->\n\n{table}\n\n<!-- /cores -->\nb\n"
    assert write_readme.insert(found, "cores", table) == found
    with pytest.raises(SystemExit, match="no marks"):
        write_readme.insert(page, "peers", table)


def test_files_of_one_machine_make_one_table():
    report = {
        "benchmark": "returns",
        "device": {"platform": "cpu", "kind": "cpu", "count": 1},
        "processor": "Z80",
        "cores": 1,
        "versions": {"jax": "0.10.2", "python": "3.11.7"},
        "options": {"set": []},
    }
    gru = report | {"processor_share": 0.98, "results": [{"policy": "gru", "mean_return": 1.0}]}
    mingru = report | {"processor_share": 0.95, "results": [{"policy": "mingru", "mean_return": 2.0}]}
    table = write_readme.section(write_readme.joined({"a.json": gru, "b.json": mingru}))
    assert table.splitlines() == [
        "Z80, one core, jax 0.10.2, Python 3.11.7; the programs had at least 95 % of the core.",
        "",
        "| policy | return |",
        "| --- | ---: |",
        "| gru | 1 |",
        "| mingru | 2 |",
    ]
    alone = write_readme.section(write_readme.joined({"a.json": gru}))
    assert "the programs had 98 % of the core" in alone
    without = {key: value for key, value in mingru.items() if key != "processor_share"}
    assert "of the core" not in write_readme.section(write_readme.joined({"a.json": gru, "b.json": without}))
    other = mingru | {"processor": "6502", "options": {"set": ["ppo.trials=64"]}}
    with pytest.raises(SystemExit, match="no table together: options, processor differ"):
        write_readme.joined({"a.json": gru, "b.json": other})


@pytest.mark.parametrize("name", recipes.VARIANTS)
def test_a_variant_of_the_recipe_is_valid_and_another(name):
    config = recipes.configure(recipes.Options(), name, seed=3)
    config.validate()
    assert config.seed == 3
    assert abs(config.iterations * config.steps_per_iteration - 16e6) < config.steps_per_iteration
    assert (config == recipes.configure(recipes.Options(), "recipe", seed=3)) == (name == "recipe")


@pytest.mark.slow
def test_recipes_trains_what_is_missing_and_shows_all(tmp_path, monkeypatch, capsys):
    tiny = {"policy": {"core": {"core": "markov"}}, "horizon": 9}
    sizes = {"trials": 8, "minibatch_trials": 4}
    monkeypatch.setattr(
        recipes,
        "VARIANTS",
        {"recipe": tiny | {"ppo": sizes}, "clip 0.1": tiny | {"ppo": sizes | {"clip": 0.1}}},
    )
    figure, where = tmp_path / "figure.png", Path("gridworld-11x11-quick") / "rl2" / "0.000144M"
    line = ["recipes.py", "--method", "rl2", "--steps", "0.000144", "--num-tasks", "4", "--figure", figure]
    line += ["--out", tmp_path / "runs", "--results", tmp_path / "results"]
    runs, results = tmp_path / "runs" / where, tmp_path / "results" / where

    def table(*more):
        monkeypatch.setattr(sys, "argv", [str(argument) for argument in (*line, *more)])
        recipes.main()
        rows = [row.strip("| ") for row in capsys.readouterr().out.splitlines() if row.startswith("| ")]
        return [[cell.strip() for cell in row.split("|")] for row in rows[2:]]

    (alone,) = table("--variants", "recipe", "--seeds", "0")
    earned = json.loads((results / "recipe-0.json").read_text())
    assert float(alone[1]) == pytest.approx(earned["return"], rel=0.01)
    assert [steps for steps, *_ in earned["curve"]] == [72, 144]
    assert len((runs / "recipe-0" / "metrics.jsonl").read_text().splitlines()) == 2
    # A run with a result is not trained again, wherever the runs are: its folder is not needed any more.
    shutil.rmtree(runs)
    both = table()
    assert [row[0] for row in both] == ["recipe", "clip 0.1"]
    assert sorted(path.name for path in runs.iterdir()) == ["clip-0.1-0", "clip-0.1-1", "recipe-1"]
    kept = ["clip-0.1-0.json", "clip-0.1-1.json", "recipe-0.json", "recipe-1.json"]
    assert sorted(path.name for path in results.iterdir()) == kept
    assert both[0][3].split(", ")[0] == alone[3]
    assert figure.stat().st_size > 10_000
    monkeypatch.setattr(sys, "argv", ["recipes.py", "--variants", "nonsense"])
    with pytest.raises(SystemExit, match="unknown variants nonsense; choose from: recipe, clip 0\\.1"):
        recipes.main()


@pytest.mark.slow
def test_scaling_runs_whole_commands(tmp_path):
    out, figure = tmp_path / "out.json", tmp_path / "figure.png"
    sizes = ["--preset", "bandit-h100-quick", "--steps", 0.01, "--rounds", 1, "--seeds", 2]
    few = ["--axes", "seeds", "devices", "processes", "--devices", 2, "--processes", 2]
    done = run("scaling.py", *sizes, *few, "--json", out, "--figure", figure)
    assert done.returncode == 0, done.stderr
    results = results_of(out, "scaling", MACHINE - {"processor_share"})
    assert [(row["axis"], row["number"]) for row in results] == [
        ("seeds", 2),
        ("devices", 2),
        ("processes", 2),
    ]
    for row in results:
        assert row["steps_per_second"] > 0.0
        assert row["memory_mib"] > 100.0
        assert row["cold_seconds"] > 0.0
        assert row["warm_seconds"] > 0.0
    assert figure.stat().st_size > 10_000


def test_seeds_together_are_compared_with_seeds_one_by_one(monkeypatch, tmp_path):
    """A cold start takes 10 s more, a run 2 s, each further seed 1 s; of three rounds the median counts."""
    calls = []

    def train(_, axis, number, folder):
        cold = not (folder / "cache").exists()
        (folder / "cache").mkdir(exist_ok=True)
        calls.append((axis, number))
        noise = 100.0 * (len(calls) == 1)
        return {"seconds": 10.0 * cold + 1.0 + number + noise, "steps_per_second": number, "memory_mib": 1.0}

    monkeypatch.setattr(scaling, "train", train)
    one, four = scaling.measure(scaling.Options(seeds=(1, 4), rounds=3), "seeds")
    assert calls[:4] == [("seeds", 1), ("seeds", 1), ("seeds", 4), ("seeds", 4)]
    assert (one["cold_seconds"], one["warm_seconds"], one["of_one_by_one"]) == (12.0, 2.0, 1.0)
    assert (four["cold_seconds"], four["warm_seconds"], four["speedup"]) == (15.0, 5.0, 4.0)
    assert four["of_one_by_one"] == 15.0 / (12.0 + 3 * 2.0)
    scaling.draw(tmp_path / "figure.png", [one, four])
    assert (tmp_path / "figure.png").stat().st_size > 5_000


def test_scaling_changes_what_its_axis_says():
    options = scaling.Options(steps=1.0)
    tasks = scaling.arguments(options, "tasks", 512)
    assert tasks == [
        *("mdp-h100-quick", "--iterations", "20", "--evaluation.every", "0"),
        *("--ppo.trials", "512", "--ppo.minibatch-trials", "128"),
    ]
    assert scaling.arguments(options, "seeds", 3)[-2:] == ["--num-seeds", "3"]
    assert scaling.arguments(options, "devices", 2)[-2:] == ["--devices", "2"]
    assert scaling.devices_of("devices", 3)["JAX_NUM_CPU_DEVICES"] == "3"
    assert scaling.devices_of("processes", 3)["JAX_NUM_CPU_DEVICES"] == "1"
    assert scaling.devices_of("tasks", 3) == {}


def test_accelerators_tells_what_a_plan_says(monkeypatch):
    cost = {"kernels": 20, "conditionals": 1, "open_loops": 2, "collectives": 0, "flops": 3e6, "bytes": 5e6}
    found = {"seconds": {"compile": 7.0}, "bytes": {"program": 2**21}, "costs": {"rollout_step": cost}}
    monkeypatch.setattr(accelerators, "plan", lambda config, target: found)
    options = accelerators.Options(launch_microseconds=2.0)
    row = accelerators.measure(options, "h100", "mdp-h100-quick", "rl3", None)
    assert row["program_mib"] == 2.0
    assert [row[f"step_{name}"] for name in ("kernels", "branches", "mflops", "mb")] == [20, 3, 3.0, 5.0]
    assert "launched_steps_per_second" not in row  # of one loop alone it would be too high
    found["costs"]["gradient_step"] = cost | {"kernels": 50}
    row = accelerators.measure(options, "h100", "mdp-h100-quick", "rl3", None)
    expected = 128 * 100 / ((100 * 20 + 2 * 4 * 50) * 2.0)
    assert row["launched_steps_per_second"] == pytest.approx(expected, abs=5e-3)


def test_accelerators_does_not_know_all_targets():
    with pytest.raises(SystemExit, match="target 'h200' is not known"):
        accelerators.measure(accelerators.Options(), "h200", "mdp-h100-quick", "rl3", None)


@pytest.mark.parametrize("name", on_device.ROWS)
def test_the_rows_of_an_accelerator_are_valid(name):
    row = on_device.ROWS[name]
    config = on_device.configure(row)
    config.validate()
    assert config.ppo.trials == row.tasks
    assert config.ppo.num_minibatches == make_config(row.preset).ppo.num_minibatches


def test_rows_that_cannot_run_say_why_and_none_begins_late(monkeypatch):
    def measure(row, ceiling):
        if row.seeds > 1:
            raise ConfigError("too large\nfor this")
        return {"steps_per_second": ceiling * row.tasks}

    monkeypatch.setattr(on_device, "measure", measure)
    results = []
    for name, left in (("mdp-markov", 60.0), ("mdp-markov-16-seeds", 60.0), ("bandit-gru", -1.0)):
        on_device.add(results, name, 8, 2.0, time.monotonic() + left)
    assert results == [
        {"row": "mdp-markov", "tasks": 8, "seeds": 1, "steps_per_second": 16.0},
        {"row": "mdp-markov-16-seeds", "tasks": 8, "seeds": 16, "problem": "too large"},
    ]


@pytest.mark.slow
def test_on_device_measures_a_row(tmp_path):
    rows = ("bandit-gru", "bandit-gru-kernel")
    done = run("on_device.py", "--rows", *rows, "--tasks", 8, "--json", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    row, other = results_of(tmp_path / "out.json", "on_device", MACHINE - {"processor_share"})
    assert other["kernel_error"] <= 1e-5
    assert (row["row"], row["tasks"], row["seeds"]) == ("bandit-gru", 8, 1)
    assert row["steps_per_second"] > 0.0
    assert 0.0 < row["of_ceiling"] < 1.0
    assert row["step_kernels"] > 3
