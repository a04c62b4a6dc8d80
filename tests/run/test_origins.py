"""What a page of HTML tells of real runs: commands that are understood, and a trial of the agent."""

import io
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

from rl3_jax.cli import main, parse
from rl3_jax.report.agents import agents_of
from rl3_jax.report.gather import settings_of
from rl3_jax.report.making import Making, setting_details, training_commands
from rl3_jax.run.evaluation import evaluate_run
from rl3_jax.run.origins import film, origin
from rl3_jax.run.shipped import shipped_cards
from rl3_jax.run.sources import read_sources
from tests.report.setting import RESULT, making, of_agent, run
from tests.run import tiny


@pytest.fixture
def folder(finished, tmp_path):
    """A run, evaluated with both ways of acting."""
    place = tmp_path / "tiny-seed0"
    shutil.copytree(finished.path, place)
    for greedy in (False, True):
        evaluate_run(place, num_tasks=4, greedy=greedy)
    return place


def read(line):
    """The command that a line stands for, with valid arguments where it names no run folder."""
    name, *arguments = shlex.split(line)
    assert name == "rl3"
    return parse(arguments)


def test_the_page_of_a_run_has_its_commands_and_a_trial(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(folder), "--out", "page", "--html"]) == 0
    assert "written: page/report.html" in capsys.readouterr().out
    text = Path("page/report.html").read_text("utf-8")
    assert "data:image/gif;base64," in text
    assert "A trial of tiny-seed0" in text
    (source,) = read_sources(folder)
    made = Making({source.place: origin(source)}, {})
    (agent,) = agents_of([source]).values()
    (line,) = training_commands(agent, made)
    command = read(line)
    assert command.settings == tiny.CONFIG
    assert command.folders == [Path("runs/tiny-seed0")]
    shutil.copytree(folder, command.folders[0])
    (setting,) = settings_of([source])
    (details,) = setting_details(setting, made)
    sampled, greedy = map(read, details.blocks[0].lines)
    assert (sampled.greedy, greedy.greedy) == (False, True)
    assert sampled.dirs == (command.folders[0],)
    assert (sampled.num_tasks, sampled.seed, sampled.variation, sampled.horizon) == (4, 0, None, None)


def test_without_html_there_is_no_such_page(folder, tmp_path):
    assert main(["report", str(folder), "--out", str(tmp_path / "page")]) == 0
    assert not (tmp_path / "page" / "report.html").exists()


def test_a_trial_is_that_of_sampled_actions_whatever_was_watched(folder):
    (agent,) = agents_of(read_sources(folder)).values()
    drawn = film(agent)
    assert main(["watch", str(folder), "--steps", "3", "--greedy"]) == 0
    assert film(agent) == drawn
    assert drawn is not None
    assert Image.open(io.BytesIO(drawn)).n_frames == 10
    shutil.rmtree(folder / "agent")
    assert film(agent) is None


def test_a_configuration_that_no_preset_makes_is_read_from_its_file(folder):
    file = folder / "config.json"
    file.write_text(file.read_text().replace('"bandit"', '"of-a-plugin"'))
    (source,) = read_sources(folder)
    assert origin(source).arguments == ["--config", str(file)]


def test_the_agent_of_the_package_that_earned_the_same_is_known(folder):
    (name, card), *_ = shipped_cards().items()
    (source,) = read_sources(folder)
    assert origin(source).shipped is None
    source.results[0]["results"][0]["mean_return"] = card["results"][0]["mean_return"]
    source.results[0].update({x: card["results"][0][x] for x in ("task_set_sha256", "horizon")})
    assert origin(source).shipped == (name, card["command"])


def lines(sources, **how):
    """The commands that train agents, and those that make the rows of the first setting."""
    made = making(sources, **how)
    trained = [line for agent in agents_of(sources).values() for line in training_commands(agent, made)]
    (details,) = setting_details(settings_of(sources)[0], made)
    return trained, details.blocks[0].lines


def test_seeds_in_a_row_are_trained_in_one_program():
    several = [run(seed, of_agent(RESULT, 79.0)) for seed in (2, 1, 3)]
    (line,), rows = lines(several, common=["--plugin", "numpy"])
    command = read(line)
    assert command.plugin == "numpy"
    assert [path.as_posix() for path in command.folders] == [f"runs/rl3/seed{seed}" for seed in (1, 2, 3)]
    assert command.settings.seed == 1
    assert [row.split()[2] for row in rows[:3]] == [f"runs/rl3/seed{seed}" for seed in (2, 1, 3)]
    assert all(row.endswith("--plugin numpy") for row in rows)
    trained, _ = lines([several[0], run(5, of_agent(RESULT, 70.0))])
    assert [str(read(line).folders[0]) for line in trained] == ["runs/rl3/seed2", "runs/rl3/seed5"]


def test_runs_that_went_on_are_resumed_and_early_evaluations_told():
    source = run(0, of_agent(RESULT, 79.0, iteration=12))
    source.config["target_iterations"] = 30
    trained, _ = lines([source])
    resumed = "rl3 resume runs/rl3-seed0 --iterations 30"
    assert trained[1:] == [resumed, "# evaluated after 12 of 30 iterations"]


def test_baselines_are_made_again_with_their_priors():
    mdp = RESULT | {
        "family": "mdp",
        "task": {"family": "mdp", "variation": "default", "states": 10, "actions": 5, "steps": 10},
        "results": [
            entry | {"name": name}
            for entry, name in zip(RESULT["results"], ("psrl", "psrl (m = 0)"), strict=True)
        ],
    }
    _, rows = lines([run(0, of_agent(mdp, 79.0))])
    usual, prior = map(read, rows[1:])
    assert (usual.family, usual.horizon, usual.num_tasks, usual.prior_reward) == ("mdp", 100, 50, None)
    assert prior.prior_reward == 0.0
    # These tasks the command cannot ask for: `rl3 evaluate` makes their baselines.
    _, rows = lines([run(0, of_agent(mdp | {"task": mdp["task"] | {"states": 3}}, 79.0))])
    assert [row.split()[1] for row in rows] == ["evaluate"]
