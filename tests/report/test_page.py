"""Pages are made of result files alone, and set ours beside what was published."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.stats

from rl3_jax.cli import main
from rl3_jax.report import literature, page, statistics
from rl3_jax.report.agents import Source
from rl3_jax.report.blocks import Table, markdown
from rl3_jax.report.figures import combined_adaptation
from rl3_jax.report.gather import Entry, settings_of
from rl3_jax.report.looks import notable
from rl3_jax.report.page import differences, returns, section, transfer, write_page
from rl3_jax.run.sources import read_sources
from tests.report.setting import MDP, OOD, RESULT, entry, of_agent, run


def setting(*results, sources=()):
    """The one setting of some results."""
    (found,) = settings_of([*sources, *(Source(f"{i}.json", [x]) for i, x in enumerate(results))])
    return found


def cells(blocks):
    """The rows of the first table by their first cell, the heading's under its own."""
    table = next(block for block in blocks if isinstance(block, Table))
    return {row[0]: list(row[1:]) for row in table.rows}


def test_a_row_has_the_return_its_regret_and_what_was_published():
    rows = cells(returns(setting(of_agent(RESULT, 79.0))))
    ucb1, best = RESULT["results"]
    assert rows["ucb1"][0] == f"{ucb1['mean_return']:.2f} ± {ucb1['standard_error']:.2f}"
    assert rows["ucb1"][1].startswith(f"{scipy.stats.trim_mean(ucb1['returns'], 0.25):.2f} [")
    assert rows["ucb1"][2].startswith(f"{best['mean_return'] - ucb1['mean_return']:.2f} ± ")
    spread = np.std(ucb1["returns"], ddof=1)
    apart = (ucb1["mean_return"] - 78.0) / np.hypot(ucb1["standard_error"], spread / 1000**0.5)
    assert rows["ucb1"][3:] == ["78", f"{apart:+.1f}"]
    assert rows["rl3-gru"][3:] == ["", ""]
    assert rows["thompson"] == ["", "", "", "74.7", ""]
    ours = list(rows)[1:4]
    assert ours == sorted(ours, key=lambda name: -float(rows[name][0].split()[0]))


def test_of_several_seeds_the_best_is_shown_beside_their_mean():
    runs = [run(seed, of_agent(RESULT, 60.0 + 20.0 * seed), name="rl3") for seed in (0, 1)]
    rows = cells(returns(setting(sources=runs)))
    assert rows["name"][1] == "best seed"
    means = [source.results[0]["results"][0]["mean_return"] for source in runs]
    assert means[1] > means[0]
    assert rows["rl3 (2 seeds)"][1] == f"{means[1]:.2f}"
    assert rows["rl3 (2 seeds)"][0].startswith(f"{np.mean(means):.2f} ± ")
    assert rows["rl2"][1] == ""


def test_columns_that_say_nothing_are_left_out():
    rows = cells(returns(setting(OOD | {"results": OOD["results"][:1]})))
    assert rows["name"] == ["mean return ±", "middle half [95 %]"]


def test_a_figure_far_from_the_published_one_has_a_footnote():
    far = [entry("gittins", 95.0), entry("thompson", 95.0), entry("clairvoyant", 99.0)]
    blocks = returns(setting(RESULT | {"results": far}))
    rows = cells(blocks)
    assert rows["gittins"][-1].endswith(r"\*")
    assert not rows["clairvoyant"][-1].endswith(r"\*")
    notes = [line for line in markdown(blocks).splitlines() if line.startswith("\\*")]
    assert sorted(note.split(":")[0] for note in notes) == [r"\* gittins", r"\* thompson"]
    assert any(note.endswith("the reason is not known.") for note in notes)
    assert r"\*" not in markdown(returns(setting(RESULT)))


def test_agents_are_compared_task_by_task():
    runs = [run(seed, of_agent(RESULT, 79.0)) for seed in (0, 1)]
    other = run(0, of_agent(RESULT, 60.0), name="other", learning_rate=0.2)
    found = setting(sources=[*runs, other])
    rows = cells([differences(found)])
    assert next(iter(rows.values())) == ["rl3 (2 seeds)", "other-seed0"]
    agents = {agent.name: agent.returns for agent in found.agents}
    expected = statistics.difference(agents["rl3"], agents["other-seed0"])
    assert rows["other-seed0"] == [f"{expected.value:+.2f} [{expected.low:+.2f}, {expected.high:+.2f}]", ""]
    assert rows["rl3 (2 seeds)"][0] == ""
    assert set(rows) >= {"ucb1", "clairvoyant"}
    assert differences(found) in section(found)
    assert "more than" not in markdown(section(setting(RESULT)))


def test_an_agent_of_the_name_does_not_stand_for_the_published_one():
    sources = [run(seed, of_agent(RESULT, 50.0), name="rl2") for seed in (0, 1)]
    rows = cells(blocks := returns(setting(sources=sources)))
    assert rows["rl2 (2 seeds)"][-2:] == ["", ""]
    assert rows["rl2"][-2:] == ["78.7", ""]
    assert r"\* rl2" not in markdown(blocks)


