"""A page of HTML is well formed, needs no other file, and has all that the page of Markdown has."""

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from rl3_jax.report.agents import Source
from rl3_jax.report.blocks import Commands, Details, Heading, Paragraph, Table, markdown
from rl3_jax.report.html import html
from rl3_jax.report.page import write_page
from tests.report.setting import MDP, OOD, RESULT, making, of_agent, run

VOID = {"meta", "link", "img"}
"""Elements without an end."""


class Page(HTMLParser):
    """What is in a page; an element that is not closed where it should be is an error."""

    def __init__(self, text):
        super().__init__()
        self.open, self.attributes, self.ids, self.tables = [], [], [], []
        self.texts = {"style": "", "script": "", "code": ""}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data
        for tag in self.texts.keys() & set(self.open):
            self.texts[tag] += data

    def values(self, name):
        """All values of an attribute."""
        return [value for _, each, value in self.attributes if each == name]


def image(source):
    """The picture in a data URI."""
    kind, content = re.fullmatch(r"data:image/(\w+);base64,(.*)", source).groups()
    found = Image.open(io.BytesIO(base64.b64decode(content, validate=True)))
    assert found.format == kind.upper()
    found.load()
    return found


def gif():
    """A film of two frames."""
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    frames[0].save(buffer, format="GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The two pages of two agents in two families, one of them with a film."""
    sources = [run(seed, of_agent(RESULT, 79.0), of_agent(OOD, 70.0)) for seed in (0, 1)]
    sources.append(run(0, of_agent(RESULT, 60.0), name="other", learning_rate=0.2))
    sources.append(run(0, of_agent(MDP, 60.0), name="far", learning_rate=0.3))
    out = tmp_path_factory.mktemp("page")
    write_page(sources, out, making(sources, films={"rl3": gif()}))
    return Page((out / "report.html").read_text("utf-8")), (out / "README.md").read_text("utf-8")


def test_nothing_is_loaded_from_elsewhere(written):
    page, _ = written
    assert page.values("src")
    assert all(value.startswith("data:") for value in page.values("src"))
    assert all(value == "data:," or value[1:] in page.ids for value in page.values("href"))
    assert {name for _, name, _ in page.attributes} & {
        "srcset",
        "action",
        "data",
        "poster",
        "onclick",
    } == set()
    assert "http" not in page.texts["style"] + page.texts["script"]
    assert "url(" not in page.texts["style"]
    assert "default-src 'none'" in "".join(page.values("content"))


def test_all_cells_of_the_page_of_markdown_are_there(written):
    page, text = written
    lines = [line.strip("| ") for line in text.splitlines() if line.startswith("|") and "---" not in line]
    rows = [[cell.strip(" *\\") for cell in line.split(" | ")] for line in lines]
    shown = [[cell.strip(" *") for cell in row] for table in page.tables for row in table]
    assert len(rows) > 20
    for row in rows:
        assert [cell for cell in row if cell] in [[cell for cell in each if cell] for each in shown]
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    assert len(page.ids) == len(headings)


def test_pictures_are_inside(written):
    page, text = written
    figures = [image(source) for source in page.values("src")]
    assert [figure.format for figure in figures].count("PNG") == text.count("![")
    (film,) = [figure for figure in figures if figure.format == "GIF"]
    assert film.n_frames == 2
    assert len(page.values("alt")) == len(figures)


def test_how_rows_are_made_again_is_told(written):
    page, text = written
    words = page.texts["code"]
    for command in (
        "rl3 train bandit-h100-quick --seed 0 --num-seeds 2 --out runs/rl3",
        "rl3 evaluate runs/rl3/seed1 --num-tasks 50 --seed 0 --variation ood",
        "rl3 train bandit-h100-quick --seed 0 --out runs/other-seed0",
        "rl3 evaluate runs/other-seed0 --num-tasks 50 --seed 0",
        "rl3 baselines bandit --variation ood --num-arms 5 --horizon 100 --num-tasks 50 --seed 0",
    ):
        assert command in words
        assert command not in text
    assert ["ppo.learning_rate", "0.1", "0.2"] in [row for table in page.tables for row in table]


def test_files_that_are_of_no_run_have_a_page_too(tmp_path):
    sources = [Source("a.json", [RESULT]), Source("b.json", [of_agent(RESULT, 70.0)])]
    write_page(sources, tmp_path, making(sources))
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert page.texts["code"].count("rl3 ") == 2  # `rl3 report` in the first lines, and the baselines
    assert "rl3 baselines bandit" in page.texts["code"]


def test_text_of_users_stays_text():
    blocks = [
        Heading(1, "<b>"),
        Table(
            [["name", "*x*"], ["<script>alert(1)</script>", r"1.5 \* [a](http://b)"], ["`c` num_arms", ""]]
        ),
        Heading(2, "family"),
        Heading(3, "setting"),
        Details("more", [Paragraph("a & b"), Commands(["rl3 train 'a<b'", "second"])]),
    ]
    text = html(blocks)
    assert "<title>&lt;b&gt;</title>" in text
    assert "<script>alert" not in text
    page = Page(text)
    assert page.tables == [
        [["name", "x"], ["<script>alert(1)</script>", "1.5 * [a](http://b)"], ["c num_arms", ""]]
    ]
    assert page.texts["code"] == "crl3 train 'a<b'second"
    assert "more" not in markdown(blocks)
