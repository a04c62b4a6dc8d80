"""A page of HTML in a browser: its tables sort, and it fits a phone.

It is skipped where playwright or Chromium is missing: `pip install playwright`, `apt-get install chromium`.
"""

import shutil

import pytest

from rl3_jax.report.page import write_page
from tests.report.setting import MDP, OOD, RESULT, making, of_agent, run

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    sources = [run(seed, of_agent(RESULT, 79.0), of_agent(OOD, 70.0)) for seed in (0, 1)]
    sources.append(run(0, of_agent(RESULT, 160.0), of_agent(MDP, 600.0), name="a" * 40, learning_rate=0.2))
    out = tmp_path_factory.mktemp("page")
    write_page(sources, out, making(sources))
    return out / "report.html"


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        # Chromium has no sandbox for the superuser, as whom containers run tests.
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def visit(browser, file):
    """Open the page on a screen; what it complains of or asks the network for fails the test."""
    complaints, contexts = [], []

    def opened(**screen):
        contexts.append(browser.new_context(**screen))
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: complaints.append(asked.url))
        page.goto(file.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [text for text in complaints if text != file.as_uri() and not text.startswith("data:")] == []


def column(table, number):
    """The texts of a column, from the top."""
    return [row.locator("th, td").nth(number).inner_text() for row in table.locator("tbody tr").all()]


@pytest.mark.parametrize("caption", ["", "What the agent of each column earns more"])
def test_a_table_sorts_by_a_click_on_a_header(visit, caption):
    """Differences have signs, which sort otherwise as texts."""
    table = visit().locator("h3 ~ .scroll table").filter(has_text=caption).first
    before = sorted(column(table, 0))
    header = table.locator("thead th").nth(1)
    found = {}
    for direction in ("descending", "ascending"):
        header.locator("button").click()
        assert header.get_attribute("aria-sort") == direction
        cells = column(table, 1)
        found[direction] = [float(cell.split()[0]) for cell in cells if cell]
        # What was only published, or is the agent itself, has no number, and stays below.
        assert "" in cells
        assert cells[len(found[direction]) :] == [""] * (len(cells) - len(found[direction]))
    assert found["ascending"] == sorted(found["ascending"])
    assert found["descending"] == found["ascending"][::-1]
    assert sorted(column(table, 0)) == before


def test_a_table_sorts_by_the_keyboard(visit):
    page = visit()
    table = page.locator("h3 ~ .scroll table").first
    headers = table.locator("thead th")
    headers.nth(1).locator("button").focus()
    page.keyboard.press("Enter")
    assert headers.nth(1).get_attribute("aria-sort") == "descending"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")
    assert [headers.nth(i).get_attribute("aria-sort") for i in (0, 1)] == ["ascending", "none"]
    names = column(table, 0)
    assert names == sorted(names)


@pytest.mark.parametrize(
    ("width", "scheme"), [(375, "light"), (375, "dark"), (1280, "light"), (1280, "dark")]
)
def test_the_page_fits_the_screen(visit, width, scheme):
    page = visit(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    paper, ink = page.evaluate("(s => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
    assert (sum(channels(paper)) < sum(channels(ink))) == (scheme == "dark")


def channels(colour):
    """Red, green and blue of `rgb(…)`."""
    return [int(part) for part in colour[4:-1].split(",")]