def test_notes_are_printed():
    other = RESULT | {"results": [entry("ucb1", 70.0)]}
    text = markdown(section(setting(RESULT, other)))
    assert r"\* ucb1 returns" in text


def test_the_page_explains_the_columns_that_it_has():
    own = {"family": "own", "task": {"family": "own", "variation": "default"}}
    for seeds in ((0,), (0, 1)):
        for where in (RESULT, RESULT | own):
            settings = settings_of([run(seed, of_agent(where, 79.0)) for seed in seeds])
            text, table = page.introduction(settings), markdown(section(settings[0]))
            for column in ("published", "best seed"):
                assert (f"*{column.capitalize()}*" in text) == (f"| {column} |" in table)
    assert "RL²" not in page.introduction(settings)


def test_agents_are_shown_where_they_were_not_trained():
    runs = [run(seed, of_agent(RESULT, 79.0), of_agent(OOD, 70.0)) for seed in (0, 1)]
    settings = settings_of(runs)
    rows = cells(transfer(settings))
    assert rows["mean return ±"] == ["default, H = 100", "ood, H = 100"]
    trained, other = rows["rl3 (2 seeds)"]
    assert trained.startswith("*")
    assert trained.endswith("*")
    value = statistics.mean(settings[1].agents[0].returns)
    assert other == f"{value.value:.2f} ± {value.standard_error:.2f}"
    assert rows["ucb1"][1].startswith(f"{OOD['results'][0]['mean_return']:.2f} ± ")
    assert transfer(settings[:1]) == []
    rows = cells(transfer(settings_of([runs[0], run(1, of_agent(RESULT, 79.0))])))
    assert [cell.partition(" (")[2] for cell in rows["rl3"]] == ["2 seeds)", "1 seed)"]


def test_of_many_baselines_the_notable_ones_are_drawn():
    means = {"random": 9.0, "a": 1.0, "b": 3.0, "c": 2.0, "d": 4.0, "clairvoyant": 0.0}
    entries = [Entry(name, [{"mean_return": mean}]) for name, mean in means.items()]
    assert [entry.name for entry in notable(entries)] == ["random", "b", "c", "d", "clairvoyant"]


def curve(episodes, mean):
    """An adaptation curve of fifty tasks."""
    count = len(episodes)
    return {"episodes": episodes, "mean": mean, "num_tasks": [50] * count, "standard_error": [0.3] * count}


def test_the_adaptation_curve_of_several_seeds():
    one, two = curve([1, 3, 5], [1.0, 2.0, 3.0]), curve([1, 3], [3.0, 2.0])
    middle, mean, half = combined_adaptation([one, two])
    np.testing.assert_allclose(middle, [1.0, 2.5])
    np.testing.assert_allclose(mean, [2.0, 2.0])
    # At first seeds differ, by a variance of 2, and then tasks alone.
    freedom = (0.09 + 1.0) ** 2 / (0.09**2 / 49 + 1.0**2 / 1)
    quantiles = scipy.stats.t.ppf(0.975, [freedom, 49])
    np.testing.assert_allclose(half, [(0.09 + 1.0) ** 0.5 * quantiles[0], 0.3 * quantiles[1]])
    assert [len(part) for part in combined_adaptation([one, curve([], [])])] == [0, 0, 0]


def test_the_order_of_seeds_does_not_matter_though_their_groups_differ():
    long, short = curve([4, 8, 12], [1.0, 2.0, 3.0]), curve([2, 4, 6], [5.0, 5.0, 5.0])
    first, second = combined_adaptation([long, short]), combined_adaptation([short, long])
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other)
    np.testing.assert_allclose(first[0], [1.5, 3.5, 5.5])
    np.testing.assert_allclose(first[1], [(5 + 1) / 2, (5 + 1.25) / 2, (5 + 1.75) / 2])


def test_another_prior_is_not_the_published_one():
    rows = cells(returns(setting(MDP)))
    assert "138.1" in rows["psrl (m = 0)"]
    assert "138.1" not in rows["psrl"]


def test_only_the_published_settings_have_published_returns():
    assert literature.published_returns(RESULT)["gittins"] == 78.3
    assert literature.published_returns(MDP)["beb (m = 0)"] == 150.2
    assert literature.published_returns(MDP)["random"] == 100.1
    assert literature.published_returns(RESULT)["gittins-discounted"] == 78.3
    assert literature.published_returns(MDP)["ucrl2-tabularl (m = 0)"] == 146.6
    for other in ({"horizon": 99}, {"variation": "ood"}, {"task": RESULT["task"] | {"num_arms": 2}}):
        assert literature.published_returns(RESULT | other) == {}
    assert literature.published_returns(MDP | {"task": MDP["task"] | {"states": 9}}) == {}


def test_the_page_of_a_folder(tmp_path, capsys):
    for name, result in (("a", RESULT), ("b", of_agent(RESULT, 79.0)), ("c", MDP)):
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "page")]) == 0
    text = (tmp_path / "page" / "README.md").read_text()
    *written, last = capsys.readouterr().out.splitlines()
    assert [line.partition(" ")[0] for line in written] == ["written:"] * 3
    assert last == f"the page: {tmp_path / 'page' / 'README.md'}"
    assert text.count("### ") == 2
    for family in ("bandit", "mdp"):
        assert f"]({family}.png)" in text
        assert (tmp_path / "page" / f"{family}.png").stat().st_size > 1000
    again = write_page(read_sources(tmp_path), tmp_path / "again")
    assert again[0].read_text() == text


def test_the_page_of_runs(tmp_path):
    folders = []
    for source in [run(seed, of_agent(RESULT, 79.0), of_agent(OOD, 70.0)) for seed in (0, 1)]:
        folders.append(tmp_path / source.name)
        folders[-1].mkdir()
        (folders[-1] / "config.json").write_text(json.dumps(source.config))
        (folders[-1] / "evaluation.json").write_text(json.dumps(source.results))
        lines = [json.dumps(line) for line in source.metrics]
        (folders[-1] / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    # A folder that is named twice counts once.
    assert main(["report", *map(str, [*folders, folders[0]]), "--out", str(tmp_path / "page")]) == 0
    text = (tmp_path / "page" / "README.md").read_text()
    assert "Out of distribution" in text
    assert "| rl3 (2 seeds) |" in text
    assert "](bandit-learning.png)" in text
    assert (tmp_path / "page" / "bandit-learning.png").stat().st_size > 1000
    expected = write_page([source for path in folders for source in read_sources(path)], tmp_path / "again")
    assert expected[0].read_text() == text


def test_of_agents_is_drawn_where_something_can_be_compared(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(page, "adaptation_figure", lambda settings, *_: drawn.append(settings))
    alone, baselines = (
        of_agent(OOD | {"results": []}, 70.0),
        RESULT | {"horizon": 200, "task_set_sha256": "other"},
    )
    for name, result in (("a", RESULT), ("b", of_agent(RESULT, 79.0)), ("c", alone), ("d", baselines)):
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    write_page(read_sources(tmp_path), tmp_path / "page")
    assert [[setting.header["horizon"] for setting in settings] for settings in drawn] == [[100]]
    (tmp_path / "b.json").unlink()
    (tmp_path / "c.json").unlink()
    write_page(read_sources(tmp_path), tmp_path / "page")
    assert [setting.header["horizon"] for setting in drawn[1]] == [100, 200]


EARLIER = RESULT | {"results": [{k: v for k, v in RESULT["results"][0].items() if k != "adaptation"}]}


CONFIG = json.dumps(run(0).config)


@dataclasses.dataclass
class Mistake:
    files: dict
    message: str


@pytest.mark.parametrize(
    "mistake",
    [
        Mistake({}, "holds no result files"),
        Mistake({"a.json": "{"}, "a.json is not valid JSON"),
        Mistake({"a.json": "{}"}, "it lacks family, variation"),
        Mistake({"config.json": "{}"}, "config.json is not what `rl3 train` writes"),
        Mistake({"config.json": "[]"}, "config.json is not what `rl3 train` writes"),
        Mistake({"config.json": CONFIG}, "has not been evaluated, and cannot be:"),
        Mistake({"config.json": CONFIG, "evaluation.json": json.dumps(RESULT)}, "holds no metrics"),
        Mistake({"config.json": CONFIG, "evaluation.json": "[]"}, "it lacks family, variation"),
        Mistake({"a.json": json.dumps(RESULT | {"results": []})}, "it lacks results;"),
        Mistake({"a.json": json.dumps(RESULT | {"results": [5]})}, "it lacks name, mean_return"),
        Mistake({"a.json": json.dumps(RESULT | {"task": "x"})}, "it lacks task;"),
        Mistake({"a.json": json.dumps(RESULT | {"num_tasks": 7})}, "it lacks a return for each task;"),
        Mistake(
            {"a.json": json.dumps(EARLIER)}, "a.json is no result file of this version: it lacks adaptation;"
        ),
    ],
)
def test_a_folder_without_results_is_refused(tmp_path, capsys, mistake):
    folder = tmp_path / "in"
    folder.mkdir()
    for name, content in mistake.files.items():
        (folder / name).write_text(content)
    assert main(["report", str(folder), str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.replace("\n", " ")
    assert " ".join(mistake.message.split()) in " ".join(error.split())
    assert "none is not a folder" in " ".join(error.split())
    assert not (tmp_path / "out").exists()


def test_other_tasks_are_refused(tmp_path, capsys):
    (tmp_path / "a.json").write_text(json.dumps(RESULT))
    (tmp_path / "b.json").write_text(json.dumps(RESULT | {"task_set_sha256": "x"}))
    assert main(["report", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "were evaluated by versions that draw other tasks" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_figure_without_an_error_is_the_published_one_or_infinitely_far():
    alike = {"mean_return": 78.3, "standard_error": 0.0, "returns": [78.3] * 4}
    assert literature.deviation(alike, 78.3) == 0.0
    assert literature.deviation(alike, 78.0) == np.inf
    assert literature.deviation(alike, 79.0) == -np.inf
